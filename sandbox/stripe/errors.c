/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* errors - how Stripe says no */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/inside.h"

enum { METADATA_KEYS_MAX = 50, METADATA_KEY_MAX = 40, METADATA_VALUE_MAX = 500 };

static struct json *error_json(const char *type, const char *code, const char *param,
                               const char *message)
{
    struct json *error = js_object();

    js_set_text(error, "code", code);
    if (code) {
        _free_ char *url = mem_format("https://stripe.com/docs/error-codes/%s", code);

        for (char *c = strchr(url, '_'); c; c = strchr(c, '_'))
            *c = '-';
        js_set_text(error, "doc_url", url);
    }
    js_set_text(error, "message", message);
    js_set_text(error, "param", param);
    js_set_text(error, "type", type);
    return error;
}

struct json *refuse(struct request *request, unsigned status, const char *type,
                    const char *code, const char *param, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    struct json *error;

    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format,
                    arguments); /* a longer text is cut */
    va_end(arguments);
    request->answer->status = status;
    error = error_json(type, code, param, message);
    _free_ char *log = mem_format("https://dashboard.stripe.com/test/logs/%s",
                                  request->answer->request_id);
    js_set_text(error, "request_log_url", log);
    return js_set(js_object(), "error", error);
}

void stripe_error_body(struct buf *out, const char *type, const char *code,
                       const char *message)
{
    struct json *body =
        js_set(js_object(), "error", error_json(type, code, NULL, message));

    js_write(body, 2, out);
    js_free(body);
}

static bool is_listed(const char *const *list, const char *name, size_t n)
{
    for (; *list; list++)
        if (strlen(*list) == n && !memcmp(*list, name, n))
            return true;
    return false;
}

struct json *refuse_unknown(struct request *request, const char *const *known)
{
    for (size_t i = 0; i < request->form.n; i++) {
        const char *name = request->form.fields[i].name;

        if (!is_listed(known, name, form_top(name)))
            return refuse_param(request, "parameter_unknown", name,
                                "Received unknown parameter: %s", name);
    }
    return NULL;
}

struct json *refuse_unsupported(struct request *request, const char *const *unsupported)
{
    for (; *unsupported; unsupported++)
        if (form_has(&request->form, *unsupported))
            return refuse_param(
                request, "sandbox_unsupported", *unsupported,
                "The sandbox does not do what `%s` asks for; the real API does.",
                *unsupported);
    return NULL;
}

struct json *read_amount(struct request *request, const char *param, int64_t *ret_amount)
{
    const char *text = form_get(&request->form, param);
    char *end = NULL;

    if (!text)
        return refuse_param(request, "parameter_missing", param,
                            "Missing required param: %s.", param);
    errno = 0;
    *ret_amount = strtoll(text, &end, 10);
    if (*text == '\0' || *text == ' ' || *text == '+' || *end || errno)
        return refuse_param(request, "parameter_invalid_integer", param,
                            "Invalid integer: %s", text);
    if (*ret_amount < 1)
        return refuse_param(request, "parameter_invalid_integer", param,
                            "This value must be greater than or equal to 1.");
    return NULL;
}

struct json *read_metadata(struct request *request, struct json **ret_metadata)
{
    struct json *metadata = form_object(&request->form, "metadata"), *error = NULL;
    const struct json *member;
    void *cursor = NULL;
    const char *name;

    if (js_count(metadata) > METADATA_KEYS_MAX)
        error = refuse_param(request, NULL, "metadata",
                             "You cannot have more than %d metadata keys.",
                             METADATA_KEYS_MAX);
    while (!error && (member = js_next(metadata, &cursor, &name))) {
        if (strlen(name) > METADATA_KEY_MAX)
            error = refuse_param(request, NULL, "metadata",
                                 "Metadata keys can be at most %d characters long.",
                                 METADATA_KEY_MAX);
        else if (strlen(js_text(member, "", "")) > METADATA_VALUE_MAX)
            error = refuse_param(request, NULL, "metadata",
                                 "Metadata values can be at most %d characters long.",
                                 METADATA_VALUE_MAX);
    }
    if (error)
        js_free(metadata);
    else
        *ret_metadata = metadata;
    return error;
}

bool wants_expanded(const struct request *request, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i < request->form.n; i++) {
        const struct form_field *field = &request->form.fields[i];
        const char *value = field->value;

        if (strncmp(value, "data.", 5) == 0) /* of a list's objects */
            value += 5;
        if (form_top(field->name) == 6 && !strncmp(field->name, "expand", 6) &&
            !strncmp(value, what, n) && (value[n] == '\0' || value[n] == '.'))
            return true;
    }
    return false;
}
