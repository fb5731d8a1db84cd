/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/content.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"

enum { ANSWER_MAX = 64 << 10, TIMEOUT_US = 10000000 };

struct subscriptions {
    struct loop *loop;
    struct http_client *client; /* made when the first one is opened */
};

struct subscriptions *subscriptions_new(struct loop *loop)
{
    struct subscriptions *subscriptions = mem_alloc(sizeof(*subscriptions));
    subscriptions->loop = loop;
    return subscriptions;
}

void subscriptions_free(struct subscriptions *subscriptions)
{
    if (!subscriptions)
        return;
    http_client_free(subscriptions->client);
    free(subscriptions);
}

char *subscription_url(const struct content *content)
{
    _free_ char *type = content_text(content, "Type");
    char *url = content_text(content, "SubscribeURL");
    if (url && type && strcmp(type, "SubscriptionConfirmation") == 0 &&
        certificate_host_fits(CERTIFICATE_SNS, url))
        return url;
    free(url);
    return NULL;
}

/* The address holds a token: it is not written down. */
static void on_done(void *user, const struct http_call *call)
{
    const char *endpoint = user; /* the configuration's */
    if (http_call_result(call) == HTTP_ANSWERED && http_call_status(call) == 200)
        log_say(SUBSCRIPTION_CONFIRMED, "endpoint=%s", endpoint);
    else
        log_say(SUBSCRIPTION_OPEN, "endpoint=%s: %s, status %u", endpoint,
                http_call_error(call), http_call_status(call));
}

void subscription_confirm(struct subscriptions *subscriptions, const char *endpoint,
                          const char *url)
{
    const struct http_client_options options = {.connections_max = SUBSCRIPTIONS_MAX};
    const struct http_call_options call = {.method = "GET",
                                           .url = url,
                                           .timeout_us = TIMEOUT_US,
                                           .answer_max = ANSWER_MAX,
                                           .on_done = on_done,
                                           .user = (char *)(uintptr_t)endpoint};
    if (!subscriptions->client)
        subscriptions->client = http_client_new(subscriptions->loop, &options);
    if (http_client_running(subscriptions->client) < SUBSCRIPTIONS_MAX)
        http_client_call(subscriptions->client, &call);
    else
        log_say(SUBSCRIPTION_OPEN, "endpoint=%s: %d others are being opened", endpoint,
                SUBSCRIPTIONS_MAX);
}
