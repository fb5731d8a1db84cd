/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* draft - one event as an application sends it, on its way to a record
 *
 * Read from the headers of a request (CloudEvents, HTTP binding, binary mode) or from a
 * JSON object (JSON format: structured mode and each element of a batch). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/slice.h"

struct http_request;
struct json;

enum { DRAFT_WHY_SIZE = 224 };

/* Texts are owned; `extensions` is a finished msgpack map. */
struct draft {
    char *specversion, *id, *source, *type, *subject, *time, *schema, *content_type, *key,
        *integration, *service, *traceparent, *tracestate;
    struct buf extensions, data;
    bool is_json;             /* the data */
    uint64_t time_us;         /* 0: not said */
    char why[DRAFT_WHY_SIZE]; /* what is wrong with it, once a function said false */
};

/* Of the request's ce-* headers and its body. False, and why, when that is no event of
 * CloudEvents 1.0 or not one of ours. */
bool draft_read_headers(struct draft *d, const struct http_request *request);
/* Of a JSON object; `raw` are its bytes as received. The request's trace headers (NULL:
 * none) stand in for an event that has none. */
bool draft_read_json(struct draft *d, const struct json *event, struct slice_text raw,
                     const struct http_request *request);
/* What must be the same when the same idempotency key comes again. */
uint64_t draft_content_hash(const struct draft *d);
/* Append the attributes as a record's map; a foreign id is one of them. */
void draft_write_attrs(const struct draft *d, bool is_foreign, struct buf *out);
void draft_fini(struct draft *d);
