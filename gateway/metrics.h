/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* metrics - what is counted, as Prometheus reads it (text format 0.0.4)
 *
 * metrics.def says what there is; the page signalbox-metrics(7) is held to it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf;
struct gateway;
struct http_request;
struct json;
struct metrics;

struct metrics *metrics_new(size_t n_routes);
void metrics_free(struct metrics *metrics);
/* A request was answered; route 0: none fitted, else its number in route.c plus 1. */
void metrics_answered(struct metrics *metrics, unsigned route, unsigned status,
                      uint64_t duration_us);
/* Append all of it; status is the broker's, NULL when it does not answer. */
void metrics_write(struct gateway *gateway, const struct json *status, struct buf *out);

/* GET /metrics */
void metrics_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params);
