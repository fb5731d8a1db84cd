/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/call.h"
#include "gateway/document.h"
#include "gateway/event.h"
#include "gateway/gateway.h"
#include "gateway/group.h"
#include "gateway/integration.h"
#include "gateway/listing.h"
#include "gateway/metrics.h"
#include "gateway/openapi.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "gateway/redrive.h"
#include "gateway/refusal.h"
#include "gateway/stream.h"
#include "gateway/webhook.h"
#include "lib/base/mem.h"
#include "lib/base/scan.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

enum { PARAMS_MAX = 2, PARAM_SIZE = 2048, NAMES_MAX = 16, WHY_SIZE = 256 };

typedef void (*handler_fn)(struct gateway *gateway, struct http_request *request,
                           const char *const *params);

struct route {
    const char *method, *path; /* a segment * is a parameter */
    unsigned scopes;           /* all of them are needed */
    handler_fn handle;
    const char *query; /* the parameters it takes, each followed by a space; NULL: any */
    bool lends;        /* not to be asked for with HEAD */
};

#define FILTER "service type integration status class key "

static const struct route routes[] = {
    {"POST", "/webhooks/*", SCOPE_NONE, webhook_handle, NULL, false},
    {"POST", "/v1/events", SCOPE_PUBLISH, event_publish, "", false},
    {"POST", "/v1/calls/*/*", SCOPE_CALL, call_start, "wait deadline integration key ",
     false},
    {"GET", "/v1/events/*", SCOPE_READ, query_event, "mode ", false},
    {"GET", "/v1/events/*/trace", SCOPE_READ, query_trace, "", false},
    {"GET", "/v1/groups/*/next", SCOPE_READ | SCOPE_PUBLISH, group_next,
     "wait max visibility ", true},
    {"POST", "/v1/groups/*/results", SCOPE_READ | SCOPE_PUBLISH, group_results, "",
     false},
    {"GET", "/v1/log", SCOPE_READ, listing_handle,
     FILTER "cause since until limit cursor ", false},
    {"GET", "/v1/stream", SCOPE_READ, stream_start, FILTER, false},
    {"GET", "/v1/audit", SCOPE_READ, query_audit, "", false},
    {"GET", "/v1/status", SCOPE_READ, query_status, "", false},
    {"POST", "/v1/redrive", SCOPE_ADMIN, redrive_handle, "", false},
    {"GET", "/v1/integrations", SCOPE_READ, integration_list, "", false},
    {"GET", "/v1/integrations/*/document", SCOPE_READ, document_handle, "", false},
    {"GET", "/v1/openapi.json", SCOPE_NONE, openapi_handle, NULL, false},
    {"GET", "/metrics", SCOPE_READ, metrics_handle, NULL, false},
    {"GET", "/healthz", SCOPE_NONE, query_health, NULL, false},
    {"GET", "/readyz", SCOPE_NONE, query_ready, NULL, false},
};
enum { N_ROUTES = sizeof(routes) / sizeof(routes[0]) };

unsigned route_count(void)
{
    return N_ROUTES;
}

const char *route_method(unsigned n)
{
    return n ? routes[n - 1].method : "none";
}

const char *route_path(unsigned n)
{
    return n ? routes[n - 1].path : "none";
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

/* A segment's text without %XX. Decoded after the split, so that %2F is no slash. */
static bool decode(const char *text, size_t n, char out[PARAM_SIZE])
{
    size_t len = 0;
    for (size_t i = 0; i < n && len < PARAM_SIZE - 1; i++, len++) {
        out[len] = text[i];
        if (text[i] != '%')
            continue;
        int high = i + 2 < n ? hex_digit(text[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
        if (low < 0 || high * 16 + low == 0)
            return false;
        out[len] = (char)(high * 16 + low);
        i += 2;
    }
    out[len] = 0;
    return len > 0 && len < PARAM_SIZE - 1;
}

/* Does the target's path fit the pattern? Fills in the parameters. */
static bool fits(const char *pattern, const char *target, size_t n,
                 char params[PARAMS_MAX][PARAM_SIZE])
{
    const char *end = target + n;
    unsigned found = 0;
    while (*pattern) {
        if (*pattern != '*') {
            if (target == end || *target != *pattern)
                return false;
            pattern++;
            target++;
            continue;
        }
        const char *slash = memchr(target, '/', (size_t)(end - target));
        size_t len = slash ? (size_t)(slash - target) : (size_t)(end - target);
        if (!decode(target, len, params[found++]))
            return false;
        target += len;
        pattern++;
    }
    return target == end;
}

static bool takes_head(const struct route *route)
{
    return !strcmp(route->method, "GET") && !route->lends;
}

static void add_allowed(char *allowed, size_t size, const struct route *route)
{
    size_t n = strlen(allowed);
    snprintf(allowed + n, size - n, "%s%s%s", n ? ", " : "", route->method,
             takes_head(route) ? ", HEAD" : "");
}

static bool has_method(const struct route *route, const char *method)
{
    return !strcmp(method, route->method) ||
           (!strcmp(method, "HEAD") && takes_head(route));
}

static bool may(struct gateway *gateway, const struct route *route,
                struct http_request *request)
{
    if (route->scopes == SCOPE_NONE)
        return true;
    gateway->caller = token_find(&gateway->tokens, loop_wall_us(gateway->loop),
                                 http_header(request, "Authorization"));
    if (!gateway->caller) {
        problem_reply(request, ERR_unauthorized, "send Authorization: Bearer TOKEN", 0);
        return false;
    }
    if ((gateway->caller->scopes & route->scopes) != route->scopes) {
        char wanted[TOKEN_SCOPES_SIZE];
        scopes_text(route->scopes, wanted);
        _free_ char *why = mem_format("this address needs the scope %s", wanted);
        problem_reply(request, ERR_forbidden, why, 0);
        return false;
    }
    return true;
}

/* What needs no waiting is answered always: an operator must be able to look. */
static bool has_room(struct gateway *gateway, const struct route *route,
                     struct http_request *request)
{
    bool may_wait = strcmp(route->method, "GET") != 0 || route->lends;
    if (!may_wait ||
        http_server_waiting(gateway->server) < gateway->config->gateway.max_waiting)
        return true;
    problem_reply(request, ERR_overloaded, "gateway.max_waiting requests wait already",
                  0);
    return false;
}

/* --- the query --- */

struct check {
    const char *allowed;         /* as in a route */
    const char *seen[NAMES_MAX]; /* borrowed from the request */
    size_t n;
    char why[WHY_SIZE];
};

static bool is_among(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (; *names; names += strcspn(names, " ") + 1)
        if (len == strcspn(names, " ") && !memcmp(names, name, len))
            return true;
    return false;
}

static void explain_unknown(struct check *check, const char *name)
{
    char copy[WHY_SIZE];
    const char *all[NAMES_MAX + 1] = {NULL};
    size_t n = 0;
    snprintf(copy, sizeof(copy), "%s", check->allowed);
    char *rest = NULL;
    for (char *one = strtok_r(copy, " ", &rest); one && n < NAMES_MAX;
         one = strtok_r(NULL, " ", &rest))
        all[n++] = one;
    const char *nearest = text_nearest(name, all);
    snprintf(check->why, sizeof(check->why), "the query has no parameter `%.40s`; %s%s%s",
             name,
             nearest  ? "did you mean `"
             : all[0] ? "it takes "
                      : "this address takes none",
             nearest ? nearest : check->allowed, nearest ? "`?" : "");
}

static void check_one(void *user, const char *name, const char *value)
{
    struct check *check = user;
    if (check->why[0])
        return;
    if (!is_among(check->allowed, name)) {
        explain_unknown(check, name);
        return;
    }
    for (size_t i = 0; i < check->n; i++)
        if (!strcmp(check->seen[i], name))
            snprintf(check->why, sizeof(check->why), "`%s` is in the query twice", name);
    if (!value || !scan_is_utf8(value, strlen(value)))
        snprintf(check->why, sizeof(check->why), "`%s` of the query %s", name,
                 value ? "is not UTF-8" : "has no value");
    check->seen[check->n++] = name; /* each name once: as many as are allowed */
}

/* What is misspelt would be left out in silence: a filter that filters nothing. */
static bool has_good_query(const struct route *route, struct http_request *request)
{
    struct check check = {.allowed = route->query};
    if (!route->query)
        return true;
    http_each_query(request, check_one, &check);
    if (check.why[0])
        problem_reply(request, ERR_bad_request, check.why, 0);
    return !check.why[0];
}

/* Only a webhook's body means something as it came; what reads others reads them plain.
 */
static bool is_plain(const struct route *route, struct http_request *request)
{
    const char *coding = http_header(request, "Content-Encoding");
    if (route->scopes == SCOPE_NONE || !coding || !strcasecmp(coding, "identity"))
        return true;
    problem_reply(request, ERR_unsupported_media, "compressed bodies are not taken", 0);
    return false;
}

/* Of two the first would count here, and perhaps the other one where it came through. */
static bool has_sole_headers(const struct route *route, struct http_request *request)
{
    static const char *const names[] = {"Authorization", "Content-Type",
                                        "Idempotency-Key", "Ordering-Key"};
    for (size_t i = 0; route->scopes != SCOPE_NONE && i < 4; i++) {
        if (http_header_count(request, names[i]) < 2)
            continue;
        _free_ char *why = mem_format("the header %s is there twice", names[i]);
        problem_reply(request, ERR_bad_request, why, 0);
        return false;
    }
    return true;
}

/* --- the request --- */

/* The target without scheme and host: a proxy may send them (RFC 9112, section 3.2.2). */
static const char *origin_form(const char *target)
{
    size_t n = !strncasecmp(target, "http://", 7)    ? 7
               : !strncasecmp(target, "https://", 8) ? 8
                                                     : 0;
    return n ? target + n + strcspn(target + n, "/?") : target;
}

void route_request(struct gateway *gateway, struct http_request *request)
{
    const char *target = origin_form(http_target(request));
    size_t n = strcspn(target, "?");
    char params[PARAMS_MAX][PARAM_SIZE], allowed[64] = "";
    for (size_t i = 0; i < N_ROUTES; i++) {
        const struct route *route = &routes[i];
        if (!fits(route->path, target, n, params))
            continue;
        if (!has_method(route, http_method(request))) {
            add_allowed(allowed, sizeof(allowed), route);
            continue;
        }
        http_set_tag(request, (unsigned)i + 1);
        if (has_room(gateway, route, request) && may(gateway, route, request) &&
            has_good_query(route, request) && is_plain(route, request) &&
            has_sole_headers(route, request))
            route->handle(gateway, request, (const char *const[]){params[0], params[1]});
        return;
    }
    if (allowed[0]) {
        problem_reply_method(request, allowed);
        return;
    }
    if (!strncmp(target, "/webhook", 8)) /* what a provider's page was given wrongly */
        refusal_unknown(gateway, target, http_remote(request));
    problem_reply(request, ERR_not_found, NULL, 0);
}
