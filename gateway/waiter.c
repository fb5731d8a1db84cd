/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/waiter.h"

#include <stdlib.h>

#include "gateway/cloudevent.h"
#include "gateway/problem.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"

void waiters_init(struct waiters *waiters)
{
    *waiters = (struct waiters){.last = &waiters->first};
}

void waiters_add(struct waiters *waiters, struct http_request *request,
                 const struct group_ask *ask, uint64_t until_us)
{
    struct waiter *waiter = mem_alloc(sizeof(*waiter));
    *waiter =
        (struct waiter){.pending.request = request, .ask = *ask, .until_us = until_us};
    *waiters->last = waiter;
    waiters->last = &waiter->next;
    waiters->n++;
    http_set_user(request, waiter);
}

struct waiter *waiters_take(struct waiters *waiters, struct waiter **at)
{
    struct waiter *waiter = *at;
    *at = waiter->next;
    if (!waiter->next)
        waiters->last = at;
    waiters->n--;
    return waiter;
}

uint64_t waiters_due(const struct waiters *waiters)
{
    uint64_t due_us = UINT64_MAX;
    for (const struct waiter *w = waiters->first; w; w = w->next)
        if (w->until_us < due_us)
            due_us = w->until_us;
    return due_us;
}

struct http_request *waiter_request(const struct waiter *waiter)
{
    struct http_request *request = waiter->pending.request;
    return request && !http_is_left(request) ? request : NULL;
}

void waiter_answer(struct waiter *waiter, struct json *events)
{
    struct http_request *request = waiter->pending.request;
    if (!request)
        js_free(events);
    else if (waiter->ask.is_batch)
        answer_as(request, 200, CLOUDEVENT_BATCH, events, NULL);
    else
        answer_json(request, 200, js_set(js_object(), "events", events), NULL);
    free(waiter);
}

void waiter_refuse(struct waiter *waiter, unsigned error, const char *why)
{
    if (waiter->pending.request)
        problem_reply(waiter->pending.request, error, why, 0);
    free(waiter);
}
