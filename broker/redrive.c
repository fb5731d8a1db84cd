/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* redrive - what failed is tried again as a new request whose cause is the old one
 *
 * Once: a second redrive of the same event is refused, whoever asks.  The service's
 * idempotency key is kept where the failed one may have had its effect and the key still
 * lives; a definite failure gets a new one.  What a consumer group gave up comes back as
 * a fact for that group alone. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/dealing.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum {
    REDRIVE_ITEMS_MAX = 64, /* of one command; more: refused */
    NAMES_EXTRA = 4096,     /* what the redrive's record may be longer than the first */
};

/* One item: what is to be done about it, or why not. */
struct plan {
    struct dealing dealing;
    bool again;      /* the person insists */
    bool keeps_key;  /* the service's idempotency key, and with it the doubt */
    const char *key; /* what is said about it; NULL: nothing */
    bool is_done;    /* asked again after a reconnect */
    uint64_t key_us; /* when the key may have been used first */
    uint8_t id[16];  /* of the new event */
    char why[300];
};

static bool refuse(struct plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct plan *plan, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(plan->why, sizeof(plan->why), format, args);
    va_end(args);
    return false;
}

/* --- may it be redriven? --- */

static bool is_pending(const struct dealing *d)
{
    struct position at = d->last_value.position;
    struct slot *slot = slot_find(d->group, at.block);

    if (at.block == 0)
        return true; /* staged a moment ago */
    return slot && slot->open > 0 && at.index < slot->count &&
           slot_cell(slot, at.index)->state != CELL_SETTLED;
}

/* What was done about it before may stand against it. */
static bool judge_past(struct plan *plan)
{
    const struct dealing *d = &plan->dealing;
    char id[ID_TEXT_SIZE];

    id_format(d->last_value.id, id);
    if (!dealing_is_delivery(d) && d->by->status == STATUS_SUCCESS)
        return refuse(plan, "it succeeded; --again would do it once more");
    if (d->last == DEALT_REDRIVEN)
        return refuse(plan,
                      is_pending(d) ? "its redrive %s is pending"
                                    : "it was redriven as %s, which has its outcome: "
                                      "that one can be redriven if it failed",
                      id);
    if (d->last == DEALT_SUCCESS)
        return refuse(plan, "a person resolved it as success (%s)", id);
    return true;
}

/* When the service's key may have been used first. */
static uint64_t key_time_us(const struct dealing *d)
{
    int64_t since;

    return attrs_find_int(record_attrs(d->event), d->event->attr_len, ATTR_CALL_KEY_TIME,
                          &since)
               ? (uint64_t)since
               : d->event_block->block->timestamp_us;
}

static bool refuse_doubt(struct plan *plan, bool is_keyed, uint64_t lifetime_us)
{
    if (is_keyed)
        return refuse(plan,
                      "it may have had its effect, and the service has forgotten its "
                      "idempotency key (lifetime %" PRIu64 " s): look it up there, then "
                      "resolve it; --again takes a new key and risks doing it twice",
                      lifetime_us / 1000000);
    return refuse(plan, "it may have had its effect, and the service takes no key that "
                        "would keep it from a second one: look it up there, then resolve "
                        "it; --again risks doing it twice");
}

/* The service's key: kept where there is doubt and it lives.  Where the connector can ask
 * the service whether it happened, a redrive takes the doubt over in any case, and the
 * connector asks. */
static bool judge_key(struct core *core, struct plan *plan)
{
    const struct dealing *d = &plan->dealing;
    const char *repeat = js_text(d->operation, "repeat", d->operation ? "never" : "safe");
    uint64_t lifetime_us = (uint64_t)js_int(d->operation, "key_lifetime_s", 0) * 1000000;
    bool is_keyed = strcmp(repeat, "keyed") == 0;

    plan->key = is_keyed ? "new" : "none";
    if (strcmp(repeat, "safe") == 0 || !dealing_in_doubt(d))
        return true;
    plan->key_us = key_time_us(d);
    if (is_keyed && core->wall_us < plan->key_us + lifetime_us)
        plan->key = "kept";
    else if (js_bool(d->operation, "lookup", false))
        plan->key = "lookup";
    else
        return plan->again || refuse_doubt(plan, is_keyed, lifetime_us);
    plan->keeps_key = true;
    return true;
}

static bool judge(struct core *core, struct plan *plan, const struct json *item)
{
    const char *why = dealing_open(core, item, &plan->dealing);

    if (why)
        return refuse(plan, "%s", why);
    if (!id_parse(js_text(item, "new", ""), plan->id))
        return refuse(plan, "`new` is the id for the new event");
    plan->is_done = plan->dealing.last == DEALT_REDRIVEN &&
                    memcmp(plan->dealing.last_value.id, plan->id, 16) == 0;
    if (!plan->is_done && !plan->again && !judge_past(plan))
        return false;
    return plan->is_done || dealing_is_delivery(&plan->dealing) || judge_key(core, plan);
}

/* --- the new event --- */

/* What the first one's sender said is kept; what was said about its delivery is not. */
static bool copy_attr(void *user, const struct attr_value *v)
{
    static const bool own[ATTR_COUNT] = {
        [ATTR_ID] = true,           [ATTR_KEY] = true,
        [ATTR_ERROR_MSG] = true,    [ATTR_IDEMPOTENCY_KEY] = true,
        [ATTR_CAUSE_TEXT] = true,   [ATTR_SCHEDULE] = true,
        [ATTR_ACTOR] = true,        [ATTR_CALL_KEY] = true,
        [ATTR_CALL_KEY_TIME] = true};
    struct buf *attrs = user;

    if (v->name || v->attr >= ATTR_COUNT || own[v->attr])
        return true;
    if (v->type == ATTR_IS_INT) {
        attrs_int(attrs, (enum attr)v->attr, v->number);
    } else if (v->type == ATTR_IS_BOOL) {
        attrs_bool(attrs, (enum attr)v->attr, v->number);
    } else {
        _free_ char *text = mem_copy(v->text, v->text_len);
        attrs_text(attrs, (enum attr)v->attr, text);
    }
    return true;
}

/* Extension attributes (their keys are texts) are kept too. */
static bool copy_named(void *user, const struct attr_value *v)
{
    struct buf *attrs = user;

    if (!v->name)
        return true;
    _free_ char *name = mem_copy(v->name, v->name_len);
    if (v->type == ATTR_IS_INT) {
        attrs_named_int(attrs, name, v->number);
    } else if (v->type == ATTR_IS_BOOL) {
        attrs_named_bool(attrs, name, v->number);
    } else if (v->type == ATTR_IS_BIN) {
        attrs_named_bin(attrs, name, v->text, v->text_len);
    } else {
        _free_ char *text = mem_copy(v->text, v->text_len);
        attrs_named_text(attrs, name, text);
    }
    return true;
}

static void make_attrs(const struct plan *plan, const char *actor, struct buf *attrs)
{
    const struct record *r = plan->dealing.event;
    const char *why;

    attrs_begin(attrs);
    attrs_walk(record_attrs(r), r->attr_len, copy_attr, attrs, &why);
    attrs_walk(record_attrs(r), r->attr_len, copy_named, attrs, &why);
    attrs_text(attrs, ATTR_ACTOR, actor);
    if (r->flags & RECORD_FOREIGN_ID) {
        _free_ char *id = record_id_text(r);
        attrs_text(attrs, ATTR_CAUSE_TEXT, id);
    }
    if (plan->keeps_key) {
        _free_ char *key = record_call_key(r);
        attrs_text(attrs, ATTR_CALL_KEY, key);
        attrs_int(attrs, ATTR_CALL_KEY_TIME, (int64_t)plan->key_us);
    }
}

static bool make_record(struct core *core, const struct plan *plan, const char *actor,
                        struct buf *out)
{
    const struct record *r = plan->dealing.event;
    const struct group *group = plan->dealing.group;
    bool is_delivery = dealing_is_delivery(&plan->dealing);
    uint8_t kept = r->flags & (RECORD_JSON | RECORD_PROVIDERS);
    _free_ char *type = mem_copy(record_type(r), r->type_len);
    _free_ char *key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY);
    struct buf attrs = BUF_NULL;

    make_attrs(plan, actor, &attrs);
    struct record_parts parts = {
        .kind = is_delivery ? RECORD_FACT : RECORD_REQUEST,
        .flags = kept | RECORD_BY_BROKER | (is_delivery ? RECORD_ONE_GROUP : 0),
        .type = type,
        .id = plan->id,
        .cause = r->id,
        .key = key,
        .time_us = core->wall_us,
        .deadline_us = is_delivery ? 0 : core->wall_us + group->deadline_us,
        .settles.index = is_delivery ? group->hash : 0,
        .integration = r->integration,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = record_data(r),
        .data_len = r->data_len};
    long at = record_add(out, &parts);
    buf_fini(&attrs);
    return at >= 0;
}

static bool stage(struct core *core, struct plan *plan, const char *actor)
{
    struct buf record = BUF_NULL;
    bool fits = make_record(core, plan, actor, &record);

    if (fits) {
        stage_room(core,
                   record.len + NAMES_EXTRA); /* the name and its event: one block */
        dealing_stage(core, &plan->dealing, DEALT_REDRIVEN, plan->id);
        stage_add(core, record.bytes, record.len, NULL);
    }
    buf_fini(&record);
    return fits || refuse(plan, "with what a redrive adds it is too large for one event");
}

/* --- the command --- */

static struct json *one(struct core *core, struct act *act, const struct json *item)
{
    struct plan plan = {.again = js_bool(act->args, "again", false)};
    bool is_dry = js_bool(act->args, "dry", false);
    struct json *o = js_set_text(js_object(), "id", js_text(item, "id", NULL));
    bool good = judge(core, &plan, item);

    if (good && !plan.is_done && !is_dry) {
        good = stage(core, &plan, act->actor);
        act->is_staged |= good;
    }
    js_set_bool(o, "ok", good);
    if (!good)
        js_set_text(o, "why", plan.why);
    else if (!plan.is_done && !dealing_is_delivery(&plan.dealing))
        js_set_text(o, "key", plan.key);
    dealing_close(&plan.dealing);
    return o;
}

void redrive(struct core *core, struct act *act)
{
    const struct json *items = js_get(act->args, "items");
    size_t n = js_count(items);

    if (!js_is_array(items) || n == 0 || n > REDRIVE_ITEMS_MAX) {
        act_refuse(act, "`items` is an array of 1 to %d", REDRIVE_ITEMS_MAX);
        return;
    }
    if (core->staged_bytes > CORE_STAGED_MAX) {
        act_refuse(act, "%zu bytes wait for the log: try again", core->staged_bytes);
        return;
    }
    struct json *results = js_array();
    for (size_t i = 0; i < n; i++)
        js_push(results, one(core, act, js_at(items, i)));
    act->body = js_set(js_object(), "items", results);
}
