/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/rules.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Facts: docs.stripe.com/api/authentication and idempotent_requests, platform.openai.com
 * and docs.anthropic.com (x-api-key), api.slack.com/web, docs.sendgrid.com, resend.com.
 */
static const struct rule rules[] = {
    {"stripe", NULL, "Idempotency-Key", false, false},
    {"openai", NULL, NULL, true, false},
    {"anthropic", "x-api-key", NULL, true, false},
    {"slack", NULL, NULL, false, true},
    {"sendgrid", NULL, NULL, false, false},
    {"resend", NULL, "Idempotency-Key", false, false},
};

const struct rule *rule_of(const char *provider)
{
    size_t i = 0;

    while (strcmp(rules[i].provider, provider) != 0 &&
           i + 1 < sizeof(rules) / sizeof(rules[0]))
        i++;
    return &rules[i];
}

static bool is_in(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcasecmp(*names, name) == 0)
            return true;
    return false;
}

/* Of one connection (RFC 9110, 7.6.1); what Connection names is about it too, but nobody
 * on loopback has a reason to name more. */
static const char *const hop[] = {"Connection",
                                  "Keep-Alive",
                                  "Proxy-Authenticate",
                                  "Proxy-Authorization",
                                  "Proxy-Connection",
                                  "TE",
                                  "Trailer",
                                  "Transfer-Encoding",
                                  "Upgrade",
                                  NULL};
/* Ours to set (the trace is a child of the application's), credentials, and whence. An
 * answer that is compressed could not be read for its usage. */
static const char *const kept[] = {"Host",
                                   "Content-Length",
                                   "Expect",
                                   "Accept-Encoding",
                                   "Authorization",
                                   "x-api-key",
                                   "api-key",
                                   "Cookie",
                                   "Forwarded",
                                   "Via",
                                   "X-Real-IP",
                                   "Origin",
                                   "Referer",
                                   "traceparent",
                                   "tracestate",
                                   "Sec-Fetch-Mode",
                                   "Sec-Fetch-Site",
                                   "Sec-Fetch-Dest",
                                   NULL};
static const char *const unsaid[] = {
    "Content-Length", "Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "Date", NULL};

bool rule_sends(const char *name)
{
    return !is_in(hop, name) && !is_in(kept, name) &&
           strncasecmp(name, "X-Forwarded-", 12) != 0;
}

bool rule_answers(const char *name)
{
    return !is_in(hop, name) && !is_in(unsaid, name);
}
