/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/gateway/box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/audit.h"
#include "gateway/call.h"
#include "gateway/group.h"
#include "gateway/hold.h"
#include "gateway/metrics.h"
#include "gateway/query.h"
#include "gateway/redrive.h"
#include "gateway/route.h"
#include "gateway/stream.h"
#include "gateway/webhook.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"

enum { AWAY_MS = 1000 };

static const uint8_t first_id[16] = {1,    2,  3,  4,  5,  6,  0x77, 8,
                                     0x89, 10, 11, 12, 13, 14, 15,   16};

/* --- the bus --- */

bool peer_is_joined(const struct peer *peer)
{
    return peer->is_joined;
}

uint64_t peer_publish(struct peer *peer, const void *records, size_t n, bool wait)
{
    peer->due++;
    peer->batches++;
    peer->waits = wait;
    buf_add(&peer->records, records, n);
    return ++peer->batch;
}

void peer_wait(struct peer *peer, struct position request, uint64_t ref)
{
    peer->wait_ref = ref;
    peer->wait_at = request;
}

uint64_t peer_admin(struct peer *peer, const char *command, const char *args_json)
{
    snprintf(peer->command, sizeof(peer->command), "%s", command);
    buf_clear(&peer->args);
    buf_text(&peer->args, args_json);
    peer->asked++;
    return ++peer->batch;
}

/* The gateway's wire is the box: see make_gateway. */
struct peer *peer_new(struct loop *loop, struct wire *wire,
                      const struct peer_options *options, char *error, size_t error_size)
{
    (void)loop;
    struct box *box = (struct box *)(void *)wire;
    if (box->refuses_sessions) {
        snprintf(error, error_size, "no address");
        return NULL;
    }
    struct peer *peer = calloc(1, sizeof(*peer));
    peer->options = *options;
    peer->group = mem_text(options->group);
    peer->is_joined = !box->sessions_are_away;
    peer->next = box->sessions;
    box->sessions = peer;
    return peer;
}

uint64_t peer_result(struct peer *peer, const void *records, size_t n)
{
    buf_clear(&peer->results);
    buf_add(&peer->results, records, n);
    peer->n_results++;
    return ++peer->batch;
}

void peer_started(struct peer *peer, struct position position)
{
    assert_true(peer->n_started < STARTED_MAX);
    peer->started[peer->n_started++] = position;
}

/* It stays in the box's list, so that a test sees what became of it. */
void peer_free(struct peer *peer)
{
    peer->is_joined = false;
    peer->options.user = NULL;
}

static void peer_fini(struct peer *peer)
{
    buf_fini(&peer->records);
    buf_fini(&peer->results);
    buf_fini(&peer->args);
    free(peer->group);
}

static uint64_t publish(void *user, const void *records, size_t n, bool waits)
{
    return peer_publish(((struct gateway *)user)->peer, records, n, waits);
}

static bool is_joined(void *user)
{
    return ((struct gateway *)user)->peer->is_joined;
}

/* --- life --- */

static void on_request(void *user, struct http_request *request)
{
    route_request(user, request);
}

static void on_gone(void *user, struct http_request *request)
{
    (void)user;
    struct pending *pending = http_user(request);
    if (pending)
        pending->request = NULL;
}

static struct secrets *make_secrets(void)
{
    int fds[2];
    char error[128];
    const char *json = "{\"webhook.stripe.stripe\":[\"whsec_new\",\"whsec_old\"]}";
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], json, strlen(json)), strlen(json));
    close(fds[1]);
    return secrets_read(fds[0], error, sizeof(error));
}

static void make_config(struct box *box)
{
    static char name[] = "stripe", path[] = "stripe", scheme[] = "stripe",
                address[] = "127.0.0.1";
    box->webhook.path = path;
    box->webhook.scheme = scheme;
    box->integration = (struct config_integration){
        .name = name, .webhooks = &box->webhook, .n_webhooks = 1};
    box->config.integrations = &box->integration;
    box->config.n_integrations = 1;
    box->config.gateway.address = address;
    box->config.gateway.idempotency_us = 1000000;
    box->config.gateway.max_waiting = 100;
    box->config.gateway.max_streams = 4;
}

static void make_gateway(struct box *box)
{
    static char log_dir[] = "/nonexistent/log";
    struct gateway *g = &box->gateway;
    g->loop = loop_new();
    g->config = &box->config;
    g->peer = &box->peer;
    g->wire = (struct wire *)(void *)box;
    g->log_dir = log_dir;
    g->tokens.first = (struct token){.name = "admin", .scopes = SCOPE_ALL};
    token_hash(TOKEN, g->tokens.first.hash);
    g->hold = hold_new(g->loop, &(struct hold_bus){g, publish, is_joined});
    g->calls = calls_new(g);
    g->queries = queries_new(g);
    g->redrives = redrives_new(g);
    g->groups = groups_new(g);
    g->audits = audits_new(g->loop, g->log_dir);
    g->metrics = metrics_new(route_count());
    g->streams = streams_new(g);
}

static void on_answered(void *user, const struct http_request *request, unsigned status,
                        uint64_t duration_us)
{
    struct gateway *gateway = user;
    metrics_answered(gateway->metrics, http_tag(request), status, duration_us);
}

int box_open(void **state)
{
    struct box *box = calloc(1, sizeof(*box));
    struct gateway *g = &box->gateway;
    char error[256] = "";
    box->secrets = make_secrets();
    box->peer.is_joined = true;
    make_config(box);
    make_gateway(box);
    assert_int_equal(webhook_open(g, box->secrets, error, sizeof(error)), 0);
    const struct http_server_options options = {.address = "127.0.0.1",
                                                .body_max = 2 << 20,
                                                .on_request = on_request,
                                                .on_gone = on_gone,
                                                .on_answered = on_answered,
                                                .user = g};
    g->server = http_server_new(g->loop, &options, error, sizeof(error));
    *state = box;
    return g->server ? 0 : -1;
}

int box_open_still(void **state)
{
    int rc = box_open(state);
    loop_virtual(((struct box *)*state)->gateway.loop, UINT64_C(1767323045000000),
                 UINT64_C(1000000000));
    return rc;
}

int box_close(void **state)
{
    struct box *box = *state;
    struct gateway *g = &box->gateway;
    http_server_free(g->server);
    groups_free(g->groups);
    hold_free(g->hold);
    redrives_free(g->redrives);
    queries_free(g->queries);
    streams_free(g->streams);
    audits_free(g->audits);
    metrics_free(g->metrics);
    calls_free(g->calls);
    webhook_close(g);
    loop_free(g->loop);
    secrets_free(box->secrets);
    if (box->maker)
        maker_free(box->maker);
    for (struct peer *peer; (peer = box->sessions);) {
        box->sessions = peer->next;
        peer_fini(peer);
        free(peer);
    }
    peer_fini(&box->peer);
    free(box);
    return 0;
}

void box_give_log(struct box *box)
{
    box->maker = maker_new(/* with_views= */ true);
    box->gateway.ledger = maker_ledger(box->maker);
}

/* --- asking --- */

/* Answer what the gateway published. */
void answer_bus(struct box *box)
{
    struct peer *peer = &box->peer;
    if (!peer->due || peer->is_silent)
        return;
    peer->due = 0;
    struct published published = {.block = peer->is_place_lost ? 0 : 7};
    struct verdict verdict = {.code = peer->verdict, .block = 5, .position = 3};
    memcpy(verdict.first_id, first_id, 16);
    if (peer->refuse)
        hold_refused(box->gateway.hold, peer->batch, peer->refuse, peer->detail, 0);
    else
        hold_published(box->gateway.hold, peer->batch, &published, &verdict,
                       peer->verdict ? 1 : 0);
}

void answer_fini(struct answer *answer)
{
    buf_fini(&answer->text);
    js_free(answer->body);
}

int ask(struct box *box, const char *method, const char *target, const char *headers,
        const char *body, size_t body_len)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(box->gateway.server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    struct buf text = {0};
    buf_format(
        &text,
        "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
        method, target, headers, body_len);
    buf_add(&text, body, body_len);
    assert_int_equal(send(fd, text.bytes, text.len, MSG_NOSIGNAL), text.len);
    buf_fini(&text);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

struct answer hear(struct box *box, int fd, int ms)
{
    struct answer answer = {0};
    uint64_t end = clock_steady_us() + (uint64_t)ms * 1000;
    ssize_t n = -1;
    while (clock_steady_us() < end && n != 0) {
        loop_turn(box->gateway.loop, 2);
        answer_bus(box);
        n = recv(fd, buf_reserve(&answer.text, 65536), 65536, 0);
        if (n > 0)
            answer.text.len += (size_t)n;
        if (n < 0 && errno != EAGAIN)
            break;
    }
    close(fd);
    const char *text = buf_str(&answer.text), *body = strstr(text, "\r\n\r\n");
    answer.status = strncmp(text, "HTTP/1.1 ", 9) ? 0 : atoi(text + 9);
    if (body)
        answer.body = js_parse(body + 4, strlen(body + 4), (char[64]){0}, 64);
    return answer;
}

struct answer get(struct box *box, const char *method, const char *target,
                  const char *headers, const char *body)
{
    bool is_away = box->peer.is_silent || !box->peer.is_joined; /* it may well not come */
    return hear(box, ask(box, method, target, headers, body, strlen(body)),
                is_away ? AWAY_MS : HEAR_MS);
}

void settle(struct box *box)
{
    for (int i = 0; i < 20; i++) {
        loop_turn(box->gateway.loop, 1);
        answer_bus(box);
    }
}

/* --- what was published --- */

const struct record *record_at(const struct buf *records, unsigned index)
{
    const uint8_t *at = records->bytes, *end = at ? at + records->len : NULL;
    while (at < end) {
        const char *why;
        const struct record *r = record_check(at, (size_t)(end - at), &why);
        assert_non_null(r);
        if (index-- == 0)
            return r;
        at += r->len;
    }
    return NULL;
}

const struct record *published(struct box *box, unsigned index)
{
    return record_at(&box->peer.records, index);
}

void assert_type(const struct record *r, const char *type)
{
    assert_int_equal(r->type_len, strlen(type));
    assert_memory_equal(record_type(r), type, r->type_len);
    assert_true(record_type_ok(r));
}

void assert_attr(const struct record *r, enum attr attr, const char *text)
{
    char *copy = attrs_copy_text(record_attrs(r), r->attr_len, attr);
    if (text)
        assert_string_equal(copy, text);
    else
        assert_null(copy);
    free(copy);
}

void assert_data(const struct record *r, const char *text)
{
    assert_int_equal(r->data_len, strlen(text));
    assert_memory_equal(record_data(r), text, r->data_len);
}
