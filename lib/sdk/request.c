/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The request part of include/signalbox/connector.h.  A mistake is kept, not returned:
 * the author writes a list of what the request is, and the call ends Failed/permanent
 * with the first thing that was wrong in it. */
#include "lib/sdk/request.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/call.h"
#include "lib/sdk/form.h"

void request_mistake(struct sb_request *request, const char *format, ...)
{
    char text[300];
    va_list args;

    if (request->mistake)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    request->mistake = mem_text(text);
}

bool request_is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static bool is_token(const char *text)
{
    return *text && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012"
                                 "3456789!#$%&'*+-.^_`|~") == strlen(text);
}

void sb_call(struct sb_request *request, const char *method, const char *path)
{
    if (request->method)
        request_mistake(request, "sb_call was used twice");
    else if (!is_token(method) || *path != '/' || !request_is_printable(path) ||
             strpbrk(path, " ?#"))
        request_mistake(request,
                        "sb_call needs a method and a path that begins with / and has "
                        "no space, ? or #");
    else {
        request->method = mem_text(method);
        buf_text(&request->path, path);
    }
}

void sb_segment(struct sb_request *request, const char *text)
{
    if (!*text || strcmp(text, ".") == 0 || strcmp(text, "..") == 0) {
        request_mistake(request, "a part of the path would be \"%s\"", text);
        return;
    }
    buf_text(&request->path, "/");
    form_escape(&request->path, text, strlen(text));
}

/* Takes `value` over. */
static void add_header(struct sb_request *request, const char *name, char *value)
{
    if (request->n_headers == CALL_HEADERS_MAX) {
        request_mistake(request, "more than %d headers", CALL_HEADERS_MAX);
        free(value);
        return;
    }
    request->headers[request->n_headers].name = mem_text(name);
    request->headers[request->n_headers++].value = value;
}

void sb_header(struct sb_request *request, const char *name, const char *value)
{
    static const char *const ours[] = {"Host", "Content-Length", "Transfer-Encoding",
                                       "Connection", "Expect"};

    if (!is_token(name) || !request_is_printable(value)) {
        request_mistake(
            request,
            "a header's name or value has characters that are not allowed there");
        return;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (strcasecmp(ours[i], name) == 0) {
            request_mistake(request, "the header %s is not the connector's to set",
                            ours[i]);
            return;
        }
    add_header(request, name, mem_text(value));
}

void request_uses(struct sb_request *request, const char *secret)
{
    if (request->n_secrets < CALL_SECRETS_MAX)
        request->secrets[request->n_secrets++] = secret;
}

const char *request_secret(struct sb_request *request, const char *name)
{
    const struct integration *integration = request->integration;
    const char *value =
        integration->secret ? integration->secret(integration->secret_user, name) : NULL;

    if (!value || !*value)
        request_mistake(request,
                        "the secret \"%s\" of the integration %s is not configured", name,
                        integration->name);
    else if (!request_is_printable(value))
        request_mistake(
            request,
            "the secret \"%s\" of the integration %s contains a line break or "
            "another control character",
            name, integration->name);
    else {
        request_uses(request, name);
        return value;
    }
    return NULL;
}

void sb_bearer(struct sb_request *request, const char *name)
{
    const char *value = request_secret(request, name);

    if (value)
        add_header(request, "Authorization", mem_format("Bearer %s", value));
}

void sb_secret_header(struct sb_request *request, const char *header, const char *name)
{
    const char *value = request_secret(request, name);

    if (value && !is_token(header))
        request_mistake(request,
                        "a header's name has characters that are not allowed there");
    else if (value)
        add_header(request, header, mem_text(value));
}

void sb_secret_query(struct sb_request *request, const char *field, const char *name)
{
    const char *value = request_secret(request, name);

    if (value)
        form_field(&request->query, field, value);
}

static void oauth(struct sb_request *request, const char *token_url,
                  const char *id_secret, const char *secret_secret, const char *scope,
                  bool is_in_body)
{
    const char *id = request_secret(request, id_secret),
               *password = request_secret(request, secret_secret);

    if (!id || !password)
        return;
    credential_fini(&request->oauth);
    request->oauth = (struct credential){mem_text(token_url), mem_text(id),
                                         mem_text(password), mem_text(scope), is_in_body};
}

void sb_oauth(struct sb_request *request, const char *token_url, const char *id_secret,
              const char *secret_secret, const char *scope)
{
    oauth(request, token_url, id_secret, secret_secret, scope, /* is_in_body= */ false);
}

void sb_oauth_post(struct sb_request *request, const char *token_url,
                   const char *id_secret, const char *secret_secret, const char *scope)
{
    oauth(request, token_url, id_secret, secret_secret, scope, /* is_in_body= */ true);
}

static void basic(struct sb_request *request, const char *user, const char *password)
{
    struct buf plain = BUF_NULL, encoded = BUF_NULL;

    if (strchr(user, ':')) {
        request_mistake(request, "a user name of HTTP Basic has a colon");
        return;
    }
    buf_format(&plain, "%s:%s", user, password);
    text_base64(plain.bytes, plain.len, &encoded);
    add_header(request, "Authorization", mem_format("Basic %s", buf_str(&encoded)));
    explicit_bzero(plain.bytes, plain.len);
    explicit_bzero(encoded.bytes, encoded.len);
    buf_fini(&plain);
    buf_fini(&encoded);
}

void sb_basic(struct sb_request *request, const char *user, const char *password_secret)
{
    const char *password =
        password_secret ? request_secret(request, password_secret) : "";

    if (password)
        basic(request, user, password);
}

void sb_basic_user(struct sb_request *request, const char *user_secret)
{
    const char *user = request_secret(request, user_secret);

    if (user)
        basic(request, user, "");
}

/* --- fields and bodies --- */

static struct buf *fields(struct sb_request *request)
{
    const char *method = request->method ? request->method : "POST";

    if (!request->method)
        request_mistake(request, "sb_call must come before fields");
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
        strcmp(method, "DELETE") == 0)
        return &request->query;
    return &request->form;
}

void sb_field(struct sb_request *request, const char *name, const char *text)
{
    if (text)
        form_field(fields(request), name, text);
}

void sb_field_int(struct sb_request *request, const char *name, int64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, number);
    sb_field(request, name, text);
}

void sb_field_bool(struct sb_request *request, const char *name, bool value)
{
    sb_field(request, name, value ? "true" : "false");
}

void sb_field_json(struct sb_request *request, const char *name,
                   const struct sb_json *value)
{
    if (value)
        form_json(fields(request), name, (const struct json *)value);
}

void sb_query(struct sb_request *request, const char *name, const char *text)
{
    if (text)
        form_field(&request->query, name, text);
}

struct sb_json *sb_json_body(struct sb_request *request)
{
    if (!request->json)
        request->json = js_object();
    return (struct sb_json *)request->json;
}

void sb_json(struct sb_request *request, const struct sb_json *value)
{
    js_free(request->json);
    request->json = value ? js_copy((const struct json *)value) : NULL;
}

void sb_body(struct sb_request *request, const char *content_type, const void *bytes,
             size_t n)
{
    if (!request_is_printable(content_type)) {
        request_mistake(request,
                        "a content type has characters that are not allowed there");
        return;
    }
    free(request->content_type);
    request->content_type = mem_text(content_type);
    buf_clear(&request->body);
    buf_add(&request->body, bytes, n);
}
