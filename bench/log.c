/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A log of any length, made without a system: blocks as the broker writes them, straight
 * into the store.
 *
 * Each block holds new requests and facts, and the outcomes and acknowledgements of what
 * the block before asked.  One request in 100 fails, one in 200 takes an attempt more,
 * one in 10,000 never ends; one in 100,000 is for a service that is hardly used.  Events
 * are spread evenly over the last 24 hours.  Checkpoints are those of the broker's core,
 * which follows the log as it grows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "broker/core.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/store/store.h"
#include "proto/attrs.h"
#include "proto/block.h"
#include "proto/control.h"

enum {
    EVENTS_PER_BLOCK = 2000,
    REQUESTS = 900, /* of these; as many outcomes, the rest are facts */
    FACTS = 200,
    APPEND_BLOCKS = 32, /* in one transaction */
    FAILS = 100,
    RETRIES = 200,
    HANGS = 10000,
    RARE = 100000,
    KEYS = 50000,
};
#define SPAN_US       (24 * 3600 * 1000000ull)
#define SEGMENT_BYTES (256ull << 20)

/* What the made system consists of. */
static const struct source {
    const char *integration, *service, *connector, *operation;
    const char *currency; /* of its costs, NULL: none */
} sources[] = {
    {"stripe", "Stripe", "payment", "payment.charge", "EUR"},
    {"smtp", "SMTP", "email", "email.send", NULL},
    {"openai", "OpenAI", "ai", "ai.complete", "USD"},
    {"slack", "Slack", "messaging", "messaging.send", NULL},
    {"nominatim", "Nominatim", "maps", "maps.geocode", NULL},
    {"rare", "Rare", "http", "http.call", NULL},
};
enum { N_SOURCES = sizeof(sources) / sizeof(*sources), RARE_SOURCE = N_SOURCES - 1 };

static const enum record_class classes[] = {CLASS_permanent, CLASS_exhausted,
                                            CLASS_deadline, CLASS_unknown};

/* A request that waits for its outcome. */
struct asked {
    struct position at;
    uint8_t id[16];
    uint8_t source;
    bool is_retried;
};

struct maker {
    const struct bench_args *args;
    struct store *store;
    struct buf body, attrs;
    uint8_t *data;
    struct block *pending[APPEND_BLOCKS];
    size_t n_pending;
    uint64_t number, time_us, step_us, made;
    uint64_t requests, facts, outcomes;
    uint32_t crc, count, events, facts_first;
    uint64_t facts_block;
    uint64_t dice;
    struct asked asked[REQUESTS * 2];
    size_t n_asked;
    struct core *core; /* has replayed what is made so far */
    uint64_t since_checkpoint;
};

/* xorshift64: the same log each time, but for ids and times. */
static uint64_t roll(struct maker *m)
{
    m->dice ^= m->dice << 13;
    m->dice ^= m->dice >> 7;
    return m->dice ^= m->dice << 17;
}

static bool one_in(struct maker *m, uint64_t n)
{
    return roll(m) % n == 0;
}

static struct position add(struct maker *m, const struct record_parts *parts)
{
    struct position at = {m->number, m->count++};

    if (record_add(&m->body, parts) < 0)
        bench_die("a record is over its limits");
    m->requests += parts->kind == RECORD_REQUEST;
    m->outcomes += parts->kind == RECORD_OUTCOME;
    m->facts += parts->kind == RECORD_FACT;
    m->events += parts->kind < RECORD_BATCH;
    return at;
}

static void begin(struct maker *m)
{
    buf_clear(&m->body);
    buf_add(&m->body, NULL, sizeof(struct block));
    m->number++;
    m->time_us += m->step_us;
    m->count = m->events = 0;
}

static void flush(struct maker *m)
{
    while (store_prepare(m->store) == STORE_MORE)
        ;
    if (m->n_pending &&
        store_append(m->store, (const struct block *const *)m->pending, m->n_pending))
        bench_die("append: %s", store_error(m->store));
    while (m->n_pending)
        free(m->pending[--m->n_pending]);
}

/* --- checkpoints --- */

static void put_block(struct maker *m, const struct block *b)
{
    m->crc = b->crc;
    m->pending[m->n_pending++] = mem_copy(b, b->len);
    if (m->n_pending == APPEND_BLOCKS)
        flush(m);
}

static void replay(struct maker *m, const struct block *b)
{
    const char *why;

    if (!core_replay(m->core, b, &why))
        bench_die("block %" PRIu64 ": %s", b->number, why);
}

static void no_send(void *user, uint64_t peer, const void *frame, size_t n)
{
    (void)user, (void)peer, (void)frame, (void)n;
}
static struct block_ref *no_read(void *user, uint64_t number)
{
    (void)user, (void)number;
    return NULL;
}
static bool no_key(void *user, const uint8_t key[16], struct core_key *ret)
{
    (void)user, (void)key, (void)ret;
    return false;
}
static void no_live(void *user, const struct block *block)
{
    (void)user, (void)block;
}
static bool not_alive(void *user, uint64_t pid)
{
    (void)user, (void)pid;
    return false;
}
static void no_words(void *user, int log_id, const char *text)
{
    (void)user, (void)log_id, (void)text;
}

/* The block is in the log now; the next core begins with it. */
static void take_checkpoint(void *user, struct block_ref *ref)
{
    struct maker *m = user;

    m->number = ref->block->number;
    put_block(m, ref->block);
    replay(m, ref->block);
}

static const struct core_ops core_ops = {.send = no_send,
                                         .append = take_checkpoint,
                                         .read = no_read,
                                         .find_key = no_key,
                                         .live = no_live,
                                         .alive = not_alive,
                                         .say = no_words};

/* What a broker that starts here writes. */
static void checkpoint(struct maker *m)
{
    static const uint8_t boot[16] = {1};
    const struct log_head head = {.number = m->number,
                                  .term = m->number ? 1 : 0,
                                  .timestamp_us = m->number ? m->time_us : 0,
                                  .segment_room = SEGMENT_BYTES,
                                  .crc = m->crc};
    struct core *old = m->core;

    m->time_us += m->step_us;
    if (!old)
        old = core_new(&core_ops, m, boot);
    m->core = core_new(&core_ops, m, boot);
    core_time(old, m->time_us, 1);
    core_time(m->core, m->time_us, 1);
    core_start(old, 1, &head);
    core_free(old);
    m->since_checkpoint = 0;
}

static void seal(struct maker *m)
{
    struct block *b = (struct block *)(void *)m->body.bytes;

    b->number = m->number;
    b->term = 1;
    b->prev_crc = m->crc;
    b->timestamp_us = m->time_us;
    b->count = m->count;
    b->events = m->events;
    b->requests_total = m->requests;
    b->facts_total = m->facts;
    b->outcomes_total = m->outcomes;
    block_seal(b, m->body.len);
    m->made += m->events;
    m->since_checkpoint += b->len;
    replay(m, b);
    put_block(m, b);
    if (m->since_checkpoint > CORE_CHECKPOINT_BYTES)
        checkpoint(m);
}

/* --- records --- */

static void define(struct maker *m)
{
    static const char group[] = "{\"name\":\"billing\",\"types\":[\"ticket.*\"]}";

    for (size_t i = 0; i < N_SOURCES; i++) {
        const struct source *s = &sources[i];
        _free_ char *json =
            mem_format("{\"name\":\"%s\",\"connector\":\"%s\",\"service\":\"%s\"}",
                       s->integration, s->connector, s->service);
        add(m, &(struct record_parts){.kind = RECORD_INTEGRATION,
                                      .integration = integration_hash(s->integration),
                                      .data = json,
                                      .data_len = strlen(json)});
    }
    add(m, &(struct record_parts){.kind = RECORD_NOTE,
                                  .type = "signalbox.group",
                                  .data = group,
                                  .data_len = sizeof(group) - 1});
}

static void ask(struct maker *m)
{
    struct asked *a = &m->asked[m->n_asked];
    char type[64], key[32];

    *a = (struct asked){.source = one_in(m, RARE) ? RARE_SOURCE
                                                  : (uint8_t)(roll(m) % RARE_SOURCE)};
    snprintf(type, sizeof(type), "%s.requested", sources[a->source].operation);
    snprintf(key, sizeof(key), "customer-%" PRIu64, roll(m) % KEYS);
    id_new(m->time_us, a->id);
    a->at = add(m, &(struct record_parts){
                       .kind = RECORD_REQUEST,
                       .type = type,
                       .id = a->id,
                       .key = key,
                       .integration = integration_hash(sources[a->source].integration),
                       .flags = RECORD_JSON,
                       .data = m->data,
                       .data_len = m->args->size});
    if (!one_in(m, HANGS))
        m->n_asked++;
}

static void retry(struct maker *m, const struct asked *a)
{
    struct control_retry c = {.block = a->at.block,
                              .index = a->at.index,
                              .group = integration_hash(sources[a->source].integration),
                              .due_us = m->time_us + 1000000,
                              .attempts = 1};

    attrs_begin(&m->attrs);
    attrs_text(&m->attrs, ATTR_ERROR_MSG, "503 Service Unavailable");
    add(m, &(struct record_parts){.kind = RECORD_RETRY,
                                  .attrs = m->attrs.bytes,
                                  .attr_len = m->attrs.len,
                                  .data = &c,
                                  .data_len = sizeof(c)});
}

static void answer(struct maker *m, const struct asked *a)
{
    const struct source *s = &sources[a->source];
    enum record_class class = one_in(m, FAILS) ? classes[roll(m) % 4] : CLASS_none;
    char type[64];
    uint8_t id[16];

    snprintf(type, sizeof(type), "%s.%s", s->operation, class ? "failed" : "succeeded");
    id_new(m->time_us, id);
    attrs_begin(&m->attrs);
    if (class)
        attrs_text(&m->attrs, ATTR_ERROR_MSG, "402 Payment Required: it was declined");
    if (s->currency) {
        attrs_int(&m->attrs, ATTR_COST, 2500 + (int64_t)(roll(m) % 500));
        attrs_text(&m->attrs, ATTR_CURRENCY, s->currency);
        attrs_text(&m->attrs, ATTR_COST_KIND, one_in(m, 2) ? "actual" : "estimated");
    }
    add(m, &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .type = type,
                                  .id = id,
                                  .cause = a->id,
                                  .settles = a->at,
                                  .status = class ? STATUS_FAILED : STATUS_SUCCESS,
                                  .error_class = class,
                                  .attempt = a->is_retried ? 2 : 1,
                                  .integration = integration_hash(s->integration),
                                  .flags = RECORD_JSON,
                                  .attrs = m->attrs.bytes,
                                  .attr_len = m->attrs.len,
                                  .data = m->data,
                                  .data_len = m->args->size});
}

static void acknowledge(struct maker *m)
{
    struct control_ack c = {.group = integration_hash("billing"),
                            .first = m->facts_first,
                            .count = FACTS,
                            .result = STATUS_SUCCESS,
                            .block = m->facts_block};

    if (m->facts_block)
        add(m, &(struct record_parts){
                   .kind = RECORD_ACK, .data = &c, .data_len = sizeof(c)});
}

static void tell_facts(struct maker *m)
{
    m->facts_block = m->number;
    m->facts_first = m->count;
    for (int i = 0; i < FACTS; i++) {
        uint8_t id[16];
        id_new(m->time_us, id);
        add(m, &(struct record_parts){.kind = RECORD_FACT,
                                      .type = one_in(m, 2) ? "ticket.made" : "shop.seen",
                                      .id = id,
                                      .flags = RECORD_JSON,
                                      .data = m->data,
                                      .data_len = m->args->size});
    }
}

static void make_block(struct maker *m)
{
    size_t n = m->n_asked, kept = 0;

    begin(m);
    if (m->number == 2) /* the first one is a checkpoint */
        define(m);
    for (size_t i = 0; i < n; i++) {
        struct asked *a = &m->asked[i];
        if (!a->is_retried && one_in(m, RETRIES)) {
            retry(m, a);
            a->is_retried = true;
            m->asked[kept++] = *a;
        } else {
            answer(m, a);
        }
    }
    m->n_asked = kept;
    acknowledge(m);
    for (int i = 0; i < REQUESTS; i++)
        ask(m);
    tell_facts(m);
    seal(m);
}

int bench_log(const struct bench_args *args)
{
    char error[256];
    struct store_options options = {.dir = args->dir, .segment_size = SEGMENT_BYTES};
    struct maker *m = mem_alloc(sizeof(*m));
    uint64_t began = bench_now();

    if (!args->dir)
        bench_die("--dir: where the log is to be made");
    m->args = args;
    m->dice = 0x9e3779b97f4a7c15u;
    m->step_us = SPAN_US / (args->events / EVENTS_PER_BLOCK + 1);
    m->time_us = clock_wall_us() - SPAN_US;
    m->data = mem_alloc(args->size + 1);
    bench_fill(m->data, args->size);
    m->store = store_open(&options, error, sizeof(error));
    if (!m->store)
        bench_die("%s", error);
    checkpoint(m);
    while (m->made < args->events)
        make_block(m);
    flush(m);
    core_free(m->core);
    store_close(m->store);
    bench_say("events", m->made);
    bench_say("blocks", m->number);
    bench_say("us", bench_now() - began);
    buf_fini(&m->body);
    buf_fini(&m->attrs);
    free(m->data);
    free(m);
    return 0;
}
