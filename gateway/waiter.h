/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* waiter - requests that wait for events of a group, in the order they came */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "gateway/gateway.h"

struct http_request;
struct json;

/* How events are asked for. */
struct group_ask {
    unsigned max; /* events of one answer */
    uint64_t wait_us, visibility_us;
    bool is_batch; /* as a CloudEvents batch */
};

struct waiter {
    struct pending pending;
    struct waiter *next;
    struct group_ask ask;
    uint64_t until_us; /* steady */
};
struct waiters {
    struct waiter *first, **last;
    unsigned n;
};

void waiters_init(struct waiters *waiters);
/* The request waits until then (steady); it belongs to the list. */
void waiters_add(struct waiters *waiters, struct http_request *request,
                 const struct group_ask *ask, uint64_t until_us);
/* Take one out, named by where the list points to it; it is the caller's. */
struct waiter *waiters_take(struct waiters *waiters, struct waiter **at);
/* The earliest end of all, UINT64_MAX when there is none. */
uint64_t waiters_due(const struct waiters *waiters);
/* Its request, NULL when the client is not there any more: what is sent to somebody who
 * went away would come again only after its visibility time. */
struct http_request *waiter_request(const struct waiter *waiter);
/* Answer with events, a list that is taken over; the waiter is freed. */
void waiter_answer(struct waiter *waiter, struct json *events);
/* Answer with an error; the waiter is freed. */
void waiter_refuse(struct waiter *waiter, unsigned error, const char *why);
