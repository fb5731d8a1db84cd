/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* refusals - what was refused of whom: all of it counted, and said at most once a second
 * of each kind, so that whoever knocks a thousand times does not fill the operator's log
 */
#include <inttypes.h>
#include <stdio.h>

#include "broker/state.h"
#include "lib/base/log.h"

enum { SAY_EVERY_US = 1000000 };

static const struct {
    const char *name; /* in `status` */
    int log_id;
} kinds[REFUSAL_KINDS] = {
    [REFUSAL_STRANGER] = {"strangers", LOG_PEER_REFUSED},
    [REFUSAL_FRAME] = {"bad_frames", LOG_BUS_GARBAGE},
    [REFUSAL_HELLO] = {"hellos", LOG_SESSION_REFUSED},
    [REFUSAL_RIGHT] = {"without_right", LOG_RIGHT_REFUSED},
    [REFUSAL_NOT_HELD] = {"results_not_held", LOG_RESULT_NOT_HELD},
};

void refusal_note(struct core *core, enum refusal kind, const char *who, const char *what)
{
    struct refusals *refusals = &core->refusals[kind];
    char text[300];

    refusals->total++;
    if (refusals->said_us && core->steady_us < refusals->said_us + SAY_EVERY_US) {
        refusals->unsaid++;
        return;
    }
    int n = snprintf(text, sizeof(text), "%s%s%s%s", who ? "name=" : "", who ? who : "",
                     who ? " " : "", what);
    if (refusals->unsaid && n > 0 && (size_t)n < sizeof(text))
        snprintf(text + n, sizeof(text) - (size_t)n,
                 " (and %" PRIu64 " more since the last of these)", refusals->unsaid);
    refusals->said_us = core->steady_us ? core->steady_us : 1;
    refusals->unsaid = 0;
    core->ops->say(core->user, kinds[kind].log_id, text);
}

struct json *refusals_status(const struct core *core)
{
    struct json *o = js_object();

    for (size_t i = 0; i < REFUSAL_KINDS; i++)
        js_set_int(o, kinds[i].name, (int64_t)core->refusals[i].total);
    return o;
}

void core_stranger(struct core *core, const char *what)
{
    refusal_note(core, REFUSAL_STRANGER, NULL, what);
}
