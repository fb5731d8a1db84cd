/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/provider.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/id.h"
#include "lib/base/json.h"

void provider_header(struct provider_headers *headers, const char *name,
                     const char *format, ...)
{
    va_list args;

    if (headers->n == PROVIDER_HEADERS_MAX)
        return;
    headers->all[headers->n].name = name;
    va_start(args, format);
    vsnprintf(headers->all[headers->n++].value, PROVIDER_VALUE_SIZE, format, args);
    va_end(args);
}

const char *provider_call_header(const struct provider_call *call, const char *name)
{
    return call->header ? call->header(call->user, name) : NULL;
}

bool provider_is(const struct provider_call *call, const char *method, const char *path)
{
    return strcmp(call->method, method) == 0 && strcmp(call->path, path) == 0;
}

const char *provider_bearer(const struct provider_call *call)
{
    const char *value = provider_call_header(call, "Authorization");

    return value && strncasecmp(value, "Bearer ", 7) == 0 ? value + 7 : NULL;
}

bool provider_key_fits(const char *key, const char *api_key, const char *test_key)
{
    if (!key)
        return false;
    return api_key ? strcmp(key, api_key) == 0
                   : strncmp(key, test_key, strlen(test_key)) == 0;
}

struct json *provider_json(const struct provider_call *call)
{
    char why[128];
    struct json *body =
        call->body_len ? js_parse(call->body, call->body_len, why, sizeof(why)) : NULL;

    if (body && js_is_object(body))
        return body;
    js_free(body);
    return NULL;
}

void provider_answer(struct provider_answer *answer, unsigned status, struct json *body)
{
    answer->status = status;
    js_write(body, 0, &answer->body);
    js_free(body);
}

void provider_id(const char *prefix, unsigned n, char ret_id[PROVIDER_ID_SIZE])
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t random[PROVIDER_ID_SIZE];
    size_t before = strlen(prefix);

    id_random(random, n);
    memcpy(ret_id, prefix, before);
    for (unsigned i = 0; i < n; i++)
        ret_id[before + i] = digits[random[i] % 62];
    ret_id[before + n] = '\0';
}

void provider_event_body(struct provider_event *event, struct json *body)
{
    js_write(body, 0, &event->body);
    js_free(body);
}

void provider_override(struct json *object, const struct json *data)
{
    const struct json *member;
    void *cursor = NULL;
    const char *name;

    while (data && (member = js_next(data, &cursor, &name)))
        js_set(object, name, js_copy(member));
}
