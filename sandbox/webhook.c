/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/client.h"
#include "lib/http/crypto.h"
#include "lib/loop/loop.h"

enum { STALE_SECONDS = 3600, TIMEOUT_US = 10000000, PAUSE_US = 1000000 };

/* One event on its way of its own accord. */
struct parcel {
    struct webhooks *webhooks;
    struct parcel *next; /* in the queue, or among those that are out */
    struct loop_timer *pause;
    char *text;
    unsigned attempts;
};
/* What /sandbox/webhook asked for. */
struct simulation {
    struct webhooks *webhooks;
    struct simulation *next;
    char *texts[2];
    size_t n, at;
    enum webhook_fault fault;
    struct json *sent;
    webhook_done_fn on_done;
    void *user;
};
struct webhooks {
    struct loop *loop;
    struct http_client *client;
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

char *webhook_signature(const char *secret, uint64_t unix_seconds, const char *body,
                        size_t len)
{
    struct buf header = BUF_NULL;
    char time[24];
    int time_len =
        snprintf(time, sizeof(time), "%llu.", (unsigned long long)unix_seconds);
    struct crypto_part parts[] = {{time, (size_t)time_len}, {body, len}};
    uint8_t mac[CRYPTO_SHA256_SIZE];
    char *text;

    crypto_hmac_sha256(secret, strlen(secret), parts, 2, mac);
    buf_format(&header, "t=%llu,v1=", (unsigned long long)unix_seconds);
    text_hex(mac, sizeof(mac), &header);
    text = mem_text(buf_str(&header));
    buf_fini(&header);
    return text;
}

static struct http_call *post(struct webhooks *webhooks, const char *body,
                              const char *signature,
                              void (*on_done)(void *, const struct http_call *),
                              void *user)
{
    struct http_field headers[] = {
        {"Content-Type", "application/json; charset=utf-8"},
        {"User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"},
        {"Stripe-Signature", signature},
    };
    struct http_call_options options = {
        .method = "POST",
        .url = webhooks->url,
        .headers = headers,
        .n_headers = 3,
        .body = body,
        .body_len = strlen(body),
        .timeout_us = TIMEOUT_US,
        .on_done = on_done,
        .user = user,
    };

    return http_client_call(webhooks->client, &options);
}

static uint64_t now_s(const struct webhooks *webhooks)
{
    return loop_wall_us(webhooks->loop) / 1000000;
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
    _free_ char *signature = webhook_signature(webhooks->secret, now_s(webhooks),
                                               parcel->text, strlen(parcel->text));

    parcel->attempts++;
    post(webhooks, parcel->text, signature, on_parcel_answer, parcel);
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

void webhooks_queue(struct webhooks *webhooks, const char *text, size_t len)
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
    parcel->text = mem_copy(text, len);
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

/* After signing: what was false is true now. */
static void tamper(char *body)
{
    char *livemode = strstr(body, "\"livemode\": false");

    if (livemode)
        memcpy(livemode, "\"livemode\": true ", 17);
    else
        *strchr(body, '{') = '[';
}

static void on_simulation_answer(void *user, const struct http_call *call);

static void send_simulation(struct simulation *simulation)
{
    struct webhooks *webhooks = simulation->webhooks;
    bool is_stale = simulation->fault == WEBHOOK_FAULT_STALE;
    const char *secret = simulation->fault == WEBHOOK_FAULT_WRONG_SECRET
                             ? "whsec_not_the_one"
                             : webhooks->secret;
    char *body = simulation->texts[simulation->at];
    _free_ char *signature = webhook_signature(
        secret, now_s(webhooks) - (is_stale ? STALE_SECONDS : 0), body, strlen(body));
    char *digit = strstr(signature, "v1=") + 3;

    if (simulation->fault == WEBHOOK_FAULT_BAD_SIGNATURE)
        *digit = *digit == '0' ? '1' : '0';
    if (simulation->fault == WEBHOOK_FAULT_TAMPERED)
        tamper(body);
    post(webhooks, body, signature, on_simulation_answer, simulation);
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

void webhooks_simulate(struct webhooks *webhooks, const char *const *texts, size_t n,
                       enum webhook_fault fault, webhook_done_fn on_done, void *user)
{
    struct simulation *simulation = mem_alloc(sizeof(*simulation));

    simulation->webhooks = webhooks;
    simulation->next = webhooks->simulations;
    webhooks->simulations = simulation;
    simulation->n = n;
    for (size_t i = 0; i < n; i++)
        simulation->texts[i] = mem_text(texts[i]);
    simulation->fault = fault;
    simulation->sent = js_array();
    simulation->on_done = on_done;
    simulation->user = user;
    send_simulation(simulation);
}

/* --- the whole --- */

struct webhooks *webhooks_new(struct loop *loop, const char *url, const char *secret)
{
    struct webhooks *webhooks = mem_alloc(sizeof(*webhooks));
    struct http_client_options options = {.connections_max = WEBHOOK_IN_FLIGHT_MAX,
                                          .allow_private_network = true};

    webhooks->loop = loop;
    webhooks->client = http_client_new(loop, &options);
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

struct json *webhooks_json(const struct webhooks *webhooks)
{
    struct json *json = js_object();

    js_set_int(json, "queued", (int64_t)(webhooks->n_queued + webhooks->n_out));
    js_set_int(json, "delivered", webhooks->delivered);
    js_set_int(json, "given_up", webhooks->given_up);
    return js_set_int(json, "dropped", webhooks->dropped);
}
