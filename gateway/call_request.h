/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call_request - what a POST /v1/calls/{connector}/{operation} asks for: read, checked,
 * and written as a request event */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct buf;
struct gateway;
struct http_request;

enum {
    CALL_WAIT_MAX_US = 300 * 1000 * 1000,
    CALL_VERDICT_US = 500 * 1000, /* until the broker has said that a deadline passed */
};

/* Texts and data are borrowed from the HTTP request. */
struct call_request {
    char type[RECORD_TYPE_MAX + 1];
    const char *integration, *key, *idempotency_key;
    const char *traceparent, *tracestate; /* NULL unless they are as the standard says */
    uint64_t wait_us, deadline_us;
    const char *data;
    size_t data_len;
};

/* Read it; params: connector, operation. 0, or an error with what is wrong in `why`. */
unsigned call_request_read(const struct gateway *gateway, struct http_request *request,
                           const char *const *params, struct call_request *ret, char *why,
                           size_t why_size);
/* Append its record, with its idempotency key before it. 0, or ERR_event_too_large. */
unsigned call_request_write(const struct gateway *gateway, const struct call_request *r,
                            const uint8_t id[16], struct buf *out);
