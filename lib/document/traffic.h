/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* traffic - what was seen, at a multiple of it, over 30 days */
#pragma once
#include <stdint.h>

struct buf;
struct document;

enum { TRAFFIC_DAYS = 30 };
/* Calls in 30 days; 0 when none was seen. All three need document->seen. */
uint64_t traffic_calls(const struct document *document, unsigned factor);
/* Their cost, in words; more than one currency is more than one amount. */
void traffic_cost(const struct document *document, unsigned factor, struct buf *out);
/* What budget and rate would do, in words. */
void traffic_limits(const struct document *document, unsigned factor, struct buf *out);
