/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* settling - results of a group on their way into the log, and who waits for their commit
 */
#pragma once
#include <stdint.h>

#include "gateway/gateway.h"

struct http_request;
struct json;

struct settling {
    struct pending pending;
    struct settling *next;
    uint64_t batch, until_us; /* batch 0: nothing of it goes into the log, who asked only
                                 waits until the group is known */
    struct json *answer;
};

/* The request waits until then (steady) for what its answer says; takes the answer over.
 * Its batch is to be set when it has one. */
struct settling *settling_add(struct settling **list, struct http_request *request,
                              struct json *answer, uint64_t until_us);
/* By its batch; NULL when there is none. */
struct settling *settling_find(struct settling *list, uint64_t batch);
/* Take it out and answer: what was to be said, or (error not 0) why not. */
void settling_end(struct settling **list, struct settling *settling, unsigned error,
                  const char *why);
