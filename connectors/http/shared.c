/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "shared.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 4000 /* bytes of a body that is no JSON and is kept */ };

/* --- where --- */

/* Is a part of a path one that stays below its parent? %2e is a dot to many servers. */
static bool part_stays(const char *part, size_t n)
{
    size_t dots = 0;

    for (size_t i = 0; i < n; dots++) {
        if (part[i] == '.')
            i++;
        else if (i + 2 < n + 0 && part[i] == '%' && part[i + 1] == '2' &&
                 (part[i + 2] == 'e' || part[i + 2] == 'E'))
            i += 3;
        else
            return true;
    }
    return dots == 0 || dots > 2;
}

static bool path_stays(const char *path)
{
    for (const char *at = path; *at == '/';) {
        size_t n = strcspn(++at, "/");
        if ((n == 0 && at[n]) || !part_stays(at, n))
            return false;
        at += n;
    }
    return true;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Undo percent-encoding, and + for a space, in place. False: a byte 0, or half a code. */
static bool decode(char *text)
{
    char *to = text;

    for (const char *at = text; *at; at++) {
        if (*at != '%') {
            *to++ = *at == '+' ? ' ' : *at;
            continue;
        }
        int high = digit(at[1]), low = high < 0 ? -1 : digit(at[2]);
        if (low < 0 || high + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        at += 2;
    }
    *to = 0;
    return true;
}

/* "a=1&b=x%20y", changed by it. */
static bool take_parameters(struct sb_request *request, char *text)
{
    char *rest = NULL;

    for (char *one = strtok_r(text, "&", &rest); one; one = strtok_r(NULL, "&", &rest)) {
        char *value = strchr(one, '=');
        if (value)
            *value++ = 0;
        if (!decode(one) || (value && !decode(value)))
            return false;
        sb_query(request, one, value ? value : "");
    }
    return true;
}

static bool path_fails(struct sb_outcome *outcome)
{
    sb_fail(outcome,
            "path must begin with / and have no space, # or \\, in at most %d bytes; "
            "parameters go behind a ?, percent-encoded, or into query",
            HTTP_PATH_MAX);
    return false;
}

bool http_begin(struct sb_request *request, const char *method, const char *path,
                struct sb_outcome *outcome)
{
    char text[HTTP_PATH_MAX + 1];
    const size_t n = path ? strlen(path) : 0;

    if (n == 0 || *path != '/' || n > HTTP_PATH_MAX || strpbrk(path, " #\\"))
        return path_fails(outcome);
    memcpy(text, path, n + 1);
    char *parameters = strchr(text, '?');
    if (parameters)
        *parameters++ = 0;
    if (!path_stays(text)) {
        sb_fail(outcome,
                "path has an empty part, \".\" or \"..\": it would leave base_url");
        return false;
    }
    sb_call(request, method, text);
    return !parameters || take_parameters(request, parameters) || path_fails(outcome);
}

/* --- who --- */

static bool needs(const struct sb_event *event, const char *option,
                  struct sb_outcome *outcome)
{
    const char *value = sb_option(event, option);

    if (value && *value)
        return true;
    sb_fail(outcome, "the option %s of the integration %s is needed with auth: %s",
            option, sb_integration(event), sb_option(event, "auth"));
    return false;
}

static bool by_none(const struct sb_event *event, struct sb_request *request,
                    struct sb_outcome *outcome)
{
    (void)event, (void)request, (void)outcome;
    return true;
}

static bool by_bearer(const struct sb_event *event, struct sb_request *request,
                      struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    sb_bearer(request, "token");
    return true;
}

static bool by_basic(const struct sb_event *event, struct sb_request *request,
                     struct sb_outcome *outcome)
{
    if (!needs(event, "user", outcome))
        return false;
    sb_basic(request, sb_option(event, "user"), "password");
    return true;
}

static bool by_header(const struct sb_event *event, struct sb_request *request,
                      struct sb_outcome *outcome)
{
    if (!needs(event, "auth_header", outcome))
        return false;
    sb_secret_header(request, sb_option(event, "auth_header"), "token");
    return true;
}

static bool by_oauth(const struct sb_event *event, struct sb_request *request,
                     struct sb_outcome *outcome)
{
    if (!needs(event, "token_url", outcome))
        return false;
    static const struct {
        const char *name;
        void (*fn)(struct sb_request *, const char *, const char *, const char *,
                   const char *);
    } ways[] = {{"client_secret_basic", sb_oauth}, {"client_secret_post", sb_oauth_post}};
    const char *wanted = sb_option(event, "token_auth");

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].name, wanted) == 0) {
            ways[i].fn(request, sb_option(event, "token_url"), "client_id",
                       "client_secret", sb_option(event, "scope"));
            return true;
        }
    sb_fail(outcome,
            "the option token_auth of the integration %s is %.40s; expected "
            "client_secret_basic or client_secret_post",
            sb_integration(event), wanted);
    return false;
}

bool http_credential(const struct sb_event *event, struct sb_request *request,
                     struct sb_outcome *outcome)
{
    static const struct {
        const char *name;
        bool (*fn)(const struct sb_event *, struct sb_request *, struct sb_outcome *);
    } styles[] = {{"none", by_none},
                  {"bearer", by_bearer},
                  {"basic", by_basic},
                  {"header", by_header},
                  {"oauth2", by_oauth}};
    const char *wanted = sb_option(event, "auth");

    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
        if (strcmp(styles[i].name, wanted) == 0)
            return styles[i].fn(event, request, outcome);
    sb_fail(
        outcome,
        "the option auth of the integration %s is %.40s; expected none, bearer, basic, "
        "header or oauth2",
        sb_integration(event), wanted);
    return false;
}

/* --- what --- */

bool http_query(const struct sb_json *query, struct sb_request *request,
                struct sb_outcome *outcome)
{
    const char *name;
    const struct sb_json *value;

    for (size_t i = 0; (value = sb_member(query, i, &name)); i++) {
        char number_text[32];
        int64_t number;
        bool flag;
        if (sb_text(value, "")) {
            sb_query(request, name, sb_text(value, ""));
        } else if (sb_int(value, "", &number)) {
            snprintf(number_text, sizeof(number_text), "%" PRId64, number);
            sb_query(request, name, number_text);
        } else if (sb_bool(value, "", &flag)) {
            sb_query(request, name, flag ? "true" : "false");
        } else {
            sb_fail(outcome,
                    "query.%.60s must be a text, a whole number, or true or false", name);
            return false;
        }
    }
    return true;
}

/* --- what comes back --- */

void http_result(const struct sb_answer *answer, struct sb_outcome *outcome)
{
    static const struct {
        const char *header, *member;
    } kept[] = {
        {"Content-Type", "content_type"}, {"Location", "location"}, {"ETag", "etag"}};
    struct sb_json *result = sb_result(outcome);
    char text[TEXT_MAX + 1];
    size_t n;
    const void *raw = sb_answer_raw(answer, &n);

    sb_put_int(result, "status", sb_status(answer));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        sb_put_text(result, kept[i].member, sb_answer_header(answer, kept[i].header));
    if (sb_answer_json(answer)) {
        sb_put(result, "body", sb_answer_json(answer));
    } else if (n && n <= TEXT_MAX && !memchr(raw, 0, n)) {
        memcpy(text, raw, n);
        text[n] = 0;
        sb_put_text(result, "body", text); /* what is not UTF-8 is left out */
    }
}

enum sb_verdict http_failed(const struct sb_event *event, const struct sb_answer *answer,
                            struct sb_outcome *outcome)
{
    static const char *const where[] = {"error.message", "message", "error_description",
                                        "detail",        "title",   "error"};
    const char *said = NULL;

    (void)event;
    http_result(answer, outcome);
    for (size_t i = 0; !said && i < sizeof(where) / sizeof(where[0]); i++)
        said = sb_text(sb_answer_json(answer), where[i]);
    return sb_default(outcome, "the service answered %u%s%.300s", sb_status(answer),
                      said ? ": " : "", said ? said : "");
}
