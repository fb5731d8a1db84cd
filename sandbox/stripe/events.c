/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* events - what happened, newest first, by page */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/inside.h"

enum { LIMIT_DEFAULT = 10, LIMIT_MAX = 100 };

static const char *const known[] = {
    "created", "delivery_success", "ending_before", "expand",
    "limit",   "starting_after",   "type",          "types",
    NULL,
};
static const char *const unsupported[] = {"delivery_success", NULL};

static struct event *event_at(struct stripe *stripe, uint64_t number)
{
    return &stripe->events[number % STRIPE_EVENTS_MAX];
}

static uint64_t oldest(const struct stripe *stripe)
{
    return stripe->n_events > STRIPE_EVENTS_MAX ? stripe->n_events - STRIPE_EVENTS_MAX
                                                : 0;
}

static struct json *event_json(const struct event *event, struct json *object,
                               const struct request *request)
{
    struct json *e = js_object(), *cause = js_object();
    const char *key = request ? request->call->idempotency_key : NULL;

    js_set_text(e, "id", event->id);
    js_set_text(e, "object", "event");
    js_set_text(e, "api_version", STRIPE_API_VERSION);
    js_set_int(e, "created", event->created);
    js_set(e, "data", js_set(js_object(), "object", object));
    js_set_bool(e, "livemode", false);
    js_set_int(e, "pending_webhooks", 1);
    js_set(cause, "id",
           request ? js_from_text(request->answer->request_id,
                                  strlen(request->answer->request_id))
                   : js_null());
    js_set(cause, "idempotency_key", key ? js_from_text(key, strlen(key)) : js_null());
    js_set(e, "request", cause);
    js_set_text(e, "type", event->type);
    return e;
}

static const struct event *add(struct stripe *stripe, const struct request *request,
                               const char *type, struct json *object, uint64_t now_us)
{
    struct event *event = event_at(stripe, stripe->n_events++);
    struct buf text = BUF_NULL;
    struct json *body;

    free(event->type);
    free(event->text);
    stripe_id("evt_1", event->id);
    event->created = (int64_t)(now_us / 1000000);
    event->type = mem_text(type);
    body = event_json(event, object, request);
    js_write(body, 2, &text);
    js_free(body);
    event->text = mem_text(buf_str(&text));
    buf_fini(&text);
    return event;
}

void emit(struct stripe *stripe, const struct request *request, const char *type,
          struct json *object)
{
    const struct event *event = add(stripe, request, type, object, request->call->now_us);

    if (stripe->options.on_event)
        stripe->options.on_event(stripe->options.user, event->id, event->text,
                                 strlen(event->text));
}

void stripe_make_event(struct stripe *stripe, const char *type, struct json *object,
                       uint64_t now_us, struct buf *out)
{
    buf_text(out, add(stripe, NULL, type, object, now_us)->text);
}

/* --- listing --- */

/* A page: numbers low (included) to high (not), those that pass the filters, `limit` of
 * them from one end. */
struct page {
    uint64_t low, high;
    int64_t limit, after, before; /* created: after <= it <= before */
    bool is_upwards;              /* ending_before: nearest to the low end */
};

/* 0 and the number of the event a cursor names; the error otherwise. */
static struct json *find_cursor(struct stripe *stripe, struct request *request,
                                const char *param, uint64_t *ret_number)
{
    const char *id = form_get(&request->form, param);

    for (uint64_t n = stripe->n_events; n-- > oldest(stripe);)
        if (!strcmp(event_at(stripe, n)->id, id)) {
            *ret_number = n;
            return NULL;
        }
    return refuse_param(request, "resource_missing", param, "No such event: '%s'", id);
}

static struct json *read_limit(struct request *request, int64_t *ret_limit)
{
    struct json *error;

    if (!form_get(&request->form, "limit"))
        return NULL;
    error = read_amount(request, "limit", ret_limit);
    if (!error && *ret_limit > LIMIT_MAX)
        error = refuse_param(request, "parameter_invalid_integer", "limit",
                             "This value must be less than or equal to 100.");
    return error;
}

/* created, created[gte], [gt], [lte], [lt]. */
static struct json *read_created(struct request *request, struct page *page)
{
    static const char *const names[] = {"created", "created[gte]", "created[gt]",
                                        "created[lte]", "created[lt]"};

    for (size_t i = 0; i < 5; i++) {
        const char *text = form_get(&request->form, names[i]);
        char *end = NULL;
        long long value = text ? strtoll(text, &end, 10) : 0;

        if (!text)
            continue;
        if (!*text || *end)
            return refuse_param(request, "parameter_invalid_integer", "created",
                                "Invalid integer: %s", text);
        if (i <= 2)
            page->after = value + (i == 2);
        if (i == 0 || i >= 3)
            page->before = value - (i == 4);
    }
    return NULL;
}

static struct json *read_page(struct stripe *stripe, struct request *request,
                              struct page *page)
{
    struct json *error = refuse_unknown(request, known);

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = read_limit(request, &page->limit);
    if (!error)
        error = read_created(request, page);
    if (!error && form_get(&request->form, "starting_after"))
        error = find_cursor(stripe, request, "starting_after", &page->high);
    if (!error && form_get(&request->form, "ending_before")) {
        page->is_upwards = true;
        error = find_cursor(stripe, request, "ending_before", &page->low);
        page->low++;
    }
    return error;
}

static bool is_wanted_type(const struct request *request, const char *type)
{
    const char *only = form_get(&request->form, "type");
    bool is_listed = !form_has(&request->form, "types");

    for (size_t i = 0; i < request->form.n; i++)
        if (form_top(request->form.fields[i].name) == 5 &&
            !strncmp(request->form.fields[i].name, "types", 5))
            is_listed |= !strcmp(request->form.fields[i].value, type);
    return is_listed && (!only || !strcmp(only, type));
}

static bool is_wanted(const struct request *request, const struct page *page,
                      const struct event *event)
{
    return event->created >= page->after && event->created <= page->before &&
           is_wanted_type(request, event->type);
}

static struct json *parsed(const struct event *event)
{
    char why[128];

    return js_parse(event->text, strlen(event->text), why, sizeof(why));
}

struct json *event_list(struct stripe *stripe, struct request *request)
{
    struct page page = {oldest(stripe), stripe->n_events, LIMIT_DEFAULT,
                        INT64_MIN,      INT64_MAX,        false};
    struct json *error = read_page(stripe, request, &page), *list, *data;
    uint64_t found[LIMIT_MAX];
    int64_t n = 0;
    bool has_more = false;

    if (error)
        return error;
    for (uint64_t i = page.low; i < page.high && !has_more; i++) {
        uint64_t number = page.is_upwards ? i : page.high - 1 - (i - page.low);

        if (!is_wanted(request, &page, event_at(stripe, number)))
            continue;
        has_more = n == page.limit;
        if (!has_more)
            found[n++] = number;
    }
    data = js_array();
    for (int64_t i = 0; i < n; i++)
        js_push(data, parsed(event_at(stripe, found[page.is_upwards ? n - 1 - i : i])));
    list = js_set_text(js_object(), "object", "list");
    js_set(list, "data", data);
    js_set_bool(list, "has_more", has_more);
    return js_set_text(list, "url", "/v1/events");
}

struct json *event_retrieve(struct stripe *stripe, struct request *request)
{
    for (uint64_t n = stripe->n_events; n-- > oldest(stripe);)
        if (!strcmp(event_at(stripe, n)->id, request->id))
            return parsed(event_at(stripe, n));
    return refuse(request, 404, "invalid_request_error", "resource_missing", "id",
                  "No such event: '%s'", request->id);
}
