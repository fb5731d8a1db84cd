/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/used.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/peer.h"
#include "proto/used.h"

/* vault:NAME#VERSION; the path of a file may have a # of its own, but the last one is the
 * version's. */
static void put_origin(struct json *args, const char *origin)
{
    const char *number = strrchr(origin, '#');
    _free_ char *secret =
        mem_copy(origin, number ? (size_t)(number - origin) : strlen(origin));

    js_set_text(args, "secret", secret);
    js_set_int(args, "version", number ? strtol(number + 1, NULL, 10) : 0);
}

void used_tell(struct peer *peer, uint64_t steady_us, struct used_mark *mark,
               const char *integration, const char *use, const char *origin)
{
    struct buf text = BUF_NULL;

    if ((mark->told_us && steady_us - mark->told_us < USED_EVERY_US) || !origin ||
        !peer || !peer_is_joined(peer))
        return;
    struct json *args = js_set_text(js_object(), "integration", integration);
    put_origin(js_set_text(args, "use", use), origin);
    js_write(args, 0, &text);
    (void)peer_admin(peer, "secret", buf_str(&text)); /* the next minute tells it again */
    mark->told_us = steady_us;
    js_free(args);
    buf_fini(&text);
}
