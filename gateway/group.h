/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* group - consumers without ZeroMQ: events of a consumer group over HTTP
 *
 * For each group that is asked for the gateway holds one session on the bus.  An event
 * that is handed to somebody is *lent*: its session's lease is extended until the
 * visibility time of that somebody ends; what is not answered by then is given back as a
 * spent attempt and comes again.  What was delivered and nobody asks for goes to the
 * group's other sessions after IDLE_US. */
#pragma once

struct gateway;
struct groups;
struct http_request;

enum {
    GROUP_SESSIONS_MAX = 32,  /* groups at one time; a further one: 503 */
    GROUP_NEXT_MAX = 256,     /* events of one answer */
    GROUP_RESULTS_MAX = 1024, /* of one request */
};

struct groups *groups_new(struct gateway *gateway);
/* Ends all sessions. */
void groups_free(struct groups *groups);
/* The process stops: answer who waits with an empty list, give back what is lent. */
void groups_stop(struct groups *groups);
/* Results that are on their way into the log. */
unsigned groups_count(const struct groups *groups);

/* GET /v1/groups/{group}/next?wait=&max=&visibility= */
void group_next(struct gateway *gateway, struct http_request *request,
                const char *const *params);
/* POST /v1/groups/{group}/results */
void group_results(struct gateway *gateway, struct http_request *request,
                   const char *const *params);
