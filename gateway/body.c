/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/body.h"

#include <stdio.h>

#include "lib/base/json.h"
#include "lib/http/server.h"

enum { REASON_SIZE = 128 };

struct json *body_json(const struct http_request *request, char *why, size_t why_size)
{
    char reason[REASON_SIZE];
    size_t n;
    const char *text = http_body(request, &n);
    struct json *body = n ? js_parse(text, n, reason, sizeof(reason)) : NULL;
    if (n == 0)
        snprintf(why, why_size, "the body is empty; JSON is expected");
    else if (!body)
        snprintf(why, why_size, "the body is not JSON, line:column %s", reason);
    return body;
}
