/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/call.h"
#include "gateway/document.h"
#include "gateway/event.h"
#include "gateway/gateway.h"
#include "gateway/group.h"
#include "gateway/integration.h"
#include "gateway/metrics.h"
#include "gateway/openapi.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "gateway/redrive.h"
#include "gateway/stream.h"
#include "gateway/webhook.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

enum { PARAMS_MAX = 2, PARAM_SIZE = 512 };

typedef void (*handler_fn)(struct gateway *gateway, struct http_request *request,
                           const char *const *params);

struct route {
    const char *method, *path; /* a segment * is a parameter */
    unsigned scopes;           /* all of them are needed */
    handler_fn handle;
};

static const struct route routes[] = {
    {"POST", "/webhooks/*", SCOPE_NONE, webhook_handle},
    {"POST", "/v1/events", SCOPE_PUBLISH, event_publish},
    {"POST", "/v1/calls/*/*", SCOPE_CALL, call_start},
    {"GET", "/v1/events/*", SCOPE_READ, query_event},
    {"GET", "/v1/events/*/trace", SCOPE_READ, query_trace},
    {"GET", "/v1/groups/*/next", SCOPE_READ | SCOPE_PUBLISH, group_next},
    {"POST", "/v1/groups/*/results", SCOPE_READ | SCOPE_PUBLISH, group_results},
    {"GET", "/v1/log", SCOPE_READ, query_log},
    {"GET", "/v1/stream", SCOPE_READ, stream_start},
    {"GET", "/v1/audit", SCOPE_READ, query_audit},
    {"GET", "/v1/status", SCOPE_READ, query_status},
    {"POST", "/v1/redrive", SCOPE_ADMIN, redrive_handle},
    {"GET", "/v1/integrations", SCOPE_READ, integration_list},
    {"GET", "/v1/integrations/*/document", SCOPE_READ, document_handle},
    {"GET", "/v1/openapi.json", SCOPE_NONE, openapi_handle},
    {"GET", "/metrics", SCOPE_READ, metrics_handle},
    {"GET", "/healthz", SCOPE_NONE, query_health},
    {"GET", "/readyz", SCOPE_NONE, query_ready},
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

static void add_allowed(char *allowed, size_t size, const char *method)
{
    size_t n = strlen(allowed);
    snprintf(allowed + n, size - n, "%s%s%s", n ? ", " : "", method,
             strcmp(method, "GET") ? "" : ", HEAD");
}

static bool has_method(const struct route *route, const char *method)
{
    return !strcmp(method, route->method) ||
           (!strcmp(method, "HEAD") && !strcmp(route->method, "GET"));
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
    bool may_wait = strcmp(route->method, "GET") != 0 || strstr(route->path, "/next");
    if (!may_wait ||
        http_server_waiting(gateway->server) < gateway->config->gateway.max_waiting)
        return true;
    problem_reply(request, ERR_overloaded, "gateway.max_waiting requests wait already",
                  0);
    return false;
}

void route_request(struct gateway *gateway, struct http_request *request)
{
    const char *target = http_target(request);
    size_t n = strcspn(target, "?");
    char params[PARAMS_MAX][PARAM_SIZE], allowed[64] = "";
    for (size_t i = 0; i < N_ROUTES; i++) {
        const struct route *route = &routes[i];
        if (!fits(route->path, target, n, params))
            continue;
        if (!has_method(route, http_method(request))) {
            add_allowed(allowed, sizeof(allowed), route->method);
            continue;
        }
        http_set_tag(request, (unsigned)i + 1);
        if (has_room(gateway, route, request) && may(gateway, route, request))
            route->handle(gateway, request, (const char *const[]){params[0], params[1]});
        return;
    }
    if (allowed[0])
        problem_reply_method(request, allowed);
    else
        problem_reply(request, ERR_not_found, NULL, 0);
}
