/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Events of a group, and the answers to them.  An event is "started" when the application
 * gets it, not when it comes: what only waits here is the broker's again when the link
 * breaks, and costs no attempt. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/sdk/client_state.h"
#include "lib/sdk/peer.h"
#include "proto/attrs.h"
#include "proto/control.h"

enum { ANSWERS_BYTES = 64 << 10 };

/* --- what came --- */

static const char *text_of(const struct record *r, enum attr attr)
{
    return attrs_copy_text(record_attrs(r), r->attr_len, attr);
}

static char *cause_of(const struct record *r)
{
    char text[ID_TEXT_SIZE];

    if (id_is_zero(r->cause))
        return attrs_copy_text(record_attrs(r), r->attr_len, ATTR_CAUSE_TEXT);
    id_format(r->cause, text);
    return mem_text(text);
}

struct received *received_new(const struct slice *slice, uint32_t index,
                              const struct record *r, unsigned attempt)
{
    struct received *received = mem_alloc(sizeof(*received));
    const char *content_type = r->flags & RECORD_JSON ? mem_text("application/json")
                                                      : text_of(r, ATTR_CONTENT_TYPE);

    received->at = (struct position){slice->block, index};
    received->seen = (struct sb_client_received){
        .id = record_id_text(r),
        .type = mem_copy(record_type(r), r->type_len),
        .status = status_name(r->status),
        .error_class = r->error_class ? class_name(r->error_class) : NULL,
        .error_msg = text_of(r, ATTR_ERROR_MSG),
        .key = text_of(r, ATTR_KEY),
        .source = text_of(r, ATTR_SOURCE),
        .subject = text_of(r, ATTR_SUBJECT),
        .content_type = content_type,
        .traceparent = text_of(r, ATTR_TRACEPARENT),
        .cause = cause_of(r),
        .data = mem_copy(record_data(r), r->data_len),
        .data_len = r->data_len,
        .attempt = attempt,
        .timestamp_us = slice->timestamp_us,
        .time_us = r->time_us ? r->time_us : slice->timestamp_us,
    };
    return received;
}

void sb_client_free(struct sb_client_received *seen)
{
    if (!seen)
        return;
    const void *owned[] = {
        seen->id,      seen->type,  seen->error_msg,    seen->key,         seen->source,
        seen->subject, seen->cause, seen->content_type, seen->traceparent, seen->data,
        seen /* last: the struct itself */};
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++)
        free((void *)(uintptr_t)owned[i]);
}

void client_on_deliver(void *user, const struct message *deliver)
{
    struct sb_client *client = user;
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why;

    while ((slice = message_slice(deliver, slice, &r, &why)))
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r)) {
            struct received *received =
                received_new(slice, slice->index + i, r, slice->attempt);
            *client->last = received;
            client->last = &received->next;
            client->n_waiting++;
        }
}

void client_forget_waiting(struct sb_client *client)
{
    for (struct received *at = client->first, *next; at; at = next) {
        next = at->next;
        sb_client_free(&at->seen);
    }
    client->first = NULL;
    client->last = &client->first;
    client->n_waiting = 0;
}

void sb_client_subscribe(struct sb_client *client, const char *group, unsigned ahead)
{
    client->group_why[0] = 0;
    client->ahead = ahead == 0                 ? CLIENT_AHEAD
                    : ahead > CLIENT_AHEAD_MAX ? CLIENT_AHEAD_MAX
                                               : ahead;
    peer_subscribe(client->peer, group, client->ahead);
}

int sb_client_next(struct sb_client *client, unsigned timeout_ms,
                   struct sb_client_received **ret_event)
{
    uint64_t until = client_until(client, timeout_ms);

    if (!client->first)
        client_send_answers(client);
    while (!client->first && !client->is_rejected && !client->group_why[0])
        if (!client_step(client, until))
            break;
    struct received *received = client->first;
    if (!received && client->group_why[0])
        return client_fail(client, SB_CLIENT_REFUSED, "%s", client->group_why);
    if (!received && client->is_rejected)
        return client_fail(client, SB_CLIENT_REFUSED, "%s", client->why_not);
    if (!received)
        return client_fail(client, SB_CLIENT_TIMEOUT, "%s",
                           client->why_not[0] ? client->why_not : "no event in time");
    client->first = received->next;
    if (!client->first)
        client->last = &client->first;
    client->n_waiting--;
    peer_started(client->peer, received->at);
    *ret_event = &received->seen;
    return SB_CLIENT_OK;
}

/* --- answers --- */

void client_send_answers(struct sb_client *client)
{
    if (!client->answers.len || client->n_flights >= CLIENT_FLIGHT_MAX)
        return; /* later: they are kept */
    uint64_t number =
        peer_result(client->peer, client->answers.bytes, client->answers.len);
    struct flight *flight = mem_alloc(sizeof(*flight));
    *flight =
        (struct flight){.number = number, .is_result = true, .next = client->flights};
    client->flights = flight;
    client->n_flights++;
    buf_clear(&client->answers);
    client->n_answers = 0;
}

static void add_answer(struct sb_client *client, enum record_kind kind,
                       enum record_class error_class, const char *why, const void *data,
                       size_t n)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    _free_ char *said = why ? mem_copy(why, strnlen(why, 1000)) : NULL;
    attrs_text(&attrs, ATTR_ERROR_MSG, said);
    record_add(&client->answers, &(struct record_parts){.kind = kind,
                                                        .error_class = error_class,
                                                        .attrs = attrs.bytes,
                                                        .attr_len = attrs.len,
                                                        .data = data,
                                                        .data_len = n});
    buf_fini(&attrs);
    /* Half of them are sent while the application handles the other half. */
    if (++client->n_answers * 2 >= client->ahead || client->answers.len >= ANSWERS_BYTES)
        client_send_answers(client);
}

static void settle(struct sb_client *client, struct sb_client_received **event,
                   enum record_status result, const char *why)
{
    const struct received *received = (const struct received *)*event;
    bool is_failed = result == STATUS_FAILED;
    struct control_ack data = {.block = received->at.block,
                               .first = received->at.index,
                               .count = 1,
                               .result = result};

    add_answer(client, RECORD_ACK, is_failed ? CLASS_permanent : CLASS_none, why, &data,
               sizeof(data));
    sb_client_free(*event);
    *event = NULL;
}

void sb_client_ack(struct sb_client *client, struct sb_client_received **event)
{
    settle(client, event, STATUS_SUCCESS, NULL);
}

void sb_client_fail(struct sb_client *client, struct sb_client_received **event,
                    const char *why)
{
    settle(client, event, STATUS_FAILED, why);
}

void sb_client_retry(struct sb_client *client, struct sb_client_received **event,
                     uint64_t after_ms, const char *why)
{
    const struct received *received = (const struct received *)*event;
    struct control_retry data = {.block = received->at.block,
                                 .index = received->at.index,
                                 .due_us = after_ms * 1000,
                                 .attempts = 1};

    add_answer(client, RECORD_RETRY, CLASS_none, why, &data, sizeof(data));
    sb_client_free(*event);
    *event = NULL;
}
