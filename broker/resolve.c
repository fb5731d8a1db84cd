/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* resolve - a person looked at the service and says what became of a request whose effect
 * is not known
 *
 * The verdict is a fact, `signalbox.resolved`, whose cause is the request: it stands in
 * the log, is published live, and consumer groups can take it.  The request's own outcome
 * stays as it is.  A later verdict counts instead of an earlier one. */
#include <string.h>

#include "broker/dealing.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum {
    NOTE_MAX = 4000,     /* bytes of a person's note; a longer one is refused */
    NAMES_EXTRA = 16384, /* the records of one verdict, at most */
};

static enum dealing_kind read_verdict(const char *text)
{
    if (strcmp(text, "success") == 0)
        return DEALT_SUCCESS;
    return strcmp(text, "failed") == 0 ? DEALT_FAILED : DEALT_NOT;
}

/* NULL, or why there is nothing to resolve. */
static const char *judge(struct act *act, const struct dealing *d)
{
    const char *note = js_text(act->args, "note", "");

    if (dealing_is_delivery(d))
        return "only a request has an effect to be resolved";
    if (read_verdict(js_text(act->args, "as", "")) == DEALT_NOT)
        return "`as` is success or failed";
    if (!*note || strlen(note) > NOTE_MAX)
        return "a note of at most 4000 bytes says how it is known";
    if (d->by->status == STATUS_SUCCESS)
        return "it succeeded";
    if (d->last == DEALT_REDRIVEN)
        return "it was redriven: resolve its redrive (`trace` names it)";
    if (d->last == DEALT_NOT && !dealing_in_doubt(d))
        return "its failure is definite, nothing is unknown about it";
    return NULL;
}

static void stage(struct core *core, struct act *act, const struct dealing *d,
                  const uint8_t id[16])
{
    const char *as = js_text(act->args, "as", "");
    _free_ char *key =
        attrs_copy_text(record_attrs(d->event), d->event->attr_len, ATTR_KEY);
    _free_ char *event_id = record_id_text(d->event);
    struct json *data = js_set_text(js_object(), "id", event_id);
    struct buf attrs = BUF_NULL, text = BUF_NULL;

    js_set_text(js_set_text(data, "as", as), "note", js_text(act->args, "note", ""));
    js_set_text(data, "actor", act->actor);
    js_write(data, 0, &text);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "signalbox");
    attrs_text(&attrs, ATTR_ACTOR, act->actor);
    if (d->event->flags & RECORD_FOREIGN_ID)
        attrs_text(&attrs, ATTR_CAUSE_TEXT, event_id);
    stage_room(core, NAMES_EXTRA); /* the name and its event: one block */
    dealing_stage(core, d, read_verdict(as), id);
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .flags = RECORD_JSON | RECORD_BY_BROKER,
                                 .type = "signalbox.resolved",
                                 .id = id,
                                 .cause = d->event->id,
                                 .key = key,
                                 .time_us = core->wall_us,
                                 .integration = d->group->hash,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    act->is_staged = true;
    js_free(data);
    buf_fini(&attrs);
    buf_fini(&text);
}

void resolve(struct core *core, struct act *act)
{
    struct dealing d;
    uint8_t id[16];
    const char *why = dealing_open(core, act->args, &d);

    if (!why && !id_parse(js_text(act->args, "new", ""), id))
        why = "`new` is the id for the verdict";
    bool is_done = !why && d.before > 0 && memcmp(d.last_value.id, id, 16) == 0;
    if (!why && !is_done)
        why = judge(act, &d);
    if (!why && !is_done)
        stage(core, act, &d, id);
    if (why)
        act_refuse(act, "%s", why);
    else
        act->body = js_set_text(js_object(), "as", js_text(act->args, "as", ""));
    dealing_close(&d);
}
