/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include <string.h>

#include "dump.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/block.h"
#include "proto/control.h"
#include "proto/message.h"

#define NOW UINT64_C(1767225600000000) /* 2026-01-01T00:00:00Z */
#define MANIFEST                                                                         \
    "{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\",\"repeat\":\"keyed\"}]," \
    "\"webhooks\":[]}"

static const uint8_t first_id[16] = {0x01, 0x9b, 0x76, 0xda, 0xa8, 0x00, 0x7a, 0xbc,
                                     0x8d, 0xef, 0,    0,    0,    0,    0,    1};
static const uint8_t second_id[16] = {0x01, 0x9b, 0x76, 0xda, 0xa8, 0x01, 0x7a, 0xbc,
                                      0x8d, 0xef, 0,    0,    0,    0,    0,    2};
static const uint8_t third_id[16] = {0x01, 0x9b, 0x76, 0xda, 0xa8,
                                     0x02, 0x7a, 0xbc, 0x8d, 0xef};
static const uint8_t instance[16] = {1, 2,  3,  4,  5,  6,  7,  8,
                                     9, 10, 11, 12, 13, 14, 15, 16};

/* --- records --- */

static void add(struct buf *out, struct record_parts parts, const void *data, size_t n)
{
    parts.data = data;
    parts.data_len = n;
    record_add(out, &parts);
}

static void add_text(struct buf *out, struct record_parts parts, const char *data)
{
    add(out, parts, data, strlen(data));
}

static void request(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "shop");
    attrs_text(&attrs, ATTR_TRACEPARENT,
               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    attrs_named_text(&attrs, "tenant", "n\xc3\xbcrnberg");
    add_text(out,
             (struct record_parts){.kind = RECORD_REQUEST,
                                   .flags = RECORD_JSON,
                                   .type = "payment.charge.requested",
                                   .id = first_id,
                                   .key = "order-1",
                                   .time_us = NOW,
                                   .deadline_us = NOW + 3600000000,
                                   .integration = integration_hash("stripe"),
                                   .attrs = attrs.bytes,
                                   .attr_len = attrs.len},
             "{\"amount\":2000,\"currency\":\"usd\"}");
    buf_fini(&attrs);
}

static void outcome(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, "the card was declined");
    attrs_int(&attrs, ATTR_COST, 300000);
    attrs_text(&attrs, ATTR_CURRENCY, "USD");
    attrs_text(&attrs, ATTR_COST_KIND, "actual");
    attrs_bool(&attrs, ATTR_MORE, false);
    add_text(out,
             (struct record_parts){.kind = RECORD_OUTCOME,
                                   .status = STATUS_FAILED,
                                   .error_class = CLASS_permanent,
                                   .flags = RECORD_JSON,
                                   .attempt = 1,
                                   .type = "payment.charge.failed",
                                   .id = second_id,
                                   .cause = first_id,
                                   .settles = {7, 2},
                                   .attrs = attrs.bytes,
                                   .attr_len = attrs.len},
             "{\"code\":\"card_declined\"}");
    buf_fini(&attrs);
}

static void fact(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_CONTENT_TYPE, "application/octet-stream");
    add(out,
        (struct record_parts){.kind = RECORD_FACT,
                              .type = "order.created",
                              .id = first_id,
                              .attrs = attrs.bytes,
                              .attr_len = attrs.len},
        "\0\1\2\xff", 4);
    buf_fini(&attrs);
}

static void batch(struct buf *out)
{
    add(out, (struct record_parts){.kind = RECORD_BATCH, .id = instance},
        &(struct control_batch){.number = 5, .count = 2}, sizeof(struct control_batch));
}

static void idempotency(struct buf *out)
{
    uint8_t id[16];

    hash_pair("client:shop", "order-1", 7, id);
    add(out, (struct record_parts){.kind = RECORD_IDEMPOTENCY, .id = id},
        &(struct control_idempotency){.body_hash = hash_text("{}"),
                                      .expires_us = NOW + UINT64_C(604800000000)},
        sizeof(struct control_idempotency));
}

static void ack(struct buf *out)
{
    add(out, (struct record_parts){.kind = RECORD_ACK},
        &(struct control_ack){.group = integration_hash("billing"),
                              .first = 3,
                              .count = 2,
                              .result = STATUS_SUCCESS,
                              .block = 7},
        sizeof(struct control_ack));
}

static void retry(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, "the service asks for a pause");
    add(out,
        (struct record_parts){
            .kind = RECORD_RETRY, .attrs = attrs.bytes, .attr_len = attrs.len},
        &(struct control_retry){.block = 7, .index = 2, .due_us = 1500000, .attempts = 1},
        sizeof(struct control_retry));
    buf_fini(&attrs);
}

static void manifest(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "payment");
    add_text(out,
             (struct record_parts){
                 .kind = RECORD_MANIFEST, .attrs = attrs.bytes, .attr_len = attrs.len},
             MANIFEST);
    buf_fini(&attrs);
}

static void integration(struct buf *out)
{
    add_text(out,
             (struct record_parts){.kind = RECORD_INTEGRATION,
                                   .integration = integration_hash("stripe")},
             "{\"name\":\"stripe\",\"connector\":\"payment\",\"service\":\"Stripe\"}");
}

static void session(struct buf *out)
{
    add(out, (struct record_parts){.kind = RECORD_SESSION, .id = instance},
        &(struct control_session){
            .group = integration_hash("stripe"), .joined = 1, .pid = 4242},
        sizeof(struct control_session));
}

static void schedule(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SCHEDULE, "stripe.events");
    add(out,
        (struct record_parts){.kind = RECORD_SCHEDULE,
                              .id = second_id,
                              .attrs = attrs.bytes,
                              .attr_len = attrs.len},
        &(struct control_schedule){.due_us = NOW}, sizeof(struct control_schedule));
    buf_fini(&attrs);
}

static void checkpoint(struct buf *out)
{
    static const struct {
        struct control_checkpoint head;
        char piece[3];
    } data = {{.piece = 1, .last = 2}, {'a', 'b', 'c'}};

    add(out, (struct record_parts){.kind = RECORD_CHECKPOINT}, &data,
        sizeof(struct control_checkpoint) + 3);
}

static void note(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ACTOR, "root");
    add_text(out,
             (struct record_parts){.kind = RECORD_NOTE,
                                   .type = "signalbox.paused",
                                   .integration = integration_hash("stripe"),
                                   .attrs = attrs.bytes,
                                   .attr_len = attrs.len},
             "{\"name\":\"stripe\"}");
    buf_fini(&attrs);
}

static void start(struct buf *out)
{
    add(out, (struct record_parts){.kind = RECORD_START},
        &(struct control_start){
            .block = 7, .index = 2, .group = integration_hash("stripe")},
        sizeof(struct control_start));
}

/* --- bodies of messages --- */

static void hello(struct buf *out)
{
    const struct wire_position running[] = {{7, 2, 0}, {8, 0, 0}};
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_text(&map, "role", "connector");
    attrs_named_text(&map, "name", "stripe");
    attrs_named_bin(&map, "instance", instance, 16);
    attrs_named_int(&map, "pid", 4242);
    attrs_named_text(&map, "key", "0123456789abcdef");
    attrs_named_text(&map, "manifest", MANIFEST);
    attrs_named_int(&map, "batch", 4);
    attrs_named_bin(&map, "running", running, sizeof(running));
    buf_add(out, map.bytes, map.len);
    buf_fini(&map);
}

/* A consumer's, that has one event of its group still. */
static void consumers_hello(struct buf *out)
{
    const struct wire_position running[] = {{9, 1, 0}};
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_text(&map, "role", "client");
    attrs_named_text(&map, "name", "shop");
    attrs_named_bin(&map, "instance", instance, 16);
    attrs_named_int(&map, "pid", 4243);
    attrs_named_text(&map, "group", "billing");
    attrs_named_int(&map, "batch", 0);
    attrs_named_bin(&map, "running", running, sizeof(running));
    buf_add(out, map.bytes, map.len);
    buf_fini(&map);
}

static void welcome(struct buf *out)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_bin(&map, "boot", first_id, 16);
    attrs_named_int(&map, "window", WINDOW_BYTES_DEFAULT);
    attrs_named_int(&map, "lease_ms", 30000);
    attrs_named_int(&map, "ping_ms", 2000);
    attrs_named_int(&map, "last_batch", 4);
    attrs_named_bin(&map, "lost", &(struct wire_position){.block = 8},
                    sizeof(struct wire_position));
    buf_add(out, map.bytes, map.len);
    buf_fini(&map);
}

/* name, value pairs of texts, ended by NULL; then the integer `number` under `name`. */
static void map_of(struct buf *out, const char *const *texts, const char *name,
                   int64_t number)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    for (; *texts; texts += 2)
        attrs_named_text(&map, texts[0], texts[1]);
    if (name)
        attrs_named_int(&map, name, number);
    buf_add(out, map.bytes, map.len);
    buf_fini(&map);
}

static void refused(struct buf *out)
{
    static const char *const texts[] = {"code", "overloaded", "detail",
                                        "67108864 bytes wait for the log", NULL};

    map_of(out, texts, "retry_after_ms", 200);
}

static void subscribe(struct buf *out)
{
    static const char *const texts[] = {"group", "stripe", NULL};

    map_of(out, texts, "credit_events", 64);
}

static void admin(struct buf *out)
{
    static const char *const texts[] = {"command", "pause", "args",
                                        "{\"integration\":\"stripe\"}", NULL};

    map_of(out, texts, NULL, 0);
}

static void answer(struct buf *out)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_bool(&map, "ok", true);
    attrs_named_text(&map, "body", "{\"paused\":true}");
    buf_add(out, map.bytes, map.len);
    buf_fini(&map);
}

static void bye(struct buf *out)
{
    static const char *const texts[] = {"reason", "closing", NULL};

    map_of(out, texts, NULL, 0);
}

static void keyed_request(struct buf *out)
{
    idempotency(out);
    request(out);
}

static void published(struct buf *out)
{
    const struct published body = {
        .block = 7, .first = 2, .verdicts = 1, .timestamp_us = NOW};
    struct verdict verdict = {
        .index = 1, .code = VERDICT_DUPLICATE, .block = 3, .position = 9};

    memcpy(verdict.first_id, second_id, 16);
    buf_add(out, &body, sizeof(body));
    buf_add(out, &verdict, sizeof(verdict));
}

static void credit(struct buf *out)
{
    buf_add(out, &(struct credit){.events = 64, .bytes = 1 << 20}, sizeof(struct credit));
}

static void sliced(struct buf *out, void (*record)(struct buf *), uint32_t index)
{
    struct buf records = BUF_NULL;

    record(&records);
    buf_add(out,
            &(struct slice){.block = 7,
                            .index = index,
                            .count = 1,
                            .bytes = (uint32_t)records.len,
                            .attempt = 1,
                            .timestamp_us = NOW},
            sizeof(struct slice));
    buf_add(out, records.bytes, records.len);
    buf_fini(&records);
}

static void delivery(struct buf *out)
{
    sliced(out, request, 2);
    sliced(out, fact, 5);
}

static void outcome_slice(struct buf *out)
{
    sliced(out, outcome, 0);
}

static void result(struct buf *out)
{
    outcome(out);
    fact(out);
}

/* What a poll found: behind its outcome, with its cause, under the provider's id. */
static void found(struct buf *out)
{
    struct buf attrs = BUF_NULL;

    add_text(out,
             (struct record_parts){.kind = RECORD_OUTCOME,
                                   .status = STATUS_SUCCESS,
                                   .flags = RECORD_JSON,
                                   .attempt = 1,
                                   .type = "payment.events.succeeded",
                                   .id = second_id,
                                   .cause = first_id,
                                   .settles = {7, 2}},
             "{\"found\":1}");
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, "evt_1");
    add_text(out,
             (struct record_parts){.kind = RECORD_FACT,
                                   .flags = RECORD_JSON,
                                   .type = "stripe.checkout.session.completed",
                                   .id = third_id,
                                   .cause = first_id,
                                   .attrs = attrs.bytes,
                                   .attr_len = attrs.len},
             "{\"id\":\"evt_1\"}");
    buf_fini(&attrs);
}

static void answers(struct buf *out)
{
    ack(out);
    retry(out);
}

static void one_position(struct buf *out)
{
    buf_add(out, &(struct wire_position){.block = 7, .index = 2},
            sizeof(struct wire_position));
}

static void two_positions(struct buf *out)
{
    one_position(out);
    buf_add(out, &(struct wire_position){.block = 8}, sizeof(struct wire_position));
}

static void number(struct buf *out)
{
    buf_add(out, &(uint64_t){7}, 8);
}

static void head(struct buf *out)
{
    buf_add(out,
            &(struct log_head){.number = 7,
                               .term = 3,
                               .timestamp_us = NOW,
                               .segment_room = 1 << 20,
                               .spare_bytes = 1 << 30,
                               .crc = 0xdeadbeef},
            sizeof(struct log_head));
}

static void block(struct buf *out)
{
    struct block header = {.prev_crc = 0xdeadbeef,
                           .number = 7,
                           .term = 3,
                           .timestamp_us = NOW,
                           .count = 3,
                           .events = 2,
                           .version = 1,
                           .requests_total = 10,
                           .facts_total = 20,
                           .outcomes_total = 9};
    struct buf bytes = BUF_NULL;

    buf_add(&bytes, &header, sizeof(header));
    batch(&bytes);
    request(&bytes);
    fact(&bytes);
    block_seal((struct block *)bytes.bytes, bytes.len);
    buf_add(out, bytes.bytes, bytes.len);
    buf_fini(&bytes);
}

static void nothing(struct buf *out)
{
    (void)out;
}

/* --- the table --- */

static const struct vector {
    const char *name;
    void (*make)(struct buf *out);
    enum { IS_RECORD, IS_BLOCK, IS_FRAME } form;
    enum message_type type;
    uint16_t flags;
    uint32_t count;
    uint64_t ref;
} vectors[] = {
    {.name = "record_request", .make = request},
    {.name = "record_outcome", .make = outcome},
    {.name = "record_fact", .make = fact},
    {.name = "record_batch", .make = batch},
    {.name = "record_idempotency", .make = idempotency},
    {.name = "record_ack", .make = ack},
    {.name = "record_retry", .make = retry},
    {.name = "record_manifest", .make = manifest},
    {.name = "record_integration", .make = integration},
    {.name = "record_session", .make = session},
    {.name = "record_schedule", .make = schedule},
    {.name = "record_checkpoint", .make = checkpoint},
    {.name = "record_note", .make = note},
    {.name = "record_start", .make = start},
    {.name = "block", .make = block, .form = IS_BLOCK},
    {"HELLO", hello, IS_FRAME, MSG_HELLO, 0, 0, 0},
    {"HELLO_of_a_consumer", consumers_hello, IS_FRAME, MSG_HELLO, 0, 0, 0},
    {"WELCOME", welcome, IS_FRAME, MSG_WELCOME, 0, 0, 0},
    {"PUBLISH", keyed_request, IS_FRAME, MSG_PUBLISH, MESSAGE_WANTS_OUTCOME, 1, 5},
    {"PUBLISHED", published, IS_FRAME, MSG_PUBLISHED, 0, 2, 5},
    {"REFUSED", refused, IS_FRAME, MSG_REFUSED, 0, 0, 5},
    {"SUBSCRIBE", subscribe, IS_FRAME, MSG_SUBSCRIBE, 0, 0, 1},
    {"CREDIT", credit, IS_FRAME, MSG_CREDIT, 0, 0, 0},
    {"DELIVER", delivery, IS_FRAME, MSG_DELIVER, 0, 2, 0},
    {"RESULT", result, IS_FRAME, MSG_RESULT, 0, 2, 6},
    {"RESULT_with_what_was_found", found, IS_FRAME, MSG_RESULT, 0, 2, 8},
    {"RESULT_of_a_consumer", answers, IS_FRAME, MSG_RESULT, 0, 0, 7},
    {"SETTLED", nothing, IS_FRAME, MSG_SETTLED, 0, 0, 6},
    {"WAIT", one_position, IS_FRAME, MSG_WAIT, 0, 0, 11},
    {"OUTCOME", outcome_slice, IS_FRAME, MSG_OUTCOME, 0, 0, 5},
    {"REPLAY", one_position, IS_FRAME, MSG_REPLAY, 0, 0, 12},
    {"ADMIN", admin, IS_FRAME, MSG_ADMIN, 0, 0, 13},
    {"ANSWER", answer, IS_FRAME, MSG_ANSWER, 0, 0, 13},
    {"PING", two_positions, IS_FRAME, MSG_PING, 0, 0, 0},
    {"PONG", nothing, IS_FRAME, MSG_PONG, 0, 0, 0},
    {"BYE", bye, IS_FRAME, MSG_BYE, 0, 0, 0},
    {"FENCE", number, IS_FRAME, MSG_FENCE, 0, 0, 0},
    {"FENCED", head, IS_FRAME, MSG_FENCED, 0, 0, 0},
    {"APPEND", block, IS_FRAME, MSG_APPEND, 0, 0, 7},
    {"COMMITTED", head, IS_FRAME, MSG_COMMITTED, 0, 0, 0},
    {"STALE", number, IS_FRAME, MSG_STALE, 0, 0, 0},
    {"FULL", head, IS_FRAME, MSG_FULL, 0, 0, 8},
    {"KEEP", number, IS_FRAME, MSG_KEEP, 0, 0, 0},
};

const char *vector_make(size_t index, struct buf *out, struct json **ret_json)
{
    if (index >= sizeof(vectors) / sizeof(*vectors))
        return NULL;
    const struct vector *v = &vectors[index];
    if (v->form != IS_FRAME) {
        v->make(out);
        *ret_json = v->form == IS_BLOCK ? dump_block((const void *)out->bytes)
                                        : dump_record((const void *)out->bytes);
        return v->name;
    }
    message_begin(out, v->type, v->ref);
    v->make(out);
    struct message *m = message_end(out);
    m->flags = v->flags;
    m->count = v->count;
    *ret_json = dump_frame(m);
    return v->name;
}
