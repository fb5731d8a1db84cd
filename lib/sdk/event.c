/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a connector reads: the event, its integration's options, and the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/sdk/call.h"
#include "lib/sdk/provider.h"

const struct sb_json *sb_data(const struct sb_event *event)
{
    return (const struct sb_json *)event->json;
}

const void *sb_raw(const struct sb_event *event, size_t *ret_len)
{
    *ret_len = event->record->data_len;
    return record_data(event->record);
}

const char *sb_form(const struct sb_event *event, const char *name)
{
    return form_get(&event->form, name);
}

uint64_t sb_now_us(const struct sb_event *event)
{
    return event->now_us;
}

const char *sb_id(const struct sb_event *event)
{
    return event->id;
}

const char *sb_type(const struct sb_event *event)
{
    return event->type;
}

const char *sb_key(const struct sb_event *event)
{
    return event->key;
}

uint64_t sb_time_us(const struct sb_event *event)
{
    return event->committed_us;
}

uint64_t sb_deadline_us(const struct sb_event *event)
{
    return event->record->kind == RECORD_REQUEST ? event->record->deadline_us : 0;
}

unsigned sb_attempt(const struct sb_event *event)
{
    return event->attempt;
}

bool sb_doubt(const struct sb_event *event)
{
    return event->in_doubt;
}

const char *sb_idempotency_key(const struct sb_event *event)
{
    return event->stable_id;
}

const char *sb_cursor(const struct sb_event *event)
{
    return js_text(event->json, "cursor", NULL);
}

const char *sb_integration(const struct sb_event *event)
{
    return event->integration->name;
}

const char *sb_mode(const struct sb_event *event)
{
    return event->integration->mode;
}

const char *sb_provider(const struct sb_event *event)
{
    return event->integration->provider ? event->integration->provider->name : NULL;
}

static const struct sb_option *declared(const struct integration *integration,
                                        const char *name)
{
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);

    for (const struct sb_option *o = tables.options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    fprintf(stderr, "%s: the option \"%s\" is read but not in the table of options\n",
            integration->connector->name, name);
    abort();
}

const char *sb_option(const struct sb_event *event, const char *name)
{
    const struct integration *integration = event->integration;
    const struct sb_option *option = declared(integration, name);

    for (size_t i = 0; i < integration->n_options; i++)
        if (strcmp(integration->option_names[i], name) == 0)
            return integration->option_values[i];
    return option->otherwise;
}

int64_t sb_option_int(const struct sb_event *event, const char *name)
{
    const char *text = sb_option(event, name);

    return text ? strtoll(text, NULL, 10) : 0; /* checked when the process started */
}

/* --- the answer --- */

unsigned sb_status(const struct sb_answer *answer)
{
    return http_call_status(answer->http);
}

const char *sb_answer_header(const struct sb_answer *answer, const char *name)
{
    return http_call_header(answer->http, name);
}

const struct sb_json *sb_answer_json(const struct sb_answer *answer)
{
    return (const struct sb_json *)answer->json;
}

const char *sb_mail_refused(const struct sb_answer *answer, size_t index,
                            unsigned *ret_code, const char **ret_text)
{
    return answer->http ? http_call_refused(answer->http, index, ret_code, ret_text)
                        : NULL;
}

const void *sb_answer_raw(const struct sb_answer *answer, size_t *ret_len)
{
    return http_call_body(answer->http, ret_len);
}
