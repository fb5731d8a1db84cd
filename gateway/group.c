/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/group.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/body.h"
#include "gateway/cloudevent.h"
#include "gateway/gateway.h"
#include "gateway/group_session.h"
#include "gateway/problem.h"
#include "gateway/result.h"
#include "gateway/waiter.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/server.h"

enum {
    WAIT_DEFAULT_US = 10 * 1000 * 1000,
    WAIT_MAX_US = 300 * 1000 * 1000,
    NEXT_DEFAULT = 10,
    VISIBILITY_MIN_US = 1000 * 1000,
    ERROR_SIZE = 256,
};

struct groups {
    struct gateway *gateway;
    struct group_session *sessions[GROUP_SESSIONS_MAX];
    unsigned n;
};

/* --- sessions --- */

static void on_end(void *user, struct group_session *session)
{
    struct groups *groups = user;
    unsigned i = 0;
    while (groups->sessions[i] != session)
        i++;
    groups->sessions[i] = groups->sessions[--groups->n];
    group_session_free(session);
}

static struct group_session *find(const struct groups *groups, const char *name)
{
    for (unsigned i = 0; i < groups->n; i++)
        if (!group_session_is_rejected(groups->sessions[i]) &&
            !strcmp(group_session_name(groups->sessions[i]), name))
            return groups->sessions[i];
    return NULL;
}

/* The group's session, made when there is none. NULL after having answered. */
static struct group_session *open_session(struct groups *groups,
                                          struct http_request *request, const char *name)
{
    char error[ERROR_SIZE];
    if (!text_is_name(name)) {
        problem_reply(request, ERR_no_group, NULL, 0);
        return NULL;
    }
    struct group_session *session = find(groups, name);
    if (session)
        return session;
    if (groups->n == GROUP_SESSIONS_MAX) {
        problem_reply(request, ERR_overloaded, "too many groups are in use over HTTP", 0);
        return NULL;
    }
    const struct group_session_options options = {
        .gateway = groups->gateway, .name = name, .on_end = on_end, .user = groups};
    session = group_session_new(&options, error, sizeof(error));
    if (session)
        groups->sessions[groups->n++] = session;
    else
        problem_reply(request, ERR_unavailable, error, 0);
    return session;
}

/* --- from HTTP --- */

/* A duration of the query, or its default; NULL, or what is wrong. */
static const char *read_duration(struct http_request *request, const char *name,
                                 uint64_t min_us, uint64_t max_us, const char *why,
                                 uint64_t *us)
{
    const char *text = http_query(request, name);
    if (text && (!text_parse_duration(text, us) || *us < min_us || *us > max_us))
        return why;
    return NULL;
}

static const char *read_next(struct http_request *request, struct group_ask *ret)
{
    const char *max = http_query(request, "max");
    char *end = NULL;
    *ret = (struct group_ask){.wait_us = WAIT_DEFAULT_US,
                              .visibility_us = GROUP_VISIBILITY_US};
    const char *why =
        read_duration(request, "wait", 0, WAIT_MAX_US,
                      "wait is a duration up to 5m, such as 30s", &ret->wait_us);
    if (!why)
        why = read_duration(
            request, "visibility", VISIBILITY_MIN_US, GROUP_VISIBILITY_MAX_US,
            "visibility is a duration from 1s to 12h, such as 30s", &ret->visibility_us);
    unsigned long n = max ? strtoul(max, &end, 10) : NEXT_DEFAULT;
    if (max && (!isdigit((unsigned char)*max) || *end || n < 1 || n > GROUP_NEXT_MAX))
        why = "max is a number from 1 to 256";
    ret->max = (unsigned)n;
    ret->is_batch = cloudevent_is_accepted(request, CLOUDEVENT_BATCH);
    return why;
}

void group_next(struct gateway *gateway, struct http_request *request,
                const char *const *params)
{
    struct group_ask ask;
    const char *why = read_next(request, &ask);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        return;
    }
    struct group_session *session = open_session(gateway->groups, request, params[0]);
    if (session)
        group_session_next(session, request, &ask);
}

void group_results(struct gateway *gateway, struct http_request *request,
                   const char *const *params)
{
    char why[ERROR_SIZE];
    size_t n = 0;
    struct json *body = body_json(request, why, sizeof(why));
    struct result *results = mem_array(GROUP_RESULTS_MAX, sizeof(*results));
    if (!body || !results_read(body, results, GROUP_RESULTS_MAX, &n, why, sizeof(why))) {
        problem_reply(request, ERR_bad_request, why, 0);
    } else {
        struct group_session *session = open_session(gateway->groups, request, params[0]);
        if (session)
            group_session_results(session, request, results, n);
    }
    free(results);
    js_free(body);
}

/* --- life --- */

struct groups *groups_new(struct gateway *gateway)
{
    struct groups *groups = mem_alloc(sizeof(*groups));
    groups->gateway = gateway;
    return groups;
}

void groups_stop(struct groups *groups)
{
    for (unsigned i = 0; i < groups->n; i++)
        group_session_stop(groups->sessions[i]);
}

unsigned groups_count(const struct groups *groups)
{
    unsigned n = 0;
    for (unsigned i = 0; i < groups->n; i++)
        n += group_session_commits(groups->sessions[i]);
    return n;
}

void groups_free(struct groups *groups)
{
    if (!groups)
        return;
    for (unsigned i = 0; i < groups->n; i++)
        group_session_free(groups->sessions[i]);
    free(groups);
}
