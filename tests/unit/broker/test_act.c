/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a person asks the broker for: pause, resume, cancel, redrive, resolve, test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "proto/tested.h"
#include "world.h"

enum { CONNECTOR = 1, CLIENT = 2, CONSUMER = 3, OTHER = 4, LIFETIME_S = 3600 };

static const char manifest[] =
    "{\"name\":\"payment\",\"operations\":["
    "{\"name\":\"charge\",\"repeat\":\"keyed\",\"key_lifetime_s\":3600},"
    "{\"name\":\"pay\",\"repeat\":\"keyed\",\"key_lifetime_s\":3600,\"lookup\":true},"
    "{\"name\":\"wire\",\"repeat\":\"never\",\"lookup\":true},"
    "{\"name\":\"send\",\"repeat\":\"never\"},{\"name\":\"find\",\"repeat\":\"safe\"}]}";
static const char *const orders[] = {"order.>"};
static const struct core_group groups[] = {
    {.name = "billing", .types = orders, .n_types = 1},
    {.name = "shipping", .types = orders, .n_types = 1}};
static const struct core_integration stripe[] = {{.name = "stripe",
                                                  .connector = "payment",
                                                  .service = "Stripe",
                                                  .key = "k",
                                                  .attempts = 3,
                                                  .deadline_us = 3600000000}};
static const struct core_config config = {.integrations = stripe,
                                          .n_integrations = 1,
                                          .groups = groups,
                                          .n_groups = 2,
                                          .random_seed = 1};

struct fixture {
    struct world world;
    struct buf frame;
    uint64_t number;
    struct json *answer;
};

/* An event and what ended it, as the log says. */
struct found {
    struct position at, by;
    uint8_t id[16];
};

static const uint8_t instances[5][16] = {{0}, {1}, {2}, {3}, {4}};

static void join(struct fixture *f, uint64_t peer, const char *role, const char *name,
                 const char *group)
{
    buf_clear(&f->frame);
    frame_hello(&f->frame, role, name, instances[peer],
                strcmp(role, "connector") == 0 ? "k" : NULL,
                strcmp(role, "connector") == 0 ? manifest : NULL, NULL, 0);
    world_send(&f->world, peer, 0, &f->frame);
    world_settle(&f->world);
    if (!group)
        return;
    frame_subscribe(&f->frame, group, 10);
    world_send(&f->world, peer, 0, &f->frame);
    core_tick(f->world.core);
}

static void open_world(struct fixture *f)
{
    *f = (struct fixture){0};
    world_init(&f->world, &config);
    world_settle(&f->world);
    join(f, CONNECTOR, "connector", "stripe", NULL);
    join(f, CLIENT, "cli", "signalbox", NULL);
}

static void close_world(struct fixture *f)
{
    assert_false(f->world.log_replay_failed);
    js_free(f->answer);
    buf_fini(&f->frame);
    world_fini(&f->world);
}

/* The next frame of this type for the peer; others are passed over. NULL: none. */
static const struct message *next(struct fixture *f, uint64_t peer, unsigned type)
{
    do {
        buf_fini(&f->frame);
        if (!world_take(&f->world, peer, &f->frame))
            return NULL;
    } while (world_message(&f->frame)->type != type);
    return world_message(&f->frame);
}

static void publish(struct fixture *f, enum record_kind kind, const char *type)
{
    struct buf records = BUF_NULL;
    uint8_t id[16];

    id_derive("event", ++f->number, id);
    record_add(&records, &(struct record_parts){.kind = kind,
                                                .type = type,
                                                .id = id,
                                                .key = "customer-1",
                                                .flags = RECORD_JSON,
                                                .data = "{\"n\":1}",
                                                .data_len = 7});
    frame_publish(&f->frame, f->number, false, &records, 1);
    world_send(&f->world, CLIENT, 0, &f->frame);
    world_settle(&f->world);
    buf_fini(&records);
}

static void result(struct fixture *f, uint64_t peer, const struct record_parts *parts)
{
    struct buf records = BUF_NULL;

    record_add(&records, parts);
    frame_result(&f->frame, ++f->number, &records);
    world_send(&f->world, peer, 0, &f->frame);
    world_settle(&f->world);
    buf_fini(&records);
}

/* The newest delivery to a peer, and a copy of its record in *ret (may be NULL). */
static struct position delivered(struct fixture *f, uint64_t peer, struct buf *ret)
{
    const struct message *m = next(f, peer, MSG_DELIVER);
    const struct record *r = NULL;
    const char *why;

    assert_non_null(m);
    const struct slice *slice = message_slice(m, NULL, &r, &why);
    assert_non_null(slice);
    if (ret) {
        buf_clear(ret);
        buf_add(ret, r, r->len);
    }
    return (struct position){slice->block, slice->index};
}

/* The connector's outcome for its next delivery. */
static void settle(struct fixture *f, enum record_class why, unsigned attempt)
{
    struct position at = delivered(f, CONNECTOR, NULL);
    uint8_t id[16];

    id_derive("outcome", ++f->number, id);
    result(f, CONNECTOR,
           &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .status = why ? STATUS_FAILED : STATUS_SUCCESS,
                                  .error_class = why,
                                  .attempt = (uint8_t)attempt,
                                  .type = why ? "payment.charge.failed"
                                              : "payment.charge.succeeded",
                                  .id = id,
                                  .settles = at});
}

/* The newest event of this type in the log, and the first record that ended it. */
static struct found find(const struct fixture *f, const char *type)
{
    struct found found = {0};

    for (size_t i = 0; i < f->world.n_log; i++) {
        const struct block *b = f->world.log[i]->block;
        uint32_t index = 0;
        for (const struct record *r = b->count ? block_first(b) : NULL; r;
             r = block_next(b, r), index++) {
            const struct control_ack *ack = (const struct control_ack *)record_data(r);
            if (record_is_event(r) && r->type_len == strlen(type) &&
                memcmp(record_type(r), type, r->type_len) == 0) {
                found = (struct found){.at = {b->number, index}};
                memcpy(found.id, r->id, 16);
            }
            bool ends = (r->kind == RECORD_OUTCOME && r->cause_block == found.at.block &&
                         r->cause_index == found.at.index) ||
                        (r->kind == RECORD_ACK && ack->result == STATUS_FAILED &&
                         ack->block == found.at.block && ack->first == found.at.index);
            if (ends && found.at.block && !found.by.block)
                found.by = (struct position){b->number, index};
        }
    }
    assert_int_not_equal(found.at.block, 0);
    return found;
}

static struct json *item(const struct found *found, unsigned new)
{
    struct json *o = js_object();
    char id[ID_TEXT_SIZE];
    uint8_t fresh[16];

    id_format(found->id, id);
    js_set_text(o, "id", id);
    id_derive("new", new, fresh);
    id_format(fresh, id);
    js_set_text(o, "new", id);
    js_set_int(o, "block", (int64_t)found->at.block);
    js_set_int(o, "index", found->at.index);
    js_set_int(o, "by_block", (int64_t)found->by.block);
    return js_set_int(o, "by_index", found->by.index);
}

static bool send_command(struct fixture *f, uint64_t peer, const char *command,
                         struct json *args)
{
    struct buf map = BUF_NULL, text = BUF_NULL;

    js_set_text(args, "actor", "alice");
    js_write(args, 0, &text);
    attrs_begin(&map);
    attrs_named_text(&map, "command", command);
    attrs_named_text(&map, "args", buf_str(&text));
    message_begin(&f->frame, MSG_ADMIN, 1);
    buf_add(&f->frame, map.bytes, map.len);
    message_end(&f->frame);
    world_send(&f->world, peer, 0, &f->frame);
    buf_fini(&map);
    buf_fini(&text);
    js_free(args);
    return true;
}

/* Takes the answer; true when it says ok. */
static bool answered(struct fixture *f, uint64_t peer)
{
    const struct message *m = next(f, peer, MSG_ANSWER);
    struct attr_value ok;
    char error[64];

    assert_non_null(m);
    _free_ char *body = attrs_copy_named(message_body(m), m->body_len, "body");
    assert_true(attrs_find_named(message_body(m), m->body_len, "ok", &ok));
    js_free(f->answer);
    f->answer = js_parse(body, strlen(body), error, sizeof(error));
    return ok.number;
}

static bool command(struct fixture *f, const char *name, struct json *args)
{
    send_command(f, CLIENT, name, args);
    world_settle(&f->world);
    return answered(f, CLIENT);
}

/* Redrive one event; true when it was, else f->answer says why. */
static bool redrive(struct fixture *f, const struct found *found, unsigned new,
                    bool again)
{
    struct json *args = js_set_bool(js_object(), "again", again);

    js_set(args, "items", js_push(js_array(), item(found, new)));
    return command(f, "redrive", args) && js_bool(f->answer, "items.0.ok", false);
}

static void expect_why(const struct fixture *f, const char *part)
{
    const char *why =
        js_text(f->answer, "items.0.why", js_text(f->answer, "error", "(no reason)"));

    if (!strstr(why, part))
        fail_msg("`%s` does not say `%s`", why, part);
}

static int64_t status(const struct fixture *f, const char *path)
{
    struct json *json = core_status(f->world.core);
    int64_t value = js_int(json, path, js_bool(json, path, false));

    js_free(json);
    return value;
}

/* A request of this operation that ended so. */
static struct found failed(struct fixture *f, const char *operation,
                           enum record_class why, unsigned attempt)
{
    _free_ char *type = mem_format("payment.%s.requested", operation);

    frame_subscribe(&f->frame, "stripe", 10);
    world_send(&f->world, CONNECTOR, 0, &f->frame);
    publish(f, RECORD_REQUEST, type);
    settle(f, why, attempt);
    return find(f, type);
}

/* --- pause, resume --- */

static void what_is_paused_says_since_when_and_why_also_after_a_crash(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    send_command(&f, CLIENT, "pause", js_set_text(js_object(), "reason", "invoice run"));
    assert_null(next(&f, CLIENT, MSG_ANSWER)); /* not before it is committed */
    world_settle(&f.world);
    assert_true(answered(&f, CLIENT));
    assert_string_equal(js_text(f.answer, "integrations.0", ""), "stripe");
    for (int i = 0; i < 2; i++) {
        struct json *s = core_status(f.world.core);
        assert_true(js_bool(s, "groups.0.paused", false));
        assert_string_equal(js_text(s, "groups.0.pause.reason", ""), "invoice run");
        assert_string_equal(js_text(s, "groups.0.pause.actor", ""), "alice");
        assert_non_null(js_text(s, "groups.0.pause.since", NULL));
        js_free(s);
        world_crash(&f.world);
        world_settle(&f.world);
    }
    join(&f, CLIENT, "cli", "signalbox", NULL);
    assert_true(command(&f, "resume", js_set_text(js_object(), "integration", "stripe")));
    assert_false(status(&f, "groups.0.paused"));
    assert_false(command(&f, "pause", js_set_text(js_object(), "integration", "nobody")));
    expect_why(&f, "no integration or group `nobody`");
    close_world(&f);
}

static void a_connector_may_not_act_and_an_unknown_command_names_the_known(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    send_command(&f, CONNECTOR, "pause", js_object());
    assert_false(answered(&f, CONNECTOR));
    expect_why(&f, "a connector may not pause");
    assert_false(command(&f, "stop", js_object()));
    expect_why(&f, "status, pause, resume, cancel, redrive, resolve, test");
    close_world(&f);
}

/* --- cancel --- */

static void a_pending_request_is_cancelled_a_running_one_is_not(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    publish(&f, RECORD_REQUEST, "payment.charge.requested");
    struct found found = find(&f, "payment.charge.requested");
    assert_true(command(&f, "cancel", item(&found, 1)));
    assert_int_equal(status(&f, "groups.0.pending"), 0);
    found = find(&f, "payment.charge.failed");
    const struct record *r =
        block_ref_record(f.world.log[found.at.block - 1], found.at.index);
    assert_int_equal(r->error_class, CLASS_cancelled);
    found = find(&f, "payment.charge.requested");
    assert_false(command(&f, "cancel", item(&found, 1)));
    expect_why(&f, "has its outcome already");
    frame_subscribe(&f.frame, "stripe", 10);
    world_send(&f.world, CONNECTOR, 0, &f.frame);
    publish(&f, RECORD_REQUEST, "payment.charge.requested");
    delivered(&f, CONNECTOR, NULL);
    found = find(&f, "payment.charge.requested");
    assert_false(command(&f, "cancel", item(&found, 1)));
    expect_why(&f, "with its connector");
    assert_int_equal(status(&f, "groups.0.pending"), 1);
    close_world(&f);
}

static void what_is_named_wrongly_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    publish(&f, RECORD_REQUEST, "payment.charge.requested");
    struct found found = find(&f, "payment.charge.requested"), wrong = found;
    wrong.id[0] ^= 1;
    assert_false(command(&f, "cancel", item(&wrong, 1)));
    expect_why(&f, "another event stands there");
    wrong = found;
    wrong.at.block = 1000;
    assert_false(command(&f, "cancel", item(&wrong, 1)));
    expect_why(&f, "not in the log");
    assert_false(command(&f, "cancel", js_object()));
    expect_why(&f, "`block`, `index` and `id`");
    assert_false(command(&f, "redrive", js_object()));
    expect_why(&f, "array of 1 to 64");
    assert_false(redrive(&f, &found, 1, true));
    expect_why(&f, "it is pending");
    assert_int_equal(status(&f, "groups.0.pending"), 1);
    close_world(&f);
}

/* --- redrive --- */

static void a_redrive_is_a_new_request_with_the_old_ones_words_and_cause(void **state)
{
    struct buf record = BUF_NULL;
    struct fixture f;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_permanent, 1);
    assert_true(redrive(&f, &found, 7, false));
    assert_string_equal(js_text(f.answer, "items.0.key", ""), "new");
    delivered(&f, CONNECTOR, &record);
    const struct record *r = (const struct record *)record.bytes;
    uint8_t id[16];
    id_derive("new", 7, id);
    assert_memory_equal(r->id, id, 16);
    assert_memory_equal(r->cause, found.id, 16);
    assert_int_equal(r->kind, RECORD_REQUEST);
    assert_memory_equal(record_data(r), "{\"n\":1}", 7);
    _free_ char *key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY);
    _free_ char *actor = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ACTOR);
    _free_ char *call_key = record_call_key(r);
    _free_ char *own = record_id_text(r);
    assert_string_equal(key, "customer-1");
    assert_string_equal(actor, "alice");
    assert_string_equal(call_key, own);
    buf_fini(&record);
    close_world(&f);
}

static void a_second_redrive_is_refused_whoever_asks_and_after_a_crash(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_permanent, 1);
    assert_true(redrive(&f, &found, 1, false));
    assert_false(redrive(&f, &found, 2, false));
    expect_why(&f, "is pending");
    settle(&f, CLASS_none, 1);
    assert_false(redrive(&f, &found, 2, false));
    expect_why(&f, "which has its outcome");
    world_crash(&f.world);
    world_settle(&f.world);
    join(&f, CLIENT, "cli", "signalbox", NULL);
    join(&f, CONNECTOR, "connector", "stripe", "stripe");
    assert_false(redrive(&f, &found, 2, false));
    expect_why(&f, "which has its outcome");
    int64_t requests = status(&f, "requests");
    assert_true(
        redrive(&f, &found, 1, false)); /* asked again under its id: done before */
    assert_int_equal(status(&f, "requests"), requests);
    assert_true(redrive(&f, &found, 3, true));
    assert_int_equal(status(&f, "requests"), requests + 1);
    close_world(&f);
}

static void two_redrives_at_once_are_one(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    join(&f, OTHER, "cli", "signalbox", NULL);
    struct found found = failed(&f, "charge", CLASS_permanent, 1);
    const uint64_t peers[] = {CLIENT, OTHER};
    unsigned done = 0;
    for (unsigned i = 0; i < 2; i++)
        send_command(
            &f, peers[i], "redrive",
            js_set(js_object(), "items", js_push(js_array(), item(&found, i + 1))));
    world_settle(&f.world);
    for (unsigned i = 0; i < 2; i++)
        done += answered(&f, peers[i]) && js_bool(f.answer, "items.0.ok", false);
    assert_int_equal(done, 1);
    assert_int_equal(status(&f, "requests"), 2);
    close_world(&f);
}

static void a_dry_run_judges_and_leaves_all_as_it_is(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_permanent, 1);
    struct json *args = js_set_bool(js_object(), "dry", true);
    js_set(args, "items", js_push(js_array(), item(&found, 1)));
    size_t blocks = f.world.n_log;
    assert_true(command(&f, "redrive", args));
    assert_true(js_bool(f.answer, "items.0.ok", false));
    assert_int_equal(f.world.n_log, blocks);
    assert_true(redrive(&f, &found, 2, false));
    close_world(&f);
}

static void which_key_a_redrive_has_follows_from_how_it_failed(void **state)
{
    static const struct {
        const char *operation;
        enum record_class why;
        unsigned attempt, later_s;
        bool again;
        const char *key; /* NULL: refused */
    } cases[] = {
        {"charge", CLASS_permanent, 1, 0, false, "new"},
        {"charge", CLASS_unknown, 1, 0, false, "kept"},
        {"charge", CLASS_exhausted, 3, 0, false, "kept"},
        {"charge", CLASS_deadline, 0, 0, false, "new"},
        {"charge", CLASS_deadline, 2, 0, false, "kept"},
        {"charge", CLASS_budget, 0, 0, false, "new"},
        {"charge", CLASS_poison, 3, 0, false, "kept"},
        {"charge", CLASS_unknown, 1, LIFETIME_S + 1, false, NULL},
        {"charge", CLASS_unknown, 1, LIFETIME_S + 1, true, "new"},
        {"charge", CLASS_unknown, 1, 0, true, "kept"},
        {"charge", CLASS_permanent, 1, LIFETIME_S + 1, false, "new"},
        {"charge", CLASS_none, 1, 0, false, NULL},
        {"charge", CLASS_none, 1, 0, true, "new"},
        {"send", CLASS_permanent, 1, 0, false, "none"},
        {"send", CLASS_exhausted, 3, 0, false, "none"},
        {"send", CLASS_unknown, 1, 0, false, NULL},
        {"send", CLASS_unknown, 1, 0, true, "none"},
        {"pay", CLASS_unknown, 1, 0, false, "kept"},
        {"pay", CLASS_unknown, 1, LIFETIME_S + 1, false, "lookup"},
        {"pay", CLASS_permanent, 1, LIFETIME_S + 1, false, "new"},
        {"wire", CLASS_unknown, 1, 0, false, "lookup"},
        {"wire", CLASS_permanent, 1, 0, false, "none"},
        {"find", CLASS_unknown, 1, 0, false, "none"},
        {"find", CLASS_exhausted, 3, LIFETIME_S + 1, false, "none"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        open_world(&f);
        struct found found =
            failed(&f, cases[i].operation, cases[i].why, cases[i].attempt);
        if (cases[i].later_s) { /* the session ends meanwhile: the CLI comes anew */
            world_advance(&f.world, cases[i].later_s * UINT64_C(1000000));
            world_settle(&f.world);
            join(&f, CLIENT, "cli", "signalbox", NULL);
        }
        bool good = redrive(&f, &found, 1, cases[i].again);
        if (good != (cases[i].key != NULL))
            fail_msg("case %zu: %s", i, js_text(f.answer, "items.0.why", "allowed"));
        if (good)
            assert_string_equal(js_text(f.answer, "items.0.key", ""), cases[i].key);
        close_world(&f);
    }
}

static void a_kept_key_stays_with_its_age_through_further_redrives(void **state)
{
    struct buf record = BUF_NULL;
    struct fixture f;
    int64_t since = 0;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_unknown, 1);
    uint64_t began_us = f.world.log[found.at.block - 1]->block->timestamp_us;
    char first[ID_TEXT_SIZE];
    id_format(found.id, first);
    for (unsigned i = 1; i <= 2; i++) {
        world_advance(&f.world, 1000000);
        assert_true(redrive(&f, &found, i, false));
        assert_string_equal(js_text(f.answer, "items.0.key", ""), "kept");
        struct position at = delivered(&f, CONNECTOR, &record);
        const struct record *r = (const struct record *)record.bytes;
        _free_ char *key = record_call_key(r);
        assert_string_equal(key, first);
        assert_true(
            attrs_find_int(record_attrs(r), r->attr_len, ATTR_CALL_KEY_TIME, &since));
        assert_int_equal(since, began_us);
        uint8_t id[16];
        id_derive("end", i, id);
        result(&f, CONNECTOR, /* not attempted: the doubt is that of the first */
               &(struct record_parts){.kind = RECORD_OUTCOME,
                                      .status = STATUS_FAILED,
                                      .error_class = CLASS_deadline,
                                      .type = "payment.charge.failed",
                                      .id = id,
                                      .settles = at});
        found = find(&f, "payment.charge.requested");
    }
    buf_fini(&record);
    close_world(&f);
}

static void what_a_group_gave_up_comes_back_to_that_group_alone(void **state)
{
    struct buf record = BUF_NULL;
    struct fixture f;

    (void)state;
    open_world(&f);
    join(&f, CONSUMER, "client", "biller", "billing");
    join(&f, OTHER, "client", "shipper", "shipping");
    publish(&f, RECORD_FACT, "order.created");
    const uint64_t peers[] = {OTHER, CONSUMER};
    for (unsigned i = 0; i < 2; i++) {
        struct position at = delivered(&f, peers[i], NULL);
        struct control_ack ack = {.block = at.block,
                                  .first = at.index,
                                  .count = 1,
                                  .result = i ? STATUS_FAILED : STATUS_SUCCESS};
        result(&f, peers[i],
               &(struct record_parts){.kind = RECORD_ACK,
                                      .error_class = i ? CLASS_permanent : CLASS_none,
                                      .data = &ack,
                                      .data_len = sizeof(ack)});
    }
    struct found found = find(&f, "order.created");
    assert_true(redrive(&f, &found, 1, false));
    struct position at = delivered(&f, CONSUMER, &record);
    assert_memory_equal(((const struct record *)record.bytes)->cause, found.id, 16);
    assert_null(next(&f, OTHER, MSG_DELIVER));
    assert_int_equal(status(&f, "groups.2.pending"), 0);
    assert_false(redrive(&f, &found, 2, false));
    expect_why(&f, "is pending");
    struct control_ack ack = {
        .block = at.block, .first = at.index, .count = 1, .result = STATUS_SUCCESS};
    result(&f, CONSUMER,
           &(struct record_parts){
               .kind = RECORD_ACK, .data = &ack, .data_len = sizeof(ack)});
    assert_int_equal(status(&f, "groups.1.pending"), 0);
    buf_fini(&record);
    close_world(&f);
}

static void what_nobody_gave_up_or_can_be_redone_is_refused(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    publish(&f, RECORD_FACT, "ticket.made");
    struct found found = find(&f, "ticket.made");
    assert_false(redrive(&f, &found, 1, true));
    expect_why(&f, "no consumer group gave it up");
    close_world(&f);
}

/* --- resolve --- */

static bool resolve(struct fixture *f, const struct found *found, unsigned new,
                    const char *as, const char *note)
{
    return command(f, "resolve",
                   js_set_text(js_set_text(item(found, new), "as", as), "note", note));
}

static void a_verdict_is_a_fact_and_stands_against_a_redrive(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_unknown, 1);
    assert_false(resolve(&f, &found, 1, "success", ""));
    expect_why(&f, "a note");
    assert_false(resolve(&f, &found, 1, "perhaps", "seen"));
    expect_why(&f, "success or failed");
    assert_true(resolve(&f, &found, 1, "success", "seen in the dashboard"));
    struct found verdict = find(&f, "signalbox.resolved");
    const struct record *r =
        block_ref_record(f.world.log[verdict.at.block - 1], verdict.at.index);
    assert_int_equal(r->kind, RECORD_FACT);
    assert_memory_equal(r->cause, found.id, 16);
    assert_int_equal(status(&f, "facts"), 1);
    assert_false(redrive(&f, &found, 2, false));
    expect_why(&f, "resolved it as success");
    assert_true(resolve(&f, &found, 3, "failed", "it was another customer's"));
    assert_true(redrive(&f, &found, 4, false)); /* definite now: a new key */
    assert_string_equal(js_text(f.answer, "items.0.key", ""), "new");
    assert_false(resolve(&f, &found, 5, "success", "too late"));
    expect_why(&f, "resolve its redrive");
    close_world(&f);
}

static void what_is_not_in_doubt_is_not_resolved(void **state)
{
    struct fixture f;

    (void)state;
    open_world(&f);
    struct found found = failed(&f, "charge", CLASS_permanent, 1);
    assert_false(resolve(&f, &found, 1, "success", "no"));
    expect_why(&f, "definite");
    found = failed(&f, "charge", CLASS_none, 1);
    assert_false(resolve(&f, &found, 1, "failed", "no"));
    expect_why(&f, "it succeeded");
    close_world(&f);
}

/* --- tested --- */

static struct json *report(const char *integration, const char *said, unsigned cases)
{
    struct json *o = js_set_text(js_object(), "integration", integration),
                *list = js_array();

    for (unsigned i = 0; i < cases; i++) {
        struct json *one = js_set_text(js_object(), "name", "charge");
        js_set_bool(one, "passed", i != 0);
        js_push(list, js_set_text(one, "said", said));
    }
    return js_set(js_set_text(o, "stamp", "abc"), "cases", list);
}

static void a_test_report_is_a_fact_that_counts_for_itself(void **state)
{
    struct fixture f;
    char error[64];

    (void)state;
    open_world(&f);
    struct json *args = report("stripe", "Success", 3);
    js_set_int(args, "passed", 1000); /* what it says of itself is not taken */
    assert_true(command(&f, "test", args));
    struct found found = find(&f, "signalbox.tested");
    const struct record *r =
        block_ref_record(f.world.log[found.at.block - 1], found.at.index);
    assert_int_equal(r->kind, RECORD_FACT);
    assert_int_equal(r->integration, integration_hash("stripe"));
    struct json *data =
        js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
    assert_int_equal(js_int(data, "passed", 0), 2);
    assert_int_equal(js_int(data, "failed", 0), 1);
    assert_string_equal(js_text(data, "stamp", ""), "abc");
    assert_string_equal(js_text(data, "actor", ""), "alice");
    js_free(data);
    close_world(&f);
}

static void a_test_report_that_is_none_is_refused(void **state)
{
    struct fixture f;
    char much[2 * TESTED_TEXT_MAX + 1];

    (void)state;
    open_world(&f);
    assert_false(command(&f, "test", report("nobody", "", 1)));
    expect_why(&f, "no integration `nobody`");
    assert_false(command(&f, "test", report("stripe", "", 0)));
    expect_why(&f, "one at least");
    assert_false(command(&f, "test", report("stripe", "", TESTED_CASES_MAX + 1)));
    expect_why(&f, "at most 500 cases");
    memset(much, 'x', sizeof(much) - 1);
    much[sizeof(much) - 1] = 0;
    assert_true(command(&f, "test", report("stripe", much, TESTED_CASES_MAX)));
    send_command(&f, CONNECTOR, "test", report("stripe", "", 1));
    assert_false(answered(&f, CONNECTOR));
    expect_why(&f, "a connector may not test");
    close_world(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_test_report_is_a_fact_that_counts_for_itself),
        cmocka_unit_test(a_test_report_that_is_none_is_refused),
        cmocka_unit_test(what_is_paused_says_since_when_and_why_also_after_a_crash),
        cmocka_unit_test(a_connector_may_not_act_and_an_unknown_command_names_the_known),
        cmocka_unit_test(a_pending_request_is_cancelled_a_running_one_is_not),
        cmocka_unit_test(what_is_named_wrongly_is_refused),
        cmocka_unit_test(a_redrive_is_a_new_request_with_the_old_ones_words_and_cause),
        cmocka_unit_test(a_second_redrive_is_refused_whoever_asks_and_after_a_crash),
        cmocka_unit_test(two_redrives_at_once_are_one),
        cmocka_unit_test(a_dry_run_judges_and_leaves_all_as_it_is),
        cmocka_unit_test(which_key_a_redrive_has_follows_from_how_it_failed),
        cmocka_unit_test(a_kept_key_stays_with_its_age_through_further_redrives),
        cmocka_unit_test(what_a_group_gave_up_comes_back_to_that_group_alone),
        cmocka_unit_test(what_nobody_gave_up_or_can_be_redone_is_refused),
        cmocka_unit_test(a_verdict_is_a_fact_and_stands_against_a_redrive),
        cmocka_unit_test(what_is_not_in_doubt_is_not_resolved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
