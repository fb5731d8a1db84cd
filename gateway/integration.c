/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Options and commands are left out: they may hold what is nobody's business, and the
 * connector's page explains them. Of secrets only what they are for is shown. */
#include "gateway/integration.h"

#include <string.h>

#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

enum { DURATION_SIZE = 32 };

static void set_duration(struct json *object, const char *name, uint64_t us)
{
    char text[DURATION_SIZE];
    text_duration(us, text, sizeof(text));
    js_set_text(object, name, us ? text : NULL);
}

static struct json *webhooks_json(const struct config *config,
                                  const struct config_integration *in)
{
    struct json *all = js_array();
    for (size_t i = 0; i < in->n_webhooks; i++) {
        const struct config_webhook *w = &in->webhooks[i];
        _free_ char *url = config_webhook_url(config, w->path);
        struct json *one = js_set_text(js_object(), "path", w->path);
        js_set_text(js_set_text(one, "scheme", w->scheme), "url",
                    config->gateway.public_url ? url : NULL);
        js_push(all, js_set_text(one, "accept_weak", w->accept_weak));
    }
    return all;
}

static struct json *schedules_json(const struct config_integration *in)
{
    struct json *all = js_array();
    for (size_t i = 0; i < in->n_schedules; i++) {
        const struct config_schedule *s = &in->schedules[i];
        struct json *one = js_set_text(js_object(), "operation", s->operation);
        set_duration(one, "every", s->every_us);
        js_set_text(js_set_text(one, "cron", s->cron), "timezone", s->timezone);
        js_push(all, one);
    }
    return all;
}

static struct json *secrets_json(const struct config_integration *in)
{
    struct json *all = js_array();
    for (size_t i = 0; i < in->n_secrets; i++)
        js_push(all, js_from_text(in->secrets[i].use, strlen(in->secrets[i].use)));
    return all;
}

static struct json *limits_json(const struct config_integration *in)
{
    struct json *limits = js_object();
    js_set_int(limits, "concurrency", in->limits.concurrency);
    js_set_int(limits, "attempts", in->limits.attempts);
    set_duration(limits, "timeout", in->limits.timeout_us);
    set_duration(limits, "deadline", in->limits.deadline_us);
    return limits;
}

static struct json *integration_json(const struct config *config,
                                     const struct config_integration *in)
{
    struct json *o = js_set_text(js_object(), "name", in->name);
    js_set_text(o, "service", in->service ? in->service : in->name);
    js_set_text(js_set_text(o, "connector", in->connector), "provider", in->provider);
    js_set_text(js_set_text(o, "mode", in->mode), "base_url", in->base_url);
    js_set_text(js_set_text(o, "owner", in->owner), "note", in->note);
    js_set_bool(o, "default", in->is_default);
    js_set(js_set(o, "webhooks", webhooks_json(config, in)), "schedules",
           schedules_json(in));
    js_set(js_set(o, "secrets", secrets_json(in)), "limits", limits_json(in));
    set_duration(o, "rotate_every", in->rotate_every_us);
    if (in->why.pattern)
        js_set(o, "why",
               js_set_text(js_set_text(js_object(), "pattern", in->why.pattern),
                           "because", in->why.because));
    return o;
}

void integration_list(struct gateway *gateway, struct http_request *request,
                      const char *const *params)
{
    (void)params;
    struct json *all = js_array();
    for (size_t i = 0; i < gateway->config->n_integrations; i++)
        js_push(all,
                integration_json(gateway->config, &gateway->config->integrations[i]));
    answer_json(request, 200, js_set(js_object(), "integrations", all), NULL);
}
