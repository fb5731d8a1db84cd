/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/peer.h"

enum {
    ANSWER_US = 10000000, /* an act is answered when it is on disk */
    NAMES_SIZE = 4096,    /* for the passwd entry's texts */
};

static void on_answer(void *user, uint64_t ref, bool ok, const char *json)
{
    struct asking *asking = user;
    char why[128];

    (void)ref;
    asking->is_good = ok;
    asking->answer = js_parse(json, strlen(json), why, sizeof(why));
    asking->bus.is_done = true;
}

int ask_open(struct asking *asking, struct cli *cli)
{
    *asking = (struct asking){.answer = NULL};
    return bus_open(&asking->bus, cli, &(struct peer_options){.on_answer = on_answer});
}

char *ask_actor(void)
{
    char names[NAMES_SIZE];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(getuid(), &entry, names, sizeof(names), &found) != 0 || !found)
        return mem_format("uid %u", (unsigned)getuid());
    return mem_text(found->pw_name);
}

int ask(struct asking *asking, const char *command, struct json *args)
{
    struct buf text = BUF_NULL;

    js_free(asking->answer);
    asking->answer = NULL;
    asking->bus.is_done = false;
    args = args ? args : js_object();
    _free_ char *actor = ask_actor();
    js_set_text(args, "actor", actor);
    js_write(args, 0, &text);
    js_free(args);
    (void)peer_admin(asking->bus.peer, command, buf_str(&text));
    buf_fini(&text);
    if (!bus_wait(&asking->bus, clock_steady_us() + ANSWER_US))
        return cli_fail(CLI_UNREACHABLE,
                        strcmp(command, "status") == 0
                            ? "the broker does not answer"
                            : "the broker did not say in time whether it was "
                              "done; asking once more is safe");
    if (asking->is_good)
        return CLI_DONE;
    const char *why = js_text(asking->answer, "detail", "it gives no reason");
    return cli_fail(CLI_FAILED, "%s", js_text(asking->answer, "error", why));
}

void ask_close(struct asking *asking)
{
    js_free(asking->answer);
    asking->answer = NULL;
    bus_close(&asking->bus);
}
