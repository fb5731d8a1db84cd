/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cancel - a person ends a request that nobody works on: Failed/cancelled
 *
 * What a session holds may have begun at its end without our knowing yet: it is refused
 * then, since a cancelled request must not have been called. */
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

/* NULL when it can be cancelled, else why not. */
static const char *judge(const struct record *r, struct group *group, struct slot *slot,
                         struct position at)
{
    if (r->kind != RECORD_REQUEST)
        return "only a request can be cancelled";
    if (!group || !slot || slot->open == 0 || at.index >= slot->count)
        return "it has its outcome already";
    switch ((enum cell_state)slot_cell(slot, at.index)->state) {
    case CELL_OPEN:
    case CELL_WAITING:
    case CELL_PARKED:
        return NULL;
    case CELL_STARTING:
    case CELL_INFLIGHT:
        return "it is with its connector, which may have called the service already";
    case CELL_SETTLING:
    case CELL_SETTLED:
        break;
    }
    return "it has its outcome already";
}

static void end(struct core *core, struct act *act, const struct record *r,
                struct group *group, struct slot *slot, struct position at)
{
    unsigned attempts = slot_cell(slot, at.index)->attempts;
    const char *id = js_text(act->args, "id", "");
    struct json *data =
        js_set_text(js_set_text(js_object(), "id", id), "actor", act->actor);
    _free_ char *text =
        attempts ? mem_format("cancelled by %s after %u attempts, any of which may have "
                              "had its effect",
                              act->actor, attempts)
                 : mem_format("cancelled by %s before any attempt", act->actor);

    act_stage(core, act, "signalbox.cancelled", group->hash, r->id, data);
    js_free(data);
    settle_by_broker(core, group, slot, at.index, CLASS_cancelled, text);
    act->body = js_set_text(js_object(), "cancelled", id);
}

void cancel(struct core *core, struct act *act)
{
    struct block_ref *block;
    struct position at;
    const char *why;
    const struct record *r = act_event(core, act->args, &block, &at, &why);

    if (!r) {
        act_refuse(act, "%s", why);
        return;
    }
    struct group *group = group_find(core, r->integration);
    struct slot *slot = group ? slot_find(group, at.block) : NULL;
    why = judge(r, group, slot, at);
    if (why)
        act_refuse(act, "%s", why);
    else
        end(core, act, r, group, slot, at);
    block_ref_drop(block);
}
