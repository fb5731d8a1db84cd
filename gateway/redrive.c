/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/redrive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/body.h"
#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/server.h"
#include "lib/ledger/failures.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"

enum {
    PIECE = 64, /* items the broker takes at once */
    ERROR_SIZE = 256,
    ANSWER_US = 10 * 1000 * 1000, /* of the broker, for one piece */
};

/* One request under way, piece by piece. */
struct redriving {
    struct pending pending;
    struct redrives *redrives;
    struct redriving *next;
    struct loop_timer *timer;
    uint64_t ref; /* of the piece the broker has */
    struct json *items, *results;
    size_t at; /* items that are answered */
    int64_t done, refused;
    bool is_dry, again, has_more;
    char *actor;
};

struct redrives {
    struct gateway *gateway;
    struct redriving *first;
};

static void end(struct redriving *r)
{
    struct redriving **at = &r->redrives->first;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    loop_timer_free(r->timer);
    js_free(r->items);
    js_free(r->results);
    free(r->actor);
    free(r);
}

/* What was done is done, whoever is told. */
static void fail(struct redriving *r, const char *why)
{
    _free_ char *detail =
        mem_format("%s; %lld of %zu events were answered before", why,
                   (long long)(r->done + r->refused), js_count(r->items));

    if (r->pending.request)
        problem_reply(r->pending.request, ERR_unavailable, detail, 0);
    end(r);
}

static void finish(struct redriving *r)
{
    if (r->pending.request) {
        struct json *body = js_object();
        js_set(body, "items", r->results);
        r->results = NULL;
        js_set_int(js_set_int(body, "redriven", r->done), "refused", r->refused);
        js_set_bool(js_set_bool(body, "dry_run", r->is_dry), "more", r->has_more);
        answer_json(r->pending.request, 200, body, NULL);
    }
    end(r);
}

static void on_silence(void *user)
{
    fail(user, "the broker did not answer in time");
}

static void send_piece(struct redriving *r)
{
    struct json *args = js_object(), *piece = js_array();
    struct buf text = BUF_NULL;

    for (size_t i = r->at; i < js_count(r->items) && i < r->at + PIECE; i++)
        js_push(piece, js_copy(js_at(r->items, i)));
    js_set_bool(js_set_bool(args, "again", r->again), "dry", r->is_dry);
    js_set_text(js_set(args, "items", piece), "actor", r->actor);
    js_write(args, 0, &text);
    js_free(args);
    loop_timer_in(r->timer, ANSWER_US);
    r->ref = peer_admin(r->redrives->gateway->peer, "redrive", buf_str(&text));
    buf_fini(&text);
}

/* The next piece; the answer when there is none left, or nobody waits any more. */
static void go_on(struct redriving *r)
{
    if (r->at >= js_count(r->items) || !r->pending.request)
        finish(r);
    else
        send_piece(r);
}

static void take(struct redriving *r, const struct json *said)
{
    const struct json *item = js_at(r->items, r->at++);
    bool good = js_bool(said, "ok", false);
    struct json *o = js_set_text(js_object(), "id", js_text(item, "event", NULL));

    *(good ? &r->done : &r->refused) += 1;
    js_set_text(js_set_text(o, "type", js_text(item, "type", NULL)), "group",
                js_text(item, "group", NULL));
    js_set_bool(o, "ok", good);
    if (good && !r->is_dry)
        js_set_text(o, "redrive", js_text(item, "new", NULL));
    js_set_text(js_set_text(o, "key", js_text(said, "key", NULL)), "why",
                js_text(said, "why", NULL));
    js_push(r->results, o);
}

bool redrives_answer(struct redrives *redrives, uint64_t ref, bool ok, const char *json)
{
    struct redriving *r = redrives->first;
    char error[64];

    while (r && r->ref != ref)
        r = r->next;
    if (!r)
        return false;
    struct json *said = json ? js_parse(json, strlen(json), error, sizeof(error)) : NULL;
    const struct json *items = js_get(said, "items");
    for (size_t i = 0; ok && i < js_count(items) && r->at < js_count(r->items); i++)
        take(r, js_at(items, i));
    if (ok && js_count(items) > 0)
        go_on(r);
    else
        fail(r, js_text(said, "error", "the broker refused"));
    js_free(said);
    return true;
}

/* --- what is asked for --- */

enum kind { KIND_LIST, KIND_TEXT, KIND_INT, KIND_BOOL };
static const char *const kinds[] = {"an array of ids", "a text", "a whole number",
                                    "true or false"};

static const struct {
    const char *name;
    enum kind kind;
    bool is_filter;
} members[] = {
    {"ids", KIND_LIST, false},    {"type", KIND_TEXT, true},
    {"service", KIND_TEXT, true}, {"integration", KIND_TEXT, true},
    {"key", KIND_TEXT, true},     {"class", KIND_TEXT, true},
    {"since", KIND_TEXT, true},   {"until", KIND_TEXT, true},
    {"limit", KIND_INT, true},    {"dry_run", KIND_BOOL, false},
    {"again", KIND_BOOL, false},
};
enum { N_MEMBERS = sizeof(members) / sizeof(members[0]) };

static bool is_of_kind(const struct json *value, enum kind kind)
{
    const bool is[] = {js_is_array(value), js_is_text(value), js_is_int(value),
                       js_is_bool(value)};
    return is[kind];
}

static size_t find_member(const char *name)
{
    size_t i = 0;
    while (i < N_MEMBERS && strcmp(members[i].name, name) != 0)
        i++;
    return i;
}

static bool explain_unknown(const char *name, char *why, size_t why_size)
{
    const char *all[N_MEMBERS + 1] = {NULL};
    for (size_t i = 0; i < N_MEMBERS; i++)
        all[i] = members[i].name;
    const char *nearest = text_nearest(name, all);
    snprintf(why, why_size, "`%.64s` is not known here%s%s%s", name,
             nearest ? "; did you mean `" : "", nearest ? nearest : "",
             nearest ? "`?" : "");
    return false;
}

/* What is misspelt or of another kind would be left out: a dry run that is none, a filter
 * that takes everything. */
static bool check_body(const struct json *body, char *why, size_t why_size)
{
    void *cursor = NULL;
    const char *name;
    bool has_filter = false;
    if (!js_is_object(body)) {
        snprintf(why, why_size, "the body is a JSON object with `ids` or a filter");
        return false;
    }
    do {
        const struct json *value = js_next(body, &cursor, &name);
        size_t i = value ? find_member(name) : 0;
        if (!value)
            break;
        if (i == N_MEMBERS)
            return explain_unknown(name, why, why_size);
        if (!is_of_kind(value, members[i].kind)) {
            snprintf(why, why_size, "`%s` is %s", name, kinds[members[i].kind]);
            return false;
        }
        has_filter |= members[i].is_filter;
    } while (cursor);
    if (has_filter && js_get(body, "ids")) {
        snprintf(why, why_size, "name `ids` or a filter, not both");
        return false;
    }
    return true;
}

/* NULL, or what is wrong. */
static const char *read_filter(struct gateway *gateway, const struct json *body,
                               struct ledger_filter *ret)
{
    const char *class = js_text(body, "class", NULL),
               *since = js_text(body, "since", NULL),
               *until = js_text(body, "until", NULL);
    uint64_t now_us = loop_wall_us(gateway->loop);
    int64_t limit = js_int(body, "limit", REDRIVE_LIMIT);

    *ret = (struct ledger_filter){
        .service = js_text(body, "service", NULL),
        .type = js_text(body, "type", NULL),
        .integration = js_text(body, "integration", NULL),
        .key = js_text(body, "key", NULL),
        .status = -1,
        .error_class = class ? class_find(class) : -1,
        .oldest_first = true,
        .until_us = now_us,
        .limit = (size_t)limit,
    };
    if (!class && !since && !until && !ret->service && !ret->type && !ret->integration &&
        !ret->key)
        return "name `ids`, or a filter: type, service, integration, key, class, since "
               "or "
               "until";
    if (class && ret->error_class <= 0)
        return QUERY_CLASS_WHY;
    if (ret->type && !text_is_pattern(ret->type))
        return QUERY_TYPE_WHY;
    if ((since && !query_when(since, now_us, &ret->since_us)) ||
        (until && !query_when(until, now_us, &ret->until_us)))
        return "since and until are times of RFC 3339, or how long ago, such as 1h";
    if (since && until && ret->since_us >= ret->until_us)
        return "since is not before until: nothing lies between";
    if (limit < 1 || limit > REDRIVE_LIMIT_MAX)
        return "limit is a number from 1 to 10000";
    return NULL;
}

static const char *find_ids(struct ledger *ledger, const struct json *ids,
                            struct redriving *r)
{
    if (js_count(ids) == 0 || js_count(ids) > REDRIVE_LIMIT_MAX)
        return "ids is an array of 1 to 10000 texts";
    for (size_t i = 0; i < js_count(ids); i++)
        if (!js_is_text(js_at(ids, i)))
            return "ids is an array of 1 to 10000 texts";
    r->items = js_array();
    for (size_t i = 0; i < js_count(ids); i++) {
        const char *id = js_text(js_at(ids, i), NULL, "");
        struct json *found = *id ? failures_of(ledger, id) : NULL;
        for (size_t k = 0; k < js_count(found); k++)
            js_push(r->items, js_copy(js_at(found, k)));
        if (!found) { /* answered like the others, without asking the broker */
            struct json *o = js_set_bool(js_set_text(js_object(), "id", id), "ok", false);
            js_push(r->results, js_set_text(o, "why", "no event has this id"));
            r->refused++;
        }
        js_free(found);
    }
    return NULL;
}

static const char *find(struct gateway *gateway, struct ledger *ledger,
                        const struct json *body, struct redriving *r)
{
    struct ledger_filter filter;
    const struct json *ids = js_get(body, "ids");
    const char *why =
        ids ? find_ids(ledger, ids, r) : read_filter(gateway, body, &filter);

    if (why || ids)
        return why;
    size_t wanted = filter.limit++; /* one more says whether there are more */
    r->items = failures_find(ledger, &filter, NULL);
    if (!r->items)
        return ledger_error(ledger);
    if (js_count(r->items) > wanted) {
        struct json *first = js_array();
        for (size_t i = 0; i < wanted; i++)
            js_push(first, js_copy(js_at(r->items, i)));
        js_free(r->items);
        r->items = first;
        r->has_more = true;
    }
    return NULL;
}

static struct redriving *begin(struct gateway *gateway, struct http_request *request,
                               const struct json *body)
{
    struct redriving *r = mem_alloc(sizeof(*r));

    r->pending.request = request;
    r->redrives = gateway->redrives;
    r->next = gateway->redrives->first;
    gateway->redrives->first = r;
    r->timer = loop_timer_new(gateway->loop, on_silence, r);
    r->results = js_array();
    r->is_dry = js_bool(body, "dry_run", false);
    r->again = js_bool(body, "again", false);
    r->actor = mem_format("token %s", gateway->caller->name);
    return r;
}

static void start(struct gateway *gateway, struct http_request *request,
                  const struct json *body)
{
    char error[ERROR_SIZE];
    struct ledger *ledger = gateway_ledger(gateway, error, sizeof(error));

    if (!ledger || !peer_is_joined(gateway->peer)) {
        problem_reply(request, ERR_unavailable,
                      ledger ? "the broker is not reachable" : "there is no log yet", 0);
        return;
    }
    struct redriving *r = begin(gateway, request, body);
    const char *why = find(gateway, ledger, body, r);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        end(r);
        return;
    }
    http_set_user(request, r);
    go_on(r);
}

void redrive_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    char error[ERROR_SIZE];
    struct json *body = body_json(request, error, sizeof(error));

    (void)params;
    if (body && check_body(body, error, sizeof(error)))
        start(gateway, request, body);
    else
        problem_reply(request, ERR_bad_request, error, 0);
    js_free(body);
}

struct redrives *redrives_new(struct gateway *gateway)
{
    struct redrives *redrives = mem_alloc(sizeof(*redrives));

    redrives->gateway = gateway;
    return redrives;
}

void redrives_free(struct redrives *redrives)
{
    if (!redrives)
        return;
    while (redrives->first)
        end(redrives->first);
    free(redrives);
}
