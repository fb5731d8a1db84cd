/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

static void broke(struct judge *judge, const char *what)
{
    if (!judge->broken)
        judge->broken = what;
}

void judge_fini(struct judge *judge)
{
    free(judge->events);
}

static struct judged *find(struct judge *judge, enum judge_group group, uint64_t block,
                           uint32_t index)
{
    for (size_t i = judge->n; i--;) {
        struct judged *event = &judge->events[i];
        if (event->position.block == block && event->position.index == index &&
            event->group == group)
            return event;
    }
    return NULL;
}

/* --- the log --- */

static bool type_is(const struct record *r, const char *start, const char *end)
{
    size_t n = r->type_len, a = strlen(start), b = strlen(end);

    return n >= a + b && memcmp(record_type(r), start, a) == 0 &&
           memcmp(record_type(r) + n - b, end, b) == 0;
}

static void add(struct judge *judge, enum judge_group group, struct position position,
                const struct record *r)
{
    if (judge->n == judge->cap) {
        judge->cap = judge->cap ? judge->cap * 2 : 256;
        judge->events = mem_resize(judge->events, judge->cap * sizeof(*judge->events));
    }
    judge->events[judge->n++] =
        (struct judged){.position = position,
                        .key = r->key_hash,
                        .group = group,
                        .is_scheduled = r->flags & RECORD_SCHEDULED,
                        .is_once = type_is(r, "payment.transfer.requested", "")};
}

/* The client numbers what it publishes, in time_us. */
static void check_published(struct judge *judge, const struct record *r)
{
    bool is_request =
        r->kind == RECORD_REQUEST && !(r->flags & (RECORD_SCHEDULED | RECORD_PROVIDERS));

    if (!is_request && !type_is(r, "order.", ""))
        return;
    if (r->time_us <= judge->published)
        broke(judge, "events of one publisher changed places, or came twice");
    judge->published = r->time_us;
}

static void settle(struct judge *judge, struct judged *event)
{
    if (!event)
        broke(judge, "something settles what was not there before");
    else if (event->is_settled)
        broke(judge, "an event is settled twice");
    else
        event->is_settled = true;
}

static void on_ack(struct judge *judge, const struct record *r)
{
    const struct control_ack *c = (const void *)record_data(r);

    for (uint32_t i = 0; i < c->count; i++)
        settle(judge, find(judge, JUDGE_CONSUMER, c->block, c->first + i));
}

static void on_retry(struct judge *judge, const struct record *r)
{
    const struct control_retry *c = (const void *)record_data(r);
    struct judged *event =
        find(judge, c->group == judge->handler ? JUDGE_HANDLER : JUDGE_CONSUMER, c->block,
             c->index);

    if (!event || event->is_settled) {
        broke(judge, "a retry of what is not open");
        return;
    }
    if (c->attempts < event->attempts || c->attempts > event->attempts + 1)
        broke(judge, "attempts are not counted one by one");
    if ((r->flags & RECORD_DOUBT) && !event->is_begun)
        broke(judge, "doubt about what was never begun");
    event->attempts = c->attempts;
    event->is_begun = r->flags & RECORD_DOUBT;
    event->is_fresh = false;
}

static void on_start(struct judge *judge, const struct record *r)
{
    const struct control_start *c = (const void *)record_data(r);
    struct judged *event = find(judge, JUDGE_HANDLER, c->block, c->index);

    if (!event || event->is_settled || !event->is_once || event->is_begun)
        broke(judge, "a START that is not due");
    else
        event->is_begun = event->is_fresh = true;
}

/* Everything that came with an outcome is filed behind it, or counted in it. */
static void check_owed(struct judge *judge)
{
    if (judge->owed)
        broke(judge, "what was found is neither filed nor counted as known");
    judge->owed = 0;
}

/* An event's data is its number, an outcome's how many came with it. */
static void check_providers(struct judge *judge, const struct record *r)
{
    int number = r->data_len == 1 ? *record_data(r) - '0' : -1;
    int64_t known = 0;

    if (r->kind == RECORD_OUTCOME && number >= 0) {
        attrs_find_int(record_attrs(r), r->attr_len, ATTR_KNOWN, &known);
        judge->owed = number - known;
        memcpy(judge->owing, r->cause, 16);
    }
    if (!(r->flags & RECORD_PROVIDERS) || number < 0 || number > 9)
        return;
    if (judge->told[number]++)
        broke(judge, "one event of the provider's is there twice");
    if ((r->flags & RECORD_FOUND) && memcmp(judge->owing, r->cause, 16) != 0)
        broke(judge, "what was found stands away from its outcome");
    judge->owed -= (r->flags & RECORD_FOUND) != 0;
}

static void on_event(struct judge *judge, struct position position,
                     const struct record *r)
{
    if (!(r->flags & RECORD_FOUND))
        check_owed(judge);
    check_providers(judge, r);
    if (r->kind == RECORD_OUTCOME)
        settle(judge, find(judge, JUDGE_HANDLER, r->cause_block, r->cause_index));
    check_published(judge, r);
    if (r->kind == RECORD_REQUEST)
        add(judge, JUDGE_HANDLER, position, r);
    else if (type_is(r, "order.", "") || type_is(r, "payment.", ".succeeded"))
        add(judge, JUDGE_CONSUMER, position, r);
}

void judge_block(struct judge *judge, const struct block *block)
{
    struct position position = {.block = block->number};

    if (block->number != ++judge->blocks)
        broke(judge, "blocks are not consecutive");
    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r), position.index++) {
        if (record_is_event(r))
            on_event(judge, position, r);
        else if (r->kind == RECORD_ACK)
            on_ack(judge, r);
        else if (r->kind == RECORD_RETRY)
            on_retry(judge, r);
        else if (r->kind == RECORD_START)
            on_start(judge, r);
    }
    check_owed(judge);
}

/* --- deliveries --- */

static bool is_first_of_key(const struct judge *judge, const struct judged *event)
{
    for (const struct judged *other = judge->events; other < event; other++)
        if (other->group == event->group && other->key == event->key &&
            !other->is_settled)
            return false;
    return true;
}

static void check_doubt(struct judge *judge, struct judged *event, bool doubt)
{
    if (event->is_once && !event->is_begun)
        broke(judge, "an operation that may not be repeated is delivered without START");
    else if (doubt != (event->is_begun && !event->is_fresh))
        broke(judge, doubt ? "doubt where there is none" : "no doubt where there is");
    event->is_fresh = false;
}

static void check_one(struct judge *judge, const struct slice *slice, uint32_t index,
                      const struct record *r)
{
    enum judge_group group = r->kind == RECORD_REQUEST ? JUDGE_HANDLER : JUDGE_CONSUMER;
    struct judged *event = find(judge, group, slice->block, index);

    if (!event) {
        broke(judge, "what is delivered is not committed, or not the group's");
        return;
    }
    if (event->is_settled)
        broke(judge, "what is settled is delivered again");
    if (slice->attempt != event->attempts + 1)
        broke(judge, "the attempt is not the one that the log says");
    if (judge->is_ordered[group] && event->key && !is_first_of_key(judge, event))
        broke(judge, "delivered while one of its key before it is not settled");
    check_doubt(judge, event, slice->flags & SLICE_DOUBT);
}

void judge_delivery(struct judge *judge, const struct message *deliver)
{
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why;

    while ((slice = message_slice(deliver, slice, &r, &why)))
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r))
            check_one(judge, slice, slice->index + i, r);
    if (why)
        broke(judge, "a DELIVER that does not parse");
}

void judge_restart(struct judge *judge)
{
    for (size_t i = 0; i < judge->n; i++)
        judge->events[i].is_fresh = false;
}

void judge_end(struct judge *judge)
{
    unsigned runs = 0; /* the schedule's next may be under way */

    for (size_t i = 0; i < judge->n; i++) {
        const struct judged *event = &judge->events[i];
        runs += !event->is_settled && event->is_scheduled;
        if (!event->is_settled && (!event->is_scheduled || runs > 1))
            broke(judge, "an event is open although everyone was well");
    }
}
