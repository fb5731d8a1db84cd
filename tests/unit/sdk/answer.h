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
    struct {
        const char *address;
        unsigned code;
        const char *text;
    } refused[4]; /* recipients of a mail */
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

const char *http_call_refused(const struct http_call *call, size_t index,
                              unsigned *ret_code, const char **ret_text)
{
    if (index >= 4 || !call->refused[index].address)
        return NULL;
    *ret_code = call->refused[index].code;
    *ret_text = call->refused[index].text;
    return call->refused[index].address;
}

const char *http_call_error(const struct http_call *call)
{
    return call->error ? call->error : "";
}
