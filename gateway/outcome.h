/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* outcome - what became of a call, as its caller is told */
#pragma once
#include <stdint.h>

struct http_request;
struct record;

/* Answer the request of the event `id`: 200 with the outcome, or 502 as a problem with
 * its class and reason. timestamp_us: when it was committed; 0: not known. */
void outcome_reply(struct http_request *request, const uint8_t id[16],
                   const struct record *outcome, uint64_t timestamp_us);
/* It is not settled: 202, and where to look. */
void outcome_reply_running(struct http_request *request, const uint8_t id[16]);
