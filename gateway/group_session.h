/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* group_session - one consumer group as it is taken over HTTP: its session on the bus,
 * what is lent, who waits, and which results are on their way into the log */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway;
struct group_ask;
struct group_session;
struct http_request;
struct result;

enum {
    GROUP_EVENTS_MAX = 1024,   /* delivered or lent, of one group */
    GROUP_BYTES_MAX = 4 << 20, /* of these */
    GROUP_WAITERS_MAX = 256,   /* requests that wait, of one group; further: 429 */
};
#define GROUP_VISIBILITY_US     (UINT64_C(30) * 1000000) /* where nobody says */
#define GROUP_VISIBILITY_MAX_US (UINT64_C(12) * 3600 * 1000000)

struct group_session_options {
    struct gateway *gateway; /* whose bus, loop and configuration */
    const char *name;        /* of the group; copied */
    /* Nobody asked for long and nothing is lent, or the broker does not let us in: to be
     * freed, here. */
    void (*on_end)(void *user, struct group_session *session);
    void *user;
};

/* Joins at once. NULL with a reason when the bus's address is not usable. */
struct group_session *group_session_new(const struct group_session_options *options,
                                        char *error, size_t error_size);
/* Refuses who waits, and leaves: what is lent is delivered anew. */
void group_session_free(struct group_session *session);
/* The process stops: answer who waits with an empty list, give back what is lent. */
void group_session_stop(struct group_session *session);

/* Answer with up to ask->max events, as soon as there is one; after wait_us with none. */
void group_session_next(struct group_session *session, struct http_request *request,
                        const struct group_ask *ask);
/* Take results; answered once they are committed, each with a state of its own. */
void group_session_results(struct group_session *session, struct http_request *request,
                           const struct result *results, size_t n);

const char *group_session_name(const struct group_session *session);
/* The broker has said no; on_end comes. */
bool group_session_is_rejected(const struct group_session *session);
/* Requests whose results are on their way into the log. */
unsigned group_session_commits(const struct group_session *session);
