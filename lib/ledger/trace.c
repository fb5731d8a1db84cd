/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/state.h"
#include "proto/attrs.h"

enum {
    DEPTH_MAX = 8,    /* of what followed what followed; deeper ones are rows only */
    EVENTS_MAX = 500, /* told with all that belongs to them; further ones are rows only */
};

struct trace {
    struct ledger *ledger;
    struct position at, outcome; /* outcome.block 0: none yet */
    struct json *attempts, *starts, *late, *settled_by, *followed;
    unsigned depth;
    unsigned *left; /* of EVENTS_MAX */
};

static struct json *build(struct trace *t);

static void set_time(struct json *object, const char *name, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];

    text_time(time_us, text);
    js_set_text(object, name, text);
}

/* What any control record about the event says: when, by which group, how it went. */
static struct json *note(const struct trace *t, const struct block *b,
                         const struct record *r, uint32_t group)
{
    const struct group *consumers = names_group(t->ledger, group);
    const struct integration_def *handler = names_integration(t->ledger, group, t->at);
    _free_ char *error_msg =
        attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    struct json *o = js_object();

    set_time(o, "timestamp", b->timestamp_us);
    js_set_text(o, "group", consumers ? consumers->name : handler ? handler->name : NULL);
    if (r->error_class)
        js_set_text(o, "error_class", class_name(r->error_class));
    js_set_text(o, "error_msg", error_msg);
    return o;
}

static void take_retry(struct trace *t, const struct block *b, const struct record *r)
{
    struct control_retry c;

    memcpy(&c, record_data(r), sizeof(c));
    if (c.block != t->at.block || c.index != t->at.index)
        return;
    struct json *o = note(t, b, r, c.group);
    js_set_int(o, "attempt", c.attempts);
    if (c.deaths)
        js_set_int(o, "deaths", c.deaths);
    if (r->flags & RECORD_DOUBT) /* it may have had its effect */
        js_set_bool(o, "in_doubt", true);
    if (c.due_us)
        set_time(o, "due", c.due_us);
    js_push(t->attempts, o);
}

static void take_ack(struct trace *t, const struct block *b, const struct record *r)
{
    struct control_ack c;

    memcpy(&c, record_data(r), sizeof(c));
    if (c.block == t->at.block && t->at.index >= c.first &&
        t->at.index - c.first < c.count)
        js_push(t->settled_by,
                js_set_text(note(t, b, r, c.group), "status", status_name(c.result)));
}

/* An attempt of an operation that may not be repeated was about to begin. */
static void take_start(struct trace *t, const struct block *b, const struct record *r)
{
    struct control_start c;

    memcpy(&c, record_data(r), sizeof(c));
    if (c.block == t->at.block && c.index == t->at.index)
        js_push(t->starts, note(t, b, r, c.group));
}

static void gather_deliveries(struct trace *t)
{
    uint64_t n = t->at.block;

    while ((n = ledger_next(t->ledger, n, /* backwards= */ false, VIEWS_OF,
                            &t->at.block)) != 0) {
        const struct block *b = ledger_block(t->ledger, n++, NULL);
        for (const struct record *r = b && b->count ? block_first(b) : NULL; r;
             r = block_next(b, r)) {
            if (r->kind == RECORD_RETRY && r->data_len >= sizeof(struct control_retry))
                take_retry(t, b, r);
            else if (r->kind == RECORD_ACK && r->data_len >= sizeof(struct control_ack))
                take_ack(t, b, r);
            else if (r->kind == RECORD_START &&
                     r->data_len >= sizeof(struct control_start))
                take_start(t, b, r);
        }
    }
}

static bool push_row(void *user, const struct ledger_row *row)
{
    js_push(user, ledger_row_json(row));
    return true;
}

static bool is_outcome_of(const struct trace *t, const struct record *r)
{
    return r->kind == RECORD_OUTCOME && r->cause_block == t->at.block &&
           r->cause_index == t->at.index;
}

static void take_follower(struct trace *t, const struct record *r, struct position at)
{
    struct hit hit = {.at = at};
    bool is_late = is_outcome_of(t, r);

    if (is_late && position_compare(at, t->outcome) == 0)
        return;
    if (!is_late && r->kind != RECORD_OUTCOME && t->depth < DEPTH_MAX && *t->left) {
        struct trace next = {
            .ledger = t->ledger, .at = at, .depth = t->depth + 1, .left = t->left};
        --*t->left;
        struct json *story = build(&next);
        if (story)
            js_push(t->followed, story);
        return;
    }
    hit.fate = settle_by_search(t->ledger, r, at);
    row_tell(t->ledger, &hit, push_row, is_late ? t->late : t->followed);
}

/* Events whose cause is the event with this id. */
static void gather_followers(struct trace *t, uint64_t from, const uint8_t id[16])
{
    uint64_t n = from;

    while ((n = ledger_next(t->ledger, n, /* backwards= */ false, VIEWS_ID, id)) != 0) {
        const struct block *b = ledger_block(t->ledger, n, NULL);
        uint32_t count = b ? b->count : 0;
        for (uint32_t index = 0; index < count; index++) {
            struct position at = {n, index};
            const struct record *r = ledger_record(t->ledger, at);
            if (r && record_is_event(r) && memcmp(r->cause, id, 16) == 0)
                take_follower(t, r, at);
        }
        n++;
    }
}

struct both {
    struct json *row, *outcome;
};

static bool take_both(void *user, const struct ledger_row *row)
{
    struct both *both = user;

    both->row = ledger_row_json(row);
    both->outcome = ledger_outcome_json(row);
    return true;
}

static struct json *build(struct trace *t)
{
    struct hit hit = {.at = t->at};
    struct both both = {0};
    uint8_t id[16];
    const struct record *r = ledger_record(t->ledger, t->at);

    if (!r)
        return NULL;
    memcpy(id, r->id, 16);
    bool is_request = r->kind == RECORD_REQUEST;
    hit.fate = settle_by_search(t->ledger, r, t->at);
    row_tell(t->ledger, &hit, take_both, &both);
    if (!both.row)
        return NULL;
    t->attempts = js_array();
    t->starts = js_array();
    t->late = js_array();
    t->settled_by = js_array();
    t->followed = js_array();
    t->outcome = is_request ? hit.fate.by : (struct position){0};
    gather_deliveries(t);
    gather_followers(t, t->at.block, id);
    r = t->outcome.block ? ledger_record(t->ledger, t->outcome) : NULL;
    if (r) {
        memcpy(id, r->id, 16);
        gather_followers(t, t->outcome.block, id);
    }
    js_set(both.row, "attempts", t->attempts);
    js_set(both.row, "starts", t->starts);
    js_set(both.row, "outcome", both.outcome ? both.outcome : js_null());
    js_set(both.row, "late", t->late);
    js_set(both.row, "settled_by", t->settled_by);
    return js_set(both.row, "followed", t->followed);
}

struct json *ledger_trace(struct ledger *ledger, const char *id)
{
    unsigned left = EVENTS_MAX;
    struct trace t = {.ledger = ledger, .left = &left};

    ledger_refresh(ledger);
    if (!ledger_locate(ledger, id, &t.at))
        return NULL;
    const struct record *r = ledger_record(ledger, t.at);
    struct position request = r && r->kind == RECORD_OUTCOME
                                  ? (struct position){r->cause_block, r->cause_index}
                                  : t.at;
    if (ledger_record(ledger,
                      request)) /* an outcome's id names the story of its request */
        t.at = request;
    return build(&t);
}
