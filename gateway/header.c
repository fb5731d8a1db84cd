/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/header.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "lib/base/scan.h"
#include "lib/base/trace.h"
#include "lib/http/server.h"

const char *header_traceparent(const struct http_request *request)
{
    const char *text = http_header(request, "traceparent");
    return trace_is_parent(text) && http_header_count(request, "traceparent") == 1 ? text
                                                                                   : NULL;
}

const char *header_tracestate(const struct http_request *request)
{
    const char *text = http_header(request, "tracestate");
    return trace_is_state(text) && http_header_count(request, "tracestate") == 1 &&
                   header_traceparent(request)
               ? text
               : NULL;
}

bool header_is_media(const char *value, const char *type)
{
    size_t n = strlen(type);
    return value && !strncasecmp(value, type, n) &&
           (!value[n] || strchr("; \t", value[n]));
}

bool header_is_key(const char *value)
{
    size_t n = value ? strlen(value) : 0;
    return !value || (n > 0 && n <= HEADER_KEY_MAX && scan_is_utf8(value, n));
}
