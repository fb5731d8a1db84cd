/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The life of a client, and what it publishes.  A batch is kept here until it is
 * answered, beside the peer's own copy, because the peer forgets what is refused, and
 * some refusals mean only "not now". */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/loop/loop.h"
#include "lib/sdk/client_state.h"
#include "lib/sdk/peer.h"
#include "lib/vault/secretfile.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/control.h"

#define IDEMPOTENCY_US (UINT64_C(7) * 24 * 3600 * 1000000)

int client_fail(struct sb_client *client, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(client->error, sizeof(client->error), format, args);
    va_end(args);
    return status;
}

const char *sb_client_error(const struct sb_client *client)
{
    return client->error;
}

/* --- waiting --- */

uint64_t client_until(const struct sb_client *client, unsigned timeout_ms)
{
    return loop_steady_us(client->loop) + timeout_ms * UINT64_C(1000);
}

/* What the broker could not take then may go now. */
static void send_again(struct sb_client *client)
{
    uint64_t now = loop_steady_us(client->loop);

    for (struct flight *f = client->flights; f; f = f->next)
        if (!f->number && f->due_us <= now) {
            f->number = peer_publish(client->peer, f->records.bytes, f->records.len,
                                     f->wants_outcome);
            f->due_us = now + 100000; /* the window is full: soon */
        }
}

bool client_step(struct sb_client *client, uint64_t until_us)
{
    uint64_t now = loop_steady_us(client->loop);
    uint64_t left_ms = until_us > now ? (until_us - now) / 1000 + 1 : 0;

    send_again(client);
    loop_turn(client->loop, left_ms < CLIENT_TURN_MS ? (int)left_ms : CLIENT_TURN_MS);
    return loop_steady_us(client->loop) < until_us;
}

void sb_client_turn(struct sb_client *client, unsigned timeout_ms)
{
    uint64_t until = client_until(client, timeout_ms);

    client_send_answers(client);
    while (client_step(client, until) && !client->first)
        ;
}

/* --- what the broker answers --- */

static struct flight *take_flight(struct sb_client *client, uint64_t number)
{
    for (struct flight **at = &client->flights; *at; at = &(*at)->next) {
        struct flight *flight = *at;
        if (flight->number != number)
            continue;
        *at = flight->next;
        client->n_flights--;
        return flight;
    }
    return NULL;
}

static void drop_flight(struct flight *flight)
{
    if (flight)
        buf_fini(&flight->records);
    free(flight);
}

static struct flight *add_flight(struct sb_client *client, uint64_t number)
{
    struct flight *flight = mem_alloc(sizeof(*flight));

    *flight = (struct flight){.number = number, .next = client->flights};
    client->flights = flight;
    client->n_flights++;
    return flight;
}

static void note_refusal(struct sb_client *client, const char *code, const char *detail)
{
    if (client->was_refused)
        return; /* the first one is told */
    client->was_refused = true;
    snprintf(client->refusal, sizeof(client->refusal), "%s: %s", code, detail);
}

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct sb_client *client = user;

    drop_flight(take_flight(client, batch));
    for (uint32_t i = 0; i < n; i++)
        if (verdicts[i].code == VERDICT_CONFLICT)
            note_refusal(client, error_info(ERR_idempotency_conflict)->name,
                         error_info(ERR_idempotency_conflict)->sentence);
    client_call_published(client, batch, verdicts, n, published->block > 0);
}

static void on_refused(void *user, uint64_t batch, unsigned code, const char *detail,
                       uint32_t retry_after_ms)
{
    struct sb_client *client = user;
    struct flight *flight = take_flight(client, batch);

    if (flight && retry_after_ms && !flight->is_result) {
        flight->number = 0;
        flight->due_us = client_until(client, retry_after_ms);
        flight->next = client->flights;
        client->flights = flight;
        client->n_flights++;
        snprintf(client->why_not, sizeof(client->why_not), "%s: %s",
                 error_info(code)->name, detail);
        return;
    }
    if (flight && !flight->wants_outcome)
        note_refusal(client, error_info(code)->name, detail);
    drop_flight(flight);
    client_call_refused(client, batch, code, detail);
}

static void on_settled(void *user, uint64_t batch)
{
    drop_flight(take_flight(user, batch));
}

static void on_rejected(void *user, unsigned code, const char *detail)
{
    struct sb_client *client = user;
    bool is_group = peer_is_joined(client->peer);

    client->is_rejected |= !is_group;
    snprintf(is_group ? client->group_why : client->why_not, sizeof(client->why_not),
             "%s: %s", error_info(code)->name,
             detail && *detail ? detail : error_info(code)->sentence);
}

static void on_kept_out(void *user, const char *why)
{
    struct sb_client *client = user;

    snprintf(client->why_not, sizeof(client->why_not), "%s", why);
}

static void on_joined(void *user)
{
    ((struct sb_client *)user)->why_not[0] = 0;
}

static void on_down(void *user)
{
    struct sb_client *client = user;

    client_forget_waiting(client);
    snprintf(client->why_not, sizeof(client->why_not), "the broker cannot be reached");
}

/* --- joining and leaving --- */

static bool read_key(const char *path, struct buf *key, char *error, size_t error_size)
{
    return !path || secretfile_read(path, key, error, error_size);
}

static struct peer *join(struct sb_client *client,
                         const struct sb_client_options *options, char *error,
                         size_t error_size)
{
    struct buf key = BUF_NULL;
    struct peer *peer = NULL;
    struct peer_options with = {
        .endpoint = options->endpoint,
        .server_key = options->broker_key,
        .role = "client",
        .name = options->name,
        .user = client,
        .on_joined = on_joined,
        .on_down = on_down,
        .on_kept_out = on_kept_out,
        .on_rejected = on_rejected,
        .on_published = on_published,
        .on_refused = on_refused,
        .on_settled = on_settled,
        .on_deliver = client_on_deliver,
        .on_outcome = client_on_outcome,
    };

    if (read_key(options->key_file, &key, error, error_size)) {
        with.secret_key = options->key_file ? buf_str(&key) : NULL;
        peer = peer_new(client->loop, client->wire, &with, error, error_size);
    }
    if (key.bytes)
        explicit_bzero(key.bytes, key.cap);
    buf_fini(&key);
    return peer;
}

struct sb_client *sb_client_open(const struct sb_client_options *options, char *error,
                                 size_t error_size)
{
    struct sb_client *client;

    if (!options->endpoint || !options->name || !text_is_name(options->name)) {
        snprintf(error, error_size,
                 "the options need an endpoint, and a name: 1 to 64 of a-z 0-9 _ -");
        return NULL;
    }
    client = mem_alloc(sizeof(*client));
    client->last = &client->first;
    client->name = mem_text(options->name);
    client->loop = loop_new();
    client->wire = wire_new(client->loop);
    client->peer = join(client, options, error, error_size);
    if (!client->peer) {
        sb_client_close(client);
        return NULL;
    }
    uint64_t until =
        client_until(client, options->timeout_ms ? options->timeout_ms : CLIENT_OPEN_MS);
    while (!peer_is_joined(client->peer) && !client->is_rejected &&
           client_step(client, until))
        ;
    if (peer_is_joined(client->peer))
        return client;
    snprintf(error, error_size, "%s: %s", options->endpoint,
             client->why_not[0] ? client->why_not : "no broker answers");
    sb_client_close(client);
    return NULL;
}

void sb_client_close(struct sb_client *client)
{
    if (!client)
        return;
    if (client->peer)
        client_send_answers(client); /* they may still get out; no promise */
    peer_free(client->peer);
    wire_free(client->wire);
    loop_free(client->loop);
    while (client->flights)
        drop_flight(take_flight(client, client->flights->number));
    client_forget_waiting(client);
    if (client->call.outcome)
        sb_client_free(&client->call.outcome->seen);
    buf_fini(&client->batch);
    buf_fini(&client->answers);
    free(client->name);
    free(client);
}

/* --- events out --- */

static bool is_request(const char *type)
{
    static const char suffix[] = ".requested";
    size_t n = strlen(type), m = sizeof(suffix) - 1;

    return n > m && strcmp(type + n - m, suffix) == 0;
}

static void add_idempotency(const struct sb_client *client,
                            const struct sb_client_event *event, struct buf *out)
{
    _free_ char *scope = mem_format("client:%s", client->name);
    uint64_t hashes[] = {hash_text(event->type), hash64(event->data, event->data_len)};
    struct control_idempotency data = {
        .body_hash = hash64(hashes, sizeof(hashes)),
        .expires_us = loop_wall_us(client->loop) + IDEMPOTENCY_US,
    };
    uint8_t id[16];

    hash_pair(scope, event->idempotency_key, strlen(event->idempotency_key), id);
    record_add(out, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                           .id = id,
                                           .data = &data,
                                           .data_len = sizeof(data)});
}

static void add_attrs(const struct sb_client *client, const struct sb_client_event *event,
                      struct buf *attrs)
{
    attrs_begin(attrs);
    attrs_text(attrs, ATTR_SOURCE, event->source ? event->source : client->name);
    attrs_text(attrs, ATTR_SUBJECT, event->subject);
    attrs_text(attrs, ATTR_TRACEPARENT, event->traceparent);
    attrs_text(attrs, ATTR_CONTENT_TYPE, event->content_type);
    attrs_text(attrs, ATTR_IDEMPOTENCY_KEY, event->idempotency_key);
}

int client_record(struct sb_client *client, const struct sb_client_event *event,
                  uint64_t deadline_us, struct buf *out, char *ret_id)
{
    uint64_t now = loop_wall_us(client->loop);
    struct buf attrs = BUF_NULL;
    size_t before = out->len;
    uint8_t id[16];

    if (!event->type || !text_is_type(event->type, strlen(event->type)))
        return client_fail(client, SB_CLIENT_BAD,
                           "a type is dotted words such as order.created, at most 200 "
                           "bytes");
    if (event->idempotency_key)
        add_idempotency(client, event, out);
    add_attrs(client, event, &attrs);
    id_new(now, id);
    long at = record_add(
        out,
        &(struct record_parts){
            .kind = is_request(event->type) ? RECORD_REQUEST : RECORD_FACT,
            .flags = event->content_type || !event->data_len ? 0 : RECORD_JSON,
            .type = event->type,
            .id = id,
            .key = event->key,
            .time_us = now,
            .deadline_us = is_request(event->type) ? deadline_us : 0,
            .integration = event->integration ? integration_hash(event->integration) : 0,
            .attrs = attrs.bytes,
            .attr_len = attrs.len,
            .data = event->data,
            .data_len = event->data_len,
        });
    buf_fini(&attrs);
    if (at < 0) {
        out->len = before;
        return client_fail(client, SB_CLIENT_BAD,
                           "%s: the event is too large: data is at most 1 MiB, the texts "
                           "beside it 32 KiB",
                           event->type);
    }
    if (ret_id)
        id_format(id, ret_id);
    return SB_CLIENT_OK;
}

uint64_t client_publish_now(struct sb_client *client, const struct buf *records,
                            bool wants_outcome, uint64_t until_us)
{
    uint64_t number = 0;
    bool is_left = true;

    while (client->n_flights >= CLIENT_FLIGHT_MAX ||
           !(number = peer_publish(client->peer, records->bytes, records->len,
                                   wants_outcome))) {
        if (!is_left)
            return 0;
        is_left = client_step(client, until_us);
    }
    struct flight *flight = add_flight(client, number);
    flight->wants_outcome = wants_outcome;
    buf_add(&flight->records, records->bytes, records->len);
    return number;
}

bool client_send_batch(struct sb_client *client, uint64_t until_us)
{
    if (!client->batch.len)
        return true;
    if (!client_publish_now(client, &client->batch, /* wants_outcome= */ false, until_us))
        return false;
    buf_clear(&client->batch);
    return true;
}

static int no_room(struct sb_client *client)
{
    return client_fail(client, SB_CLIENT_TIMEOUT, "%s",
                       client->why_not[0] ? client->why_not
                                          : "the broker has not answered what was sent "
                                            "before");
}

int sb_client_publish(struct sb_client *client, const struct sb_client_event *event,
                      char *ret_id)
{
    struct buf records = BUF_NULL;
    int status = client_record(client, event, event->deadline_us, &records, ret_id);

    if (status == SB_CLIENT_OK && client->batch.len + records.len > CLIENT_BATCH_BYTES &&
        !client_send_batch(client, client_until(client, CLIENT_WINDOW_MS)))
        status = no_room(client);
    if (status == SB_CLIENT_OK)
        buf_add(&client->batch, records.bytes, records.len);
    buf_fini(&records);
    return status;
}

int sb_client_commit(struct sb_client *client, unsigned timeout_ms)
{
    uint64_t until = client_until(client, timeout_ms);
    bool is_sent = client_send_batch(client, until);

    client_send_answers(client);
    while (is_sent && client->n_flights > 0 && !client->is_rejected)
        if (!client_step(client, until))
            break;
    if (client->is_rejected)
        return client_fail(client, SB_CLIENT_REFUSED, "%s", client->why_not);
    if (!is_sent || client->n_flights > 0)
        return no_room(client);
    if (client->was_refused) {
        client->was_refused = false;
        return client_fail(client, SB_CLIENT_REFUSED, "%s", client->refusal);
    }
    return SB_CLIENT_OK;
}
