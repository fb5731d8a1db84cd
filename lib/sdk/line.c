/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* line - an event as the question to a program, and what its answer means; the members
 * are specified in docs/guide/exec.md */
#include "lib/sdk/line.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/call.h"
#include "lib/sdk/program.h"
#include "lib/sdk/provider.h"
#include "lib/sdk/request.h"
#include "proto/attrs.h"

/* --- the question --- */

static void put_time(struct json *object, const char *name, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];

    if (!time_us)
        return;
    text_time(time_us, text);
    js_set_text(object, name, text);
}

void line_put_attr(struct json *object, const struct record *r, enum attr attr)
{
    _free_ char *text = attrs_copy_text(record_attrs(r), r->attr_len, attr);

    js_set_text(object, attr_name(attr), text);
}

void line_put_data(struct json *object, const struct sb_event *event)
{
    const struct record *r = event->record;
    struct json *text;
    struct buf encoded = BUF_NULL;

    if (event->json) {
        js_set(object, "data", js_copy(event->json));
    } else if ((text = js_from_text((const char *)record_data(r), r->data_len))) {
        js_set(object, "data", text);
    } else {
        text_base64(record_data(r), r->data_len, &encoded);
        js_set_text(object, "data_base64", buf_str(&encoded));
        buf_fini(&encoded);
    }
}

static struct json *event_json(const struct sb_event *event)
{
    static const enum attr attrs[] = {ATTR_SOURCE, ATTR_SUBJECT, ATTR_CONTENT_TYPE,
                                      ATTR_TRACEPARENT};
    struct json *out = js_object();

    js_set_text(out, "id", event->id);
    js_set_text(out, "type", event->type);
    js_set_text(out, "key", event->key);
    put_time(out, "time", event->committed_us);
    put_time(out, "deadline", sb_deadline_us(event));
    for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
        line_put_attr(out, event->record, attrs[i]);
    line_put_data(out, event);
    return out;
}

/* Options have the types that the manifest gives them. */
static struct json *options_json(const struct sb_event *event)
{
    const struct sb_provider tables =
        provider_tables(event->integration->connector, event->integration->provider);
    struct json *out = js_object();

    for (const struct sb_option *o = tables.options; o && o->name; o++) {
        const char *value = sb_option(event, o->name);
        if (value && o->type == SB_INT)
            js_set_int(out, o->name, sb_option_int(event, o->name));
        else if (value && o->type == SB_BOOL)
            js_set_bool(out, o->name, strcmp(value, "true") == 0);
        else
            js_set_text(out, o->name, value);
    }
    return out;
}

/* A worker has them all from its start, and nobody sees which one it takes. */
static void use_secrets(const struct integration *integration, struct sb_request *request)
{
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);

    for (const struct sb_secret *s = tables.secrets; s && s->name; s++)
        request_uses(request, s->name);
}

enum sb_verdict program_request(const struct sb_event *event, struct sb_request *request,
                                struct sb_outcome *outcome)
{
    struct json *line = js_object();

    (void)outcome;
    js_set(line, "event", event_json(event));
    js_set_int(line, "attempt", event->attempt);
    js_set_bool(line, "doubt", event->in_doubt);
    js_set_text(line, "cursor", sb_cursor(event));
    js_set(line, "options", options_json(event));
    js_set_text(line, "integration", event->integration->name);
    js_set_text(line, "mode", event->integration->mode);
    use_secrets(event->integration, request);
    request->json = line;
    request->is_line = true;
    return SB_DONE;
}

/* --- the answer --- */

static enum sb_verdict not_as_specified(struct sb_outcome *outcome, const char *what)
{
    return sb_unclear(outcome, "the program's answer is not as specified: %s", what);
}

static bool take_cost(const struct json *cost, struct sb_outcome *outcome)
{
    const char *currency = js_text(cost, "currency", "");

    if (!js_is_int(js_get(cost, "micros")) || strlen(currency) != 3)
        return false;
    sb_cost(outcome,
            strcmp(js_text(cost, "kind", "actual"), "estimated") == 0 ? SB_ESTIMATED
                                                                      : SB_ACTUAL,
            currency, js_int(cost, "micros", 0));
    return true;
}

static bool take_facts(const struct json *facts, struct sb_outcome *outcome)
{
    for (size_t i = 0; i < js_count(facts); i++) {
        const struct json *fact = js_at(facts, i), *data = js_get(fact, "data");
        const char *type = js_text(fact, "type", NULL), *key = js_text(fact, "key", NULL);
        const char *id = js_text(fact, "id", NULL);
        if (!type || !js_is_object(data))
            return false;
        if (!(js_get(fact, "id") ? sb_fact_once(outcome, type, key, id)
                                 : sb_fact(outcome, type, key)))
            return true; /* the mistake is noted */
        struct call_fact *made = &outcome->facts[outcome->n_facts - 1];
        js_free(made->data);
        made->data = js_copy(data);
    }
    return js_is_array(facts);
}

/* The provider's own events. Returns what is wrong with them, NULL when nothing is. */
static const char *take_found(const struct json *found, struct sb_outcome *outcome)
{
    for (size_t i = 0; i < js_count(found); i++) {
        const struct json *one = js_at(found, i), *data = js_get(one, "data");
        const char *id = js_text(one, "id", NULL), *type = js_text(one, "type", NULL);
        if (!id || !type || !js_is_object(data))
            return "`found` is a list of {\"id\": a text, \"type\": a text, \"data\": an "
                   "object}";
        if (!sb_found(outcome, id, type, (const struct sb_json *)data))
            return outcome->mistake
                       ? NULL
                       : "`found` has at most 1,000 events and 1.5 MiB; what "
                         "is left comes with the next run (`more`)";
    }
    return js_is_array(found) ? NULL : "`found` is a list";
}

static enum sb_verdict take_success(const struct json *line, struct sb_outcome *outcome)
{
    const struct json *data = js_get(line, "succeeded"), *cost = js_get(line, "cost"),
                      *facts = js_get(line, "facts"), *cursor = js_get(line, "cursor"),
                      *found = js_get(line, "found");
    const char *wrong;

    if (!js_is_object(data))
        return not_as_specified(outcome, "`succeeded` is an object");
    if (cost && !take_cost(cost, outcome))
        return not_as_specified(
            outcome,
            "`cost` is {\"currency\": three letters, \"micros\": a whole number}");
    if (facts && !take_facts(facts, outcome))
        return not_as_specified(
            outcome, "`facts` is a list of {\"type\": a text, \"data\": an object}");
    if (found && (wrong = take_found(found, outcome)))
        return not_as_specified(outcome, wrong);
    if (cursor && !js_is_text(cursor) && !js_is_null(cursor))
        return not_as_specified(outcome, "`cursor` is a text");
    if (js_is_text(cursor))
        sb_next_cursor(outcome, js_text(cursor, "", NULL));
    if (js_bool(line, "more", false))
        sb_more(outcome);
    outcome->data = js_copy(data);
    return SB_DONE;
}

static enum sb_verdict take_failure(const struct json *failed, struct sb_outcome *outcome)
{
    const char *class = js_text(failed, "class", "permanent"),
               *message = js_text(failed, "message", NULL);
    const struct json *data = js_get(failed, "data");

    if (!message || !*message)
        return not_as_specified(outcome, "`failed` has a `message`");
    if (data && js_is_object(data))
        outcome->data = js_copy(data);
    if (strcmp(class, "permanent") == 0)
        return sb_fail(outcome, "%s", message);
    if (strcmp(class, "unknown") == 0)
        return sb_unknown(outcome, "%s", message);
    return not_as_specified(outcome, "the `class` of `failed` is permanent or unknown");
}

static enum sb_verdict take_retry(const struct json *retry, struct sb_outcome *outcome)
{
    const char *message = js_text(retry, "message", NULL);
    int64_t after_ms = js_int(retry, "after_ms", 0);

    if (!message || !*message || after_ms < 0)
        return not_as_specified(
            outcome, "`retry` has a `message`, and `after_ms` is a whole number");
    return sb_retry(outcome, (uint64_t)after_ms, "%s", message);
}

static bool is_known(const char *name)
{
    static const char *const names[] = {"succeeded", "failed", "retry", "absent", "cost",
                                        "cursor",    "more",   "facts", "found"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

enum sb_verdict program_answer(const struct sb_event *event,
                               const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct json *line = answer->json;
    const struct json *succeeded = js_get(line, "succeeded"),
                      *failed = js_get(line, "failed"), *retry = js_get(line, "retry"),
                      *absent = js_get(line, "absent");
    const char *name;
    void *cursor = NULL;

    (void)event;
    if (!js_is_object(line))
        return not_as_specified(outcome, "it is one JSON object");
    while (js_next(line, &cursor, &name))
        if (!is_known(name))
            return sb_unclear(outcome,
                              "the program's answer is not as specified: it has no "
                              "member \"%.50s\"",
                              name);
    if (!!succeeded + !!failed + !!retry + !!absent != 1)
        return not_as_specified(
            outcome, "it has one of `succeeded`, `failed`, `retry` (a lookup: `absent`)");
    return succeeded ? take_success(line, outcome)
           : failed  ? take_failure(failed, outcome)
           : retry   ? take_retry(retry, outcome)
                     : sb_absent(outcome);
}
