/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call - POST /v1/calls/{connector}/{operation}: a request event, and its outcome as the
 * answer */
#pragma once
#include <stdint.h>

struct gateway;
struct http_request;
struct json;
struct record;
struct slice;
struct calls;

struct calls *calls_new(struct gateway *gateway);
/* Forgets those that wait. */
void calls_free(struct calls *calls);
/* Answer all that wait now, with 202 where there is no outcome yet. */
void calls_stop(struct calls *calls);

void call_start(struct gateway *gateway, struct http_request *request,
                const char *const *params);

/* From the bus. An outcome that somebody may wait for: */
void calls_outcome(struct calls *calls, uint64_t ref, uint32_t index,
                   const struct slice *slice, const struct record *outcome);
/* The wait with this ref was refused, since the outcome is in the log already or for
 * another reason. */
void calls_wait_refused(struct calls *calls, uint64_t ref);
/* Joined again: the broker has forgotten who waits. */
void calls_rejoined(struct calls *calls);
