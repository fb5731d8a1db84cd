/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/crypto.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "sandbox/calls.h"
#include "sandbox/provider.h"
#include "sandbox/webhook.h"

enum { BODY_MAX = 2 << 20 };

/* A provider at work. */
struct practice {
    const struct provider *row;
    void *state;
    struct webhooks *webhooks;
};

/* A simulated webhook on its way. */
struct simulation {
    struct sandbox *sandbox;
    struct simulation *next;
    struct http_request *request; /* NULL: the client is gone */
    char event[PROVIDER_ID_SIZE];
};
struct sandbox {
    struct loop *loop;
    struct http_server *server, *wrong_tls;
    struct calls *calls;
    struct practice practices[PROVIDERS_MAX];
    size_t n_practices;
    struct simulation *simulations;
};

/* --- answers --- */

static void answer_json(struct http_request *request, unsigned status, struct json *body)
{
    struct buf text = BUF_NULL;
    struct http_reply reply = {.status = status, .content_type = "application/json"};

    js_write(body, 2, &text);
    js_free(body);
    reply.body = text.bytes;
    reply.body_len = text.len;
    http_reply(request, &reply);
    buf_fini(&text);
}

static void answer_problem(struct http_request *request, unsigned status,
                           const char *message)
{
    answer_json(request, status, js_set_text(js_object(), "error", message));
}

static struct practice *practice_find(struct sandbox *sandbox, const char *name)
{
    for (size_t i = 0; i < sandbox->n_practices; i++)
        if (strcmp(sandbox->practices[i].row->name, name) == 0)
            return &sandbox->practices[i];
    return NULL;
}

/* --- the sandbox's own addresses --- */

static void get_providers(struct sandbox *sandbox, struct http_request *request)
{
    struct json *list = js_array();

    for (size_t i = 0; i < sandbox->n_practices; i++) {
        const struct practice *practice = &sandbox->practices[i];
        struct json *one = js_set_text(js_object(), "name", practice->row->name);
        _free_ char *path = mem_format("/%s", practice->row->name);
        _free_ char *key = webhooks_public_key(practice->webhooks);
        js_set_text(one, "path", path);
        js_set_bool(one, "has_webhook", webhooks_has_url(practice->webhooks));
        js_push(list, js_set_text(one, "public_key", key));
    }
    answer_json(request, 200, list);
}

static void get_effects(struct sandbox *sandbox, struct http_request *request)
{
    const char *query = strchr(http_target(request), '?');
    struct form form = FORM_NULL;
    const struct practice *practice = NULL;

    if (form_read(&form, query ? query + 1 : "", query ? strlen(query + 1) : 0)) {
        const char *name = form_get(&form, "provider");
        practice = practice_find(sandbox, name ? name : "stripe");
    }
    if (practice)
        answer_json(request, 200, practice->row->effects(practice->state));
    else
        answer_problem(request, 404, "there is no such provider");
    form_fini(&form);
}

static void get_status(struct sandbox *sandbox, struct http_request *request)
{
    struct json *status = js_object(), *webhooks = js_object();

    calls_status(sandbox->calls, status);
    for (size_t i = 0; i < sandbox->n_practices; i++)
        webhooks_count(sandbox->practices[i].webhooks, webhooks);
    answer_json(request, 200, js_set(status, "webhooks", webhooks));
}

static void get_faults(struct sandbox *sandbox, struct http_request *request)
{
    answer_json(request, 200, faults_json(calls_faults(sandbox->calls)));
}

static void delete_faults(struct sandbox *sandbox, struct http_request *request)
{
    calls_faults(sandbox->calls)->n = 0;
    get_faults(sandbox, request);
}

/* The request's body as JSON; answers 400 and returns NULL when it is none. */
static struct json *read_json(struct http_request *request)
{
    size_t n;
    const char *body = http_body(request, &n);
    char why[160] = "the body must be a JSON object";
    struct json *json = js_parse(body, n, why, sizeof(why));

    if (json && js_is_object(json))
        return json;
    js_free(json);
    answer_problem(request, 400, why);
    return NULL;
}

static void post_faults(struct sandbox *sandbox, struct http_request *request)
{
    struct json *description = read_json(request);
    char error[160];

    if (!description)
        return;
    if (faults_add(calls_faults(sandbox->calls), description, error, sizeof(error)))
        get_faults(sandbox, request);
    else
        answer_problem(request, 400, error);
    js_free(description);
}

/* --- simulated webhooks --- */

static void on_simulated(void *user, const struct json *sent)
{
    struct simulation *simulation = user, **at = &simulation->sandbox->simulations;
    const struct json *last = js_at(sent, js_count(sent) - 1);
    struct json *body = js_set_text(js_object(), "event", simulation->event);

    js_set_int(body, "status", js_int(last, "status", 0));
    js_set_text(body, "body", js_text(last, "body", NULL));
    js_set_text(body, "error", js_text(last, "error", NULL));
    js_set(body, "sent", js_copy(sent));
    while (*at != simulation)
        at = &(*at)->next;
    *at = simulation->next;
    if (simulation->request)
        answer_json(simulation->request, 200, body);
    else
        js_free(body);
    free(simulation);
}

/* Make the event, or for a reordering two of them, and send: the later one first. */
static void simulate(struct sandbox *sandbox, const struct practice *practice,
                     struct http_request *request, const struct json *wish,
                     enum webhook_fault fault)
{
    const char *type = js_text(wish, "event", NULL);
    const struct json *data = js_get(wish, "data");
    size_t n = fault == WEBHOOK_FAULT_DUPLICATE || fault == WEBHOOK_FAULT_REORDER ? 2 : 1;
    struct provider_event first = {.body = BUF_NULL}, later = {.body = BUF_NULL};
    uint64_t now = loop_wall_us(sandbox->loop);

    if (!practice->row->make_event(practice->state, type, data, now, &first) ||
        (fault == WEBHOOK_FAULT_REORDER &&
         !practice->row->make_event(practice->state, type, data, now + 1000000,
                                    &later))) {
        answer_problem(request, 400, "the provider has no event of this type");
        return;
    }
    struct simulation *simulation = mem_alloc(sizeof(*simulation));
    const struct provider_event *events[] = {later.body.len ? &later : &first, &first};
    simulation->sandbox = sandbox;
    simulation->request = request;
    simulation->next = sandbox->simulations;
    sandbox->simulations = simulation;
    memcpy(simulation->event, events[0]->id, sizeof(simulation->event));
    webhooks_simulate(practice->webhooks, events, n, fault, on_simulated, simulation);
    buf_fini(&first.body);
    buf_fini(&later.body);
}

/* Why the wish cannot be met; NULL when it can. */
static const char *unfit(const struct practice *practice, const struct json *wish,
                         enum webhook_fault fault)
{
    if (!practice)
        return "there is no such provider";
    if (!practice->row->make_event)
        return "this provider sends no webhooks";
    if (!js_text(wish, "event", NULL))
        return "event must be a provider's event type, e.g. checkout.session.completed";
    if (fault == WEBHOOK_FAULT_COUNT)
        return "fault must be one of duplicate, reorder, stale, bad-signature, "
               "wrong-secret, tampered";
    if (fault == WEBHOOK_FAULT_STALE && !practice->row->signs_time)
        return "this provider signs no time, so that nothing of it can be stale";
    return NULL;
}

static void post_webhook(struct sandbox *sandbox, struct http_request *request)
{
    struct json *wish = read_json(request);

    if (!wish)
        return;
    const struct practice *practice =
        practice_find(sandbox, js_text(wish, "provider", "stripe"));
    enum webhook_fault fault = webhook_fault_of(js_text(wish, "fault", "none"));
    const char *why = unfit(practice, wish, fault);
    if (why)
        answer_problem(request, 400, why);
    else if (!webhooks_has_url(practice->webhooks))
        answer_problem(request, 409,
                       "the sandbox was started without an address for the "
                       "webhooks of this provider");
    else
        simulate(sandbox, practice, request, wish, fault);
    js_free(wish);
}

static const struct {
    const char *method, *path;
    void (*fn)(struct sandbox *sandbox, struct http_request *request);
} routes[] = {
    {"GET", "/sandbox/providers", get_providers},
    {"GET", "/sandbox/effects", get_effects},
    {"GET", "/sandbox/status", get_status},
    {"GET", "/sandbox/faults", get_faults},
    {"POST", "/sandbox/faults", post_faults},
    {"DELETE", "/sandbox/faults", delete_faults},
    {"POST", "/sandbox/webhook", post_webhook},
};

static void on_own_address(struct sandbox *sandbox, struct http_request *request)
{
    bool is_known_path = false;

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, http_path(request)))
            continue;
        is_known_path = true;
        if (!strcmp(routes[i].method, http_method(request))) {
            routes[i].fn(sandbox, request);
            return;
        }
    }
    answer_problem(request, is_known_path ? 405 : 404,
                   is_known_path ? "not this method" : "no such address");
}

/* The provider whose address it is, and the path below its prefix. */
static const struct practice *practice_at(struct sandbox *sandbox, const char *path,
                                          const char **ret_path)
{
    for (size_t i = 0; i < sandbox->n_practices; i++) {
        const struct provider *row = sandbox->practices[i].row;
        size_t n = strlen(row->name);
        bool is_below = strncmp(path + 1, row->name, n) == 0 && path[1 + n] == '/';
        if (!is_below && !(row->root && strncmp(path, row->root, strlen(row->root)) == 0))
            continue;
        *ret_path = is_below ? path + 1 + n : path;
        return &sandbox->practices[i];
    }
    return NULL;
}

static void on_request(void *user, struct http_request *request)
{
    struct sandbox *sandbox = user;
    const char *path = http_path(request), *below;
    const struct practice *practice;

    if (strncmp(path, "/sandbox/", 9) == 0)
        on_own_address(sandbox, request);
    else if (*path == '/' && (practice = practice_at(sandbox, path, &below)))
        calls_take(sandbox->calls, practice->row, practice->state, request, below);
    else
        answer_problem(request, 404,
                       "no provider has this address; GET /sandbox/providers lists them");
}

/* --- the whole --- */

static void on_gone(void *user, struct http_request *request)
{
    struct sandbox *sandbox = user;

    calls_gone(sandbox->calls, request);
    for (struct simulation *s = sandbox->simulations; s; s = s->next)
        if (s->request == request)
            s->request = NULL; /* it is ended by its sender */
}

static void on_event(void *user, const struct provider_event *event)
{
    const struct practice *practice = user;

    webhooks_queue(practice->webhooks, event);
}

static void add_practice(struct sandbox *sandbox, const struct provider *row,
                         const struct sandbox_options *options)
{
    struct practice *practice = &sandbox->practices[sandbox->n_practices++];
    struct sandbox_provider given = {.name = row->name};

    for (size_t i = 0; i < options->n_providers; i++)
        if (strcmp(options->providers[i].name, row->name) == 0)
            given = options->providers[i];
    practice->row = row;
    practice->webhooks =
        webhooks_new(sandbox->loop, row, given.webhook_url,
                     row->signs_with_key ? given.api_key : given.webhook_secret);
    practice->state = row->open(&(struct provider_options){
        .api_key = given.api_key, .on_event = on_event, .user = practice});
}

/* The fault that cannot be told to an address: a certificate of another's name, signed by
 * nobody. */
static bool listen_untrusted(struct sandbox *sandbox, struct http_server_options server,
                             char *error, size_t error_size)
{
    struct buf certificate = BUF_NULL, key = BUF_NULL;

    crypto_self_signed("somebody.else.example", &certificate, &key);
    server.port = 0;
    server.tls_cert = buf_str(&certificate);
    server.tls_key = buf_str(&key);
    sandbox->wrong_tls = http_server_new(sandbox->loop, &server, error, error_size);
    buf_fini(&certificate);
    buf_fini(&key);
    return sandbox->wrong_tls != NULL;
}

struct sandbox *sandbox_new(struct loop *loop, const struct sandbox_options *options,
                            char *error, size_t error_size)
{
    struct sandbox *sandbox = mem_alloc(sizeof(*sandbox));
    struct http_server_options server = {
        .address = "127.0.0.1",
        .port = options->port,
        .body_max = BODY_MAX,
        .on_request = on_request,
        .on_gone = on_gone,
        .user = sandbox,
    };

    sandbox->loop = loop;
    sandbox->calls = calls_new(loop);
    for (const struct provider *const *row = providers; *row; row++)
        add_practice(sandbox, *row, options);
    sandbox->server = http_server_new(loop, &server, error, error_size);
    if (sandbox->server && listen_untrusted(sandbox, server, error, error_size))
        return sandbox;
    sandbox_free(sandbox);
    return NULL;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    http_server_free(sandbox->wrong_tls);
    http_server_free(
        sandbox->server); /* on_gone takes the requests away from what waits */
    calls_free(sandbox->calls);
    for (size_t i = 0; i < sandbox->n_practices; i++) {
        webhooks_free(sandbox->practices[i].webhooks);
        sandbox->practices[i].row->close(sandbox->practices[i].state);
    }
    for (struct simulation *s = sandbox->simulations, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    free(sandbox);
}

uint16_t sandbox_port(const struct sandbox *sandbox)
{
    return http_server_port(sandbox->server);
}

uint16_t sandbox_wrong_tls_port(const struct sandbox *sandbox)
{
    return http_server_port(sandbox->wrong_tls);
}
