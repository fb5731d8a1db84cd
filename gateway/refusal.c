/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/loop/loop.h"
#include "proto/attrs.h"
#include "proto/record.h"

/* Nobody waits for it. */
static void ignore(void *user, const struct hold_result *result)
{
    (void)user;
    (void)result; /* the operator's line stands already */
}

static void publish(struct gateway *gateway, const struct endpoint *e, const char *why)
{
    uint8_t id[16];
    struct buf attrs = {0}, out = {0};
    id_new(loop_wall_us(gateway->loop), id);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ENDPOINT, e->path);
    attrs_text(&attrs, ATTR_ERROR_MSG, why);
    struct record_parts parts = {
        .kind = RECORD_FACT,
        .status = STATUS_FAILED,
        .error_class = CLASS_unverified,
        .type = "signalbox.webhook.refused",
        .id = id,
        .integration = e->integration,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
    };
    if (record_add(&out, &parts) >= 0)
        hold_add(gateway->hold, out.bytes, out.len, 1, /* waits= */ false, ignore, NULL);
    buf_fini(&attrs);
    buf_fini(&out);
}

static void tell(struct gateway *gateway, const struct endpoint *e, const char *from,
                 const char *why, enum refusal kind)
{
    log_write(kind == REFUSAL_UNVERIFIED ? LOG_WEBHOOK_REFUSED : LOG_WEBHOOK_NOT_TAKEN,
              "endpoint=%s integration=%s from=%s: %s", e->path, e->integration_name,
              from, why);
    if (kind != REFUSAL_NOT_NOW)
        publish(gateway, e, why);
}

/* What was only counted. */
static void tell_rest(struct gateway *gateway, struct endpoint *e)
{
    for (int i = 0; i < REFUSAL_KINDS; i++) {
        struct refusals *r = &e->refusals[i];
        char text[REFUSAL_WHY_SIZE + 64];
        snprintf(text, sizeof(text), "%u more in the last minute; the last: %s",
                 r->untold, r->why);
        if (r->untold)
            tell(gateway, e, "several", text, (enum refusal)i);
        r->untold = 0;
    }
}

void refusal_tell_rest(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->n_endpoints; i++)
        tell_rest(gateway, &gateway->endpoints[i]);
}

/* --- to no endpoint --- */

/* The endpoint whose path may have been meant; NULL when none is like it. */
static const char *meant_path(const struct gateway *gateway, const char *path)
{
    const char **all = mem_array(gateway->n_endpoints + 1, sizeof(*all));
    for (size_t i = 0; i < gateway->n_endpoints; i++)
        all[i] = gateway->endpoints[i].path;
    const char *nearest = text_nearest(path, all);
    free(all);
    return nearest;
}

/* What came is written down when it is short and of the letters that paths have. */
static bool is_showable(const char *path, size_t n)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    return n <= UNKNOWN_PATH_MAX && strspn(path, letters) >= n;
}

static void tell_unknown(const struct gateway *gateway, const char *target,
                         const char *from)
{
    size_t n = strcspn(target, "?");
    if (!is_showable(target, n)) {
        log_say(WEBHOOK_UNKNOWN,
                "from=%s: no endpoint has the address that was asked for", from);
        return;
    }
    _free_ char *name = mem_copy(target, n);
    for (size_t last = n; last > 0 && name[last - 1] == '/';)
        name[--last] = 0;
    const char *slash = strrchr(name, '/');
    const char *meant = meant_path(gateway, slash ? slash + 1 : name);
    log_say(WEBHOOK_UNKNOWN, "path=%.*s from=%s: no endpoint has this address; %s%s",
            (int)n, target, from,
            meant ? "there is /webhooks/" : "see `signalbox webhooks`",
            meant ? meant : "");
}

static void tell_unknown_rest(struct gateway *gateway)
{
    if (gateway->unknown_untold)
        log_say(WEBHOOK_UNKNOWN, "%u more in the last minute", gateway->unknown_untold);
    gateway->unknown_told = gateway->unknown_untold = 0;
}

/* --- the minute --- */

/* The minute of all endpoints is one: it begins with the first refusal after a quiet one.
 */
static void on_minute(void *user)
{
    struct gateway *gateway = user;
    refusal_tell_rest(gateway);
    tell_unknown_rest(gateway);
    for (size_t i = 0; i < gateway->n_endpoints; i++)
        memset(gateway->endpoints[i].refusals, 0, sizeof(gateway->endpoints[i].refusals));
    gateway->refusal_timer_runs = false;
}

static void start_minute(struct gateway *gateway)
{
    if (gateway->refusal_timer_runs)
        return;
    if (!gateway->refusal_timer)
        gateway->refusal_timer = loop_timer_new(gateway->loop, on_minute, gateway);
    loop_timer_in(gateway->refusal_timer, REFUSAL_WINDOW_US);
    gateway->refusal_timer_runs = true;
}

void refusal_note(struct gateway *gateway, struct endpoint *e, const char *from,
                  const char *why, enum refusal kind)
{
    struct refusals *r = &e->refusals[kind];
    (*(kind == REFUSAL_UNVERIFIED ? &e->refused : &e->not_taken))++;
    start_minute(gateway);
    if (r->told < REFUSALS_TOLD) {
        r->told++;
        tell(gateway, e, from, why, kind);
        return;
    }
    r->untold++;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

void refusal_unknown(struct gateway *gateway, const char *target, const char *from)
{
    start_minute(gateway);
    if (gateway->unknown_told < UNKNOWN_TOLD) {
        gateway->unknown_told++;
        tell_unknown(gateway, target, from);
    } else {
        gateway->unknown_untold++;
    }
}

void refusal_close(struct gateway *gateway)
{
    loop_timer_free(gateway->refusal_timer);
    gateway->refusal_timer = NULL;
}
