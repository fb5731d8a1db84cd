/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* header - request headers that several handlers read alike */
#pragma once
#include <stdbool.h>

struct http_request;

enum { HEADER_KEY_MAX = 255 }; /* bytes of an Idempotency-Key and of an ordering key */

/* The value of an Idempotency-Key or an ordering key: 1 to HEADER_KEY_MAX bytes of UTF-8?
 * True also for NULL: there is none. */
bool header_is_key(const char *value);
/* W3C Trace Context: the header if it is there once and as the standard says, else NULL
 * (it is then ignored, as the standard wants it). Borrowed. */
const char *header_traceparent(const struct http_request *request);
/* The same; NULL also without a traceparent. Of several lines: none. */
const char *header_tracestate(const struct http_request *request);
/* Is the value of a Content-Type (may be NULL) this media type, whatever its parameters?
 */
bool header_is_media(const char *value, const char *type);
