/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/webhook.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "sandbox/provider.h"

#define WRONG_SECRET "whsec_bm90IHRoZSBzZWNyZXQgdGhhdCBpdCBzaG91bGQgYmU="
enum {
    TIMEOUT_US = 10000000,
    PAUSE_US = 1000000,
    SPOILT_FROM_END = 10 /* before the padding of base64, within the digest */
};

/* One event on its way of its own accord. */
struct parcel {
    struct webhooks *webhooks;
    struct parcel *next; /* in the queue, or among those that are out */
    struct loop_timer *pause;
    char id[PROVIDER_ID_SIZE];
    char *text;
    unsigned attempts;
};
/* What /sandbox/webhook asked for. */
struct simulation {
    struct webhooks *webhooks;
    struct simulation *next;
    char ids[2][PROVIDER_ID_SIZE];
    char *texts[2];
    size_t n, at;
    enum webhook_fault fault;
    struct json *sent;
    webhook_done_fn on_done;
    void *user;
};
struct webhooks {
    struct loop *loop;
    const struct provider *row;
    struct http_client *client; /* NULL without a url */
    char *url, *secret;
    struct parcel *first, **last; /* the queue */
    struct parcel *out;           /* in flight or pausing */
    struct simulation *simulations;
    size_t n_queued, n_out;
    int64_t delivered, given_up, dropped;
};

static const char *const fault_names[] = {
#define FAULT(name, text) text,
    WEBHOOK_FAULTS(FAULT)
#undef FAULT
};

enum webhook_fault webhook_fault_of(const char *name)
{
    unsigned i = 0;

    while (i < WEBHOOK_FAULT_COUNT && strcmp(fault_names[i], name))
        i++;
    return (enum webhook_fault)i;
}

static uint64_t now_s(const struct webhooks *webhooks)
{
    return loop_wall_us(webhooks->loop) / 1000000;
}

/* A letter of its own: the digest inside is another one then, in hex and in base64. */
static void spoil(char *signature)
{
    size_t n = strlen(signature);

    if (n > SPOILT_FROM_END) {
        char *c = &signature[n - SPOILT_FROM_END];
        *c = *c == '0' ? '1' : '0';
    }
}

/* After signing: what was false is true now, or the last letter is another one. */
static void tamper(char *body)
{
    char *livemode = strstr(body, "\"livemode\": false");
    size_t n = strlen(body);

    if (livemode) {
        memcpy(livemode, "\"livemode\": true ", 17);
        return;
    }
    while (n && !isalnum((unsigned char)body[n - 1]))
        n--;
    if (n)
        body[n - 1] = body[n - 1] == 'x' ? 'y' : 'x';
}

static void send_event(struct webhooks *webhooks, const char *id, char *body,
                       enum webhook_fault fault,
                       void (*on_done)(void *, const struct http_call *), void *user)
{
    const struct provider *row = webhooks->row;
    bool is_stale = fault == WEBHOOK_FAULT_STALE,
         is_wrong = fault == WEBHOOK_FAULT_WRONG_SECRET;
    struct provider_headers signature = {.n = 0};
    struct http_field headers[PROVIDER_HEADERS_MAX + 2] = {
        {"Content-Type", row->webhook_type}, {"User-Agent", row->agent}};

    row->sign(
        &(struct provider_signing){.secret = is_wrong ? WRONG_SECRET : webhooks->secret,
                                   .url = webhooks->url,
                                   .body = body,
                                   .len = strlen(body),
                                   .now_s = now_s(webhooks) -
                                            (is_stale ? PROVIDER_STALE_S : 0),
                                   .event_id = id},
        &signature);
    if (fault == WEBHOOK_FAULT_BAD_SIGNATURE)
        spoil(signature.all[0].value);
    if (fault == WEBHOOK_FAULT_TAMPERED)
        tamper(body);
    for (size_t i = 0; i < signature.n; i++)
        headers[2 + i] =
            (struct http_field){signature.all[i].name, signature.all[i].value};
    (void)http_client_call(webhooks->client, /* on_done comes in any case */
                           &(struct http_call_options){.method = "POST",
                                                       .url = webhooks->url,
                                                       .headers = headers,
                                                       .n_headers = 2 + signature.n,
                                                       .body = body,
                                                       .body_len = strlen(body),
                                                       .timeout_us = TIMEOUT_US,
                                                       .on_done = on_done,
                                                       .user = user});
}

/* --- events of their own accord --- */

static void fill(struct webhooks *webhooks);

static void parcel_free(struct parcel *parcel)
{
    loop_timer_free(parcel->pause);
    free(parcel->text);
    free(parcel);
}

static void parcel_done(struct parcel *parcel)
{
    struct webhooks *webhooks = parcel->webhooks;
    struct parcel **at = &webhooks->out;

    while (*at != parcel)
        at = &(*at)->next;
    *at = parcel->next;
    webhooks->n_out--;
    parcel_free(parcel);
    fill(webhooks);
}

static void on_parcel_answer(void *user, const struct http_call *call)
{
    struct parcel *parcel = user;
    unsigned status =
        http_call_result(call) == HTTP_ANSWERED ? http_call_status(call) : 0;

    if (status >= 200 && status < 300) {
        parcel->webhooks->delivered++;
        parcel_done(parcel);
    } else if (parcel->attempts == WEBHOOK_ATTEMPTS) {
        parcel->webhooks->given_up++;
        parcel_done(parcel);
    } else {
        loop_timer_in(parcel->pause, (uint64_t)PAUSE_US << (parcel->attempts - 1));
    }
}

static void send_parcel(void *user)
{
    struct parcel *parcel = user;
    struct webhooks *webhooks = parcel->webhooks;

    parcel->attempts++;
    send_event(webhooks, parcel->id, parcel->text, WEBHOOK_FAULT_NONE, on_parcel_answer,
               parcel);
}

static void fill(struct webhooks *webhooks)
{
    while (webhooks->first && webhooks->n_out < WEBHOOK_IN_FLIGHT_MAX) {
        struct parcel *parcel = webhooks->first;

        webhooks->first = parcel->next;
        if (!webhooks->first)
            webhooks->last = &webhooks->first;
        webhooks->n_queued--;
        webhooks->n_out++;
        parcel->next = webhooks->out;
        webhooks->out = parcel;
        send_parcel(parcel);
    }
}

void webhooks_queue(struct webhooks *webhooks, const struct provider_event *event)
{
    struct parcel *parcel;

    if (!webhooks->url)
        return;
    if (webhooks->n_queued == WEBHOOK_QUEUE_MAX) {
        webhooks->dropped++;
        return;
    }
    parcel = mem_alloc(sizeof(*parcel));
    parcel->webhooks = webhooks;
    memcpy(parcel->id, event->id, sizeof(parcel->id));
    parcel->text = mem_copy(event->body.bytes, event->body.len);
    parcel->pause = loop_timer_new(webhooks->loop, send_parcel, parcel);
    *webhooks->last = parcel;
    webhooks->last = &parcel->next;
    webhooks->n_queued++;
    fill(webhooks);
}

/* --- on purpose --- */

static void simulation_free(struct simulation *simulation)
{
    for (size_t i = 0; i < simulation->n; i++)
        free(simulation->texts[i]);
    js_free(simulation->sent);
    free(simulation);
}

static void simulation_done(struct simulation *simulation)
{
    struct simulation **at = &simulation->webhooks->simulations;

    while (*at != simulation)
        at = &(*at)->next;
    *at = simulation->next;
    simulation->on_done(simulation->user, simulation->sent);
    simulation_free(simulation);
}

static void on_simulation_answer(void *user, const struct http_call *call);

static void send_simulation(struct simulation *simulation)
{
    send_event(simulation->webhooks, simulation->ids[simulation->at],
               simulation->texts[simulation->at], simulation->fault, on_simulation_answer,
               simulation);
}

static void on_simulation_answer(void *user, const struct http_call *call)
{
    struct simulation *simulation = user;
    struct json *answer = js_object();
    bool is_answered = http_call_result(call) == HTTP_ANSWERED;
    size_t n = 0;

    js_set_int(answer, "status", is_answered ? http_call_status(call) : 0);
    if (is_answered) {
        const char *body = http_call_body(call, &n);

        js_set(answer, "body", js_from_text(body, n));
    } else {
        js_set_text(answer, "error", http_call_error(call));
    }
    js_push(simulation->sent, answer);
    if (++simulation->at < simulation->n)
        send_simulation(simulation);
    else
        simulation_done(simulation);
}

void webhooks_simulate(struct webhooks *webhooks,
                       const struct provider_event *const *events, size_t n,
                       enum webhook_fault fault, webhook_done_fn on_done, void *user)
{
    struct simulation *simulation = mem_alloc(sizeof(*simulation));

    simulation->webhooks = webhooks;
    simulation->next = webhooks->simulations;
    webhooks->simulations = simulation;
    simulation->n = n;
    for (size_t i = 0; i < n; i++) {
        memcpy(simulation->ids[i], events[i]->id, sizeof(simulation->ids[i]));
        simulation->texts[i] = mem_copy(events[i]->body.bytes, events[i]->body.len);
    }
    simulation->fault = fault;
    simulation->sent = js_array();
    simulation->on_done = on_done;
    simulation->user = user;
    send_simulation(simulation);
}

/* --- the whole --- */

struct webhooks *webhooks_new(struct loop *loop, const struct provider *row,
                              const char *url, const char *secret)
{
    struct webhooks *webhooks = mem_alloc(sizeof(*webhooks));
    struct http_client_options options = {.connections_max = WEBHOOK_IN_FLIGHT_MAX,
                                          .allow_private_network = true};

    webhooks->loop = loop;
    webhooks->row = row;
    webhooks->client = url ? http_client_new(loop, &options) : NULL;
    webhooks->url = mem_text(url);
    webhooks->secret = mem_text(secret);
    webhooks->last = &webhooks->first;
    return webhooks;
}

void webhooks_free(struct webhooks *webhooks)
{
    if (!webhooks)
        return;
    http_client_free(webhooks->client);
    for (struct parcel *parcel = webhooks->first, *next; parcel; parcel = next) {
        next = parcel->next;
        parcel_free(parcel);
    }
    for (struct parcel *parcel = webhooks->out, *next; parcel; parcel = next) {
        next = parcel->next;
        parcel_free(parcel);
    }
    for (struct simulation *simulation = webhooks->simulations, *next; simulation;
         simulation = next) {
        next = simulation->next;
        simulation_free(simulation);
    }
    free(webhooks->url);
    free(webhooks->secret);
    free(webhooks);
}

bool webhooks_has_url(const struct webhooks *webhooks)
{
    return webhooks->url != NULL;
}

char *webhooks_public_key(const struct webhooks *webhooks)
{
    return webhooks->row->public_key && webhooks->secret
               ? webhooks->row->public_key(webhooks->secret)
               : NULL;
}

static void count(struct json *counts, const char *name, int64_t n)
{
    js_set_int(counts, name, js_int(counts, name, 0) + n);
}

void webhooks_count(const struct webhooks *webhooks, struct json *counts)
{
    count(counts, "queued", (int64_t)(webhooks->n_queued + webhooks->n_out));
    count(counts, "delivered", webhooks->delivered);
    count(counts, "given_up", webhooks->given_up);
    count(counts, "dropped", webhooks->dropped);
}
