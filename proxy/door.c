/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/signalbox/connector.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/trace.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/carry.h"
#include "lib/sdk/host.h"
#include "lib/sdk/table.h"
#include "lib/sdk/veil.h"
#include "lib/service/service.h"
#include "proto/attrs.h"
#include "proto/message.h"
#include "proxy/guard.h"
#include "proxy/passage.h"
#include "proxy/rules.h"
#include "proxy/target.h"

struct door {
    const struct integration *integration;
    struct host *host;
    struct http_server *server;
    struct loop_timer *look;
    struct loop *loop;
    struct guard guard;
    struct veil veil; /* over the credential, in what goes to applications */
    const char *allow;
    uint64_t wait_us;
    struct passage *passages;
    unsigned n;
    struct table by_id; /* the id's second half -> passage */
};

static struct door door; /* one per process */

/* --- passages --- */

static uint64_t half(const uint8_t id[16])
{
    uint64_t n;

    memcpy(&n, id + 8, sizeof(n));
    return n;
}

static struct passage *find(const uint8_t id[16])
{
    const uint64_t *value = table_get(&door.by_id, half(id), 0);
    struct passage *p = value ? (struct passage *)(uintptr_t)*value : NULL;

    return p && memcmp(p->id, id, 16) == 0 ? p : NULL;
}

static struct passage *find_text(const char *text)
{
    uint8_t id[16];

    return id_parse(text, id) ? find(id) : NULL;
}

struct passage *door_passage(const struct sb_event *event)
{
    return find_text(sb_id(event));
}

static void insert(struct passage *p)
{
    p->next = door.passages;
    if (p->next)
        p->next->prev = p;
    door.passages = p;
    door.n++;
    table_put(&door.by_id, half(p->id), 0, (uintptr_t)p);
    if (!loop_timer_is_set(door.look))
        loop_timer_in(door.look, DOOR_LOOK_US);
}

static void drop(struct passage *p)
{
    *(p->prev ? &p->prev->next : &door.passages) = p->next;
    if (p->next)
        p->next->prev = p->prev;
    door.n--;
    table_drop(&door.by_id, half(p->id), 0);
    passage_free(p);
}

/* --- in: a request becomes an event --- */

static bool is_read(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static const char *key_of(const struct http_request *request)
{
    const char *name = rule_of(door.integration->provider->name)->key_header;

    return name ? http_header(request, name) : NULL;
}

/* Which model is asked, for what it costs. */
static void read_model(struct passage *p)
{
    char error[120];
    size_t n;
    const char *body = http_body(p->request, &n);

    if (!rule_of(door.integration->provider->name)->has_models || n == 0 ||
        n > PASSAGE_MODEL_BODY_MAX)
        return;
    struct json *json = js_parse(body, n, error, sizeof(error));
    snprintf(p->model, sizeof(p->model), "%s", js_text(json, "model", ""));
    js_free(json);
}

/* What the log has of it: nothing of its body, its query or its headers. */
static void write_data(const struct passage *p, struct buf *out)
{
    struct json *data = js_object();
    size_t n;

    http_body(p->request, &n);
    js_set_text(data, "method", http_method(p->request));
    js_set_text(data, "path", p->target.path);
    js_set_int(data, "bytes", (int64_t)n);
    js_set_text(data, "model", *p->model ? p->model : NULL);
    js_write(data, 0, out);
    js_free(data);
    call_redact(door.integration, (char *)out->bytes, out->len);
}

static void write_attrs(const struct passage *p, const char *actor, struct buf *out)
{
    const char *parent = http_header(p->request, "traceparent"),
               *state = http_header(p->request, "tracestate");

    attrs_begin(out);
    attrs_text(out, ATTR_IDEMPOTENCY_KEY, key_of(p->request));
    attrs_text(out, ATTR_ACTOR, actor);
    if (!trace_is_parent(parent))
        return;
    attrs_text(out, ATTR_TRACEPARENT, parent);
    attrs_text(out, ATTR_TRACESTATE, trace_is_state(state) ? state : NULL);
}

/* Publish the request event; false when there is no room for it now. */
static bool publish(struct passage *p, const char *actor)
{
    struct buf attrs = BUF_NULL, data = BUF_NULL, record = BUF_NULL;
    uint64_t now_us = loop_wall_us(door.loop);

    id_new(now_us, p->id);
    read_model(p);
    write_attrs(p, actor, &attrs);
    write_data(p, &data);
    struct record_parts parts = {
        .kind = RECORD_REQUEST,
        .flags = RECORD_JSON,
        .type = is_read(http_method(p->request)) ? "proxy.read.requested"
                                                 : "proxy.call.requested",
        .id = p->id,
        .time_us = now_us,
        .deadline_us = now_us + door.wait_us,
        .integration = integration_hash(door.integration->name),
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = data.bytes,
        .data_len = data.len,
    };
    p->batch = record_add(&record, &parts) < 0
                   ? 0
                   : host_ask(door.host, record.bytes, record.len);
    buf_fini(&attrs);
    buf_fini(&data);
    buf_fini(&record);
    return p->batch != 0;
}

static void count_sent(void *user, const char *name, const char *value)
{
    unsigned *n = user;

    (void)value;
    *n += rule_sends(name);
}

static void pass(struct http_request *request, struct target *target, const char *actor)
{
    struct passage *p = passage_new(request, target, &door.veil);

    if (!publish(p, actor)) {
        passage_say(request, 503, "overloaded", "signalbox has no room for it now");
        passage_free(p);
        return;
    }
    p->due_us = p->since_us + door.wait_us + DOOR_HOLD_US;
    http_set_user(request, p);
    insert(p);
}

static void on_request(void *user, struct http_request *request)
{
    struct target target = {0};
    unsigned headers = 0, status;
    const char *actor = NULL, *why = guard_refuses(&door.guard, request, &actor, &status);

    (void)user;
    if (why) {
        passage_say(request, status, "forbidden", why);
        return;
    }
    http_each_header(request, count_sent, &headers);
    why = target_read(http_target(request), door.integration->name, &target);
    if (why)
        passage_say(request, 400, "bad_path", why);
    else if (!allow_has(door.allow, http_method(request), target.path))
        passage_say(request, 403, "not_allowed",
                    "this method and path are not in options.allow of the integration");
    else if (headers > DOOR_HEADERS_MAX)
        passage_say(request, 431, "too_many_headers", "at most 28 headers are passed on");
    else if (door.n >= DOOR_PASSAGES_MAX)
        passage_say(request, 503, "overloaded", "too many requests are under way");
    else
        pass(request, &target, actor);
    target_fini(&target);
}

/* What the server refuses by itself: too large, malformed, no room. */
static void on_refused_here(void *user, const struct http_request *request,
                            unsigned status, struct http_reply *ret_reply)
{
    (void)request;
    static const char words[] =
        "{\"error\":{\"type\":\"signalbox_proxy\",\"code\":\"refused\",\"message\":"
        "\"the proxy cannot take this request: too large (options.max_body), malformed, "
        "or no room now\"}}";
    static const struct http_header again[] = {{"Retry-After", "1"}, {NULL, NULL}};

    (void)user;
    ret_reply->content_type = "application/json";
    ret_reply->body = words;
    ret_reply->body_len = sizeof(words) - 1;
    ret_reply->headers = status == 503 ? again : NULL;
}

/* --- the applications --- */

static void soon(void)
{
    loop_timer_in(door.look, 0);
}

static void on_gone(void *user, struct http_request *request)
{
    struct passage *p = http_user(request);

    (void)user;
    if (!p)
        return;
    p->request = NULL;
    p->is_left = true;
    soon();
}

static void on_drained(void *user, struct http_request *request)
{
    struct passage *p = http_user(request);

    (void)user;
    if (!p || !p->is_paused)
        return;
    p->is_drained = true;
    soon();
}

/* An application that waits is not heard to leave: it is looked at. */
static void look_whether_left(struct passage *p)
{
    if (!p->request || !http_is_left(p->request))
        return;
    p->is_left = true;
    http_set_user(p->request, NULL);
    if (p->is_streaming)
        http_stream_end(p->request, /* abort= */ true);
    else
        passage_say(p->request, 499, "left", "the application went away");
    p->request = NULL;
}

static void look_at_call(struct passage *p, uint64_t now_us)
{
    char why[PASSAGE_REASON_MAX];

    if (p->is_paused && p->is_drained) {
        p->is_paused = p->is_drained = false;
        http_client_resume(p->http);
    } else if (p->is_left) {
        snprintf(why, sizeof(why),
                 "the application went away after %llu bytes of the answer, and the call "
                 "was broken off",
                 (unsigned long long)p->bytes);
        http_client_end(p->http, why);
    } else if (!p->due_us || p->is_paused) {
        p->due_us = now_us + door.integration->timeout_us;
    } else if (p->due_us <= now_us) {
        http_client_end(p->http, p->status ? "the answer stopped coming"
                                           : "timed out waiting for the answer");
    }
}

/* True: it is gone. */
static bool look_at(struct passage *p, uint64_t now_us)
{
    look_whether_left(p);
    if (p->state == PASSAGE_CALLING && p->http)
        look_at_call(p, now_us);
    else if (p->due_us && p->due_us <= now_us) {
        passage_finish(p, NULL);
        drop(p);
        return true;
    }
    return false;
}

static void look(void *user)
{
    uint64_t now_us = clock_steady_us();

    (void)user;
    for (struct passage *p = door.passages, *next; p; p = next) {
        next = p->next;
        look_at(p, now_us);
    }
    if (door.passages && !loop_timer_is_set(door.look))
        loop_timer_in(door.look, DOOR_LOOK_US);
}

/* --- the call --- */

static void sending(void *user, const struct call *call,
                    struct http_call_options *options)
{
    struct passage *p = find_text(call_id(call));

    (void)user;
    if (!p || !p->request)
        return;
    options->tap = passage_tap(p);
    options->answer_max = PASSAGE_KEPT_MAX;
    options->body = http_body(p->request, &options->body_len);
    if (options->body_len == 0)
        options->body = NULL;
    options->timeout_us = DOOR_CALL_MAX_US; /* limits.timeout counts from the last byte */
    /* under a key it may be sent again when a kept connection turns out dead */
    options->is_once = options->is_once && !key_of(p->request);
}

static void sent(void *user, const struct call *call, struct http_call *http)
{
    struct passage *p = find_text(call_id(call));

    (void)user;
    if (!p)
        return;
    p->http = http;
    p->state = PASSAGE_CALLING;
    p->due_us = clock_steady_us() + door.integration->timeout_us;
}

static void ended(void *user, const struct call *call)
{
    struct passage *p = find_text(call_id(call));

    (void)user;
    if (!p)
        return;
    p->http = NULL;
    p->state = PASSAGE_ENDED;
    p->due_us = clock_steady_us() + DOOR_HOLD_US;
}

/* Its lease is over, or the process ends. */
static void dropped(void *user, const struct call *call)
{
    struct passage *p = find_text(call_id(call));

    (void)user;
    if (!p)
        return;
    p->http = NULL;
    passage_finish(p, NULL);
    drop(p);
}

/* --- the outcome --- */

static void settle(struct passage *p, const struct record *outcome)
{
    if (p->http) /* somebody else decided: a person, or the next holder of its lease */
        http_client_end(p->http, "its outcome was decided elsewhere");
    passage_finish(p, outcome);
    drop(p);
}

static void on_outcome(void *user, const struct record *outcome)
{
    struct passage *p = find(outcome->cause);

    (void)user;
    if (p)
        settle(p, outcome);
}

static bool on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail)
{
    struct passage *p = door.passages;

    (void)user;
    while (p && p->batch != batch)
        p = p->next;
    if (!p)
        return false;
    if (p->state == PASSAGE_WAITING && p->request) {
        http_set_user(p->request, NULL);
        passage_say(p->request, 503, error_info(error_code)->name, detail);
        p->request = NULL;
    }
    settle(p, NULL);
    return true;
}

/* --- life --- */

/* NULL, or what is wrong with the options: the name, and what was expected. */
static const char *options_wrong(const struct sb_event *options)
{
    int64_t body_max = sb_option_int(options, "max_body"),
            wait_ms = sb_option_int(options, "wait_ms");
    const char *wrong = NULL;

    if (allow_wrong(door.allow))
        return "allow: expected METHOD /path, and commas between; not";
    if (body_max < DOOR_BODY_MIN || body_max > DOOR_BODY_MAX)
        return "max_body: expected 1024 to 67108864";
    if (wait_ms < DOOR_WAIT_MIN_MS || wait_ms > DOOR_WAIT_MAX_MS)
        return "wait_ms: expected 100 to 600000";
    if (rule_of(sb_provider(options))->has_models)
        sb_token_cost(sb_option(options, "prices"), NULL, &(struct sb_tokens){0}, &wrong);
    return wrong ? "prices: expected MODEL INPUT [OUTPUT [CACHED]], and commas between"
                 : NULL;
}

static int door_open(struct service_run *run, const struct integration *integration,
                     struct host *host, char *error, size_t error_size)
{
    const struct sb_event any = {.integration = integration};

    door.integration = integration;
    call_veil(integration, &door.veil);
    door.host = host;
    door.loop = run->loop;
    door.look = loop_timer_new(run->loop, look, NULL);
    door.allow = sb_option(&any, "allow");
    const char *wrong = options_wrong(&any), *entry = allow_wrong(door.allow);
    if (wrong) {
        snprintf(error, error_size, "integrations.%s.options.%s%s%.*s", integration->name,
                 wrong, entry ? " " : "", entry ? (int)strcspn(entry, ",") : 0,
                 entry ? entry : "");
        return 2;
    }
    door.wait_us = (uint64_t)sb_option_int(&any, "wait_ms") * 1000;
    if (!guard_read(&door.guard, &any, run, error, error_size) ||
        !guard_read_tls(&door.guard, integration, loop_wall_us(run->loop), error,
                        error_size))
        return 2;
    door.server = http_server_new(
        run->loop,
        &(struct http_server_options){.address = door.guard.address,
                                      .port = door.guard.port,
                                      .tls_cert = door.guard.certificate,
                                      .tls_key = door.guard.key,
                                      .body_max = (size_t)sb_option_int(&any, "max_body"),
                                      .bodies_max = DOOR_BODIES_MAX,
                                      .connections_max = DOOR_PASSAGES_MAX,
                                      .per_address_max = DOOR_PASSAGES_MAX,
                                      .on_request = on_request,
                                      .on_gone = on_gone,
                                      .on_drained = on_drained,
                                      .on_refused = on_refused_here},
        error, error_size);
    return door.server ? 0 : 1;
}

static void door_stop(void)
{
    if (door.server)
        http_server_quiesce(door.server);
}

static void door_close(void)
{
    while (door.passages) {
        passage_finish(door.passages, NULL);
        drop(door.passages);
    }
    http_server_free(door.server);
    loop_timer_free(door.look);
    table_fini(&door.by_id);
    guard_fini(&door.guard);
    veil_fini(&door.veil);
    door = (struct door){0};
}

static const struct host_asker asker = {.on_outcome = on_outcome,
                                        .on_refused = on_refused};
static const struct carry_tap tap = {
    .sending = sending, .sent = sent, .ended = ended, .dropped = dropped};

const struct connector_door the_door = {.asker = &asker,
                                        .tap = &tap,
                                        .open = door_open,
                                        .stop = door_stop,
                                        .close = door_close};
