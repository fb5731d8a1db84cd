/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* answer - answers of a service made by hand: stands in for lib/http/client.c, so that
 * calls are tested without one */
#pragma once
#include <string.h>
#include <strings.h>

#include "lib/http/client.h"

struct http_call {
    enum http_result result;
    unsigned status;
    const char *body, *error;
    struct http_field headers[8];
};

enum http_result http_call_result(const struct http_call *call)
{
    return call->result;
}

unsigned http_call_status(const struct http_call *call)
{
    return call->status;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < 8 && call->headers[i].name; i++)
        if (strcasecmp(call->headers[i].name, name) == 0)
            return call->headers[i].value;
    return NULL;
}

const void *http_call_body(const struct http_call *call, size_t *ret_len)
{
    *ret_len = call->body ? strlen(call->body) : 0;
    return call->body ? call->body : "";
}

const char *http_call_error(const struct http_call *call)
{
    return call->error ? call->error : "";
}
