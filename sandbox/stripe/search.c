/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* search - what was made before: payment intents by their metadata, refunds by their
 * payment. Without pages: the sandbox lists at most as many as a page holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "sandbox/stripe/inside.h"

enum { PAGE_DEFAULT = 10, PAGE_MAX = 100, WORD_MAX = 500 };

static struct json *read_limit(struct request *request, int64_t *ret_limit)
{
    struct json *error = NULL;

    *ret_limit = PAGE_DEFAULT;
    if (form_get(&request->form, "limit"))
        error = read_amount(request, "limit", ret_limit);
    if (!error && *ret_limit > PAGE_MAX)
        error = refuse_param(request, "parameter_invalid_integer", "limit",
                             "This value must be less than or equal to 100.");
    return error;
}

static struct json *page_json(const char *object, const char *url, struct json *data,
                              bool has_more)
{
    struct json *page = js_set_text(js_object(), "object", object);

    js_set(page, "data", data);
    js_set_bool(page, "has_more", has_more);
    return js_set_text(page, "url", url);
}

/* metadata["name"]:"value", the one form of Stripe's search language that is done here.
 */
static bool read_query(const char *query, char name[WORD_MAX + 1],
                       char value[WORD_MAX + 1])
{
    int end = 0;

    return query &&
           sscanf(query, "metadata[\"%500[^\"]\"]:\"%500[^\"]\"%n", name, value, &end) ==
               2 &&
           end && !query[end];
}

/* A member's name may have dots, so it is looked for and not taken for a path. */
static bool has_member(const struct json *object, const char *name, const char *value)
{
    const char *found;
    void *cursor = NULL;

    for (const struct json *one; (one = js_next(object, &cursor, &found));)
        if (strcmp(found, name) == 0)
            return strcmp(js_text(one, "", ""), value) == 0;
    return false;
}

struct json *intent_search(struct stripe *stripe, struct request *request)
{
    static const char *const known[] = {"query", "limit", "page", "expand", NULL};
    static const char *const unsupported[] = {"page", NULL};
    char name[WORD_MAX + 1], value[WORD_MAX + 1];
    struct json *error = refuse_unknown(request, known), *data;
    const struct table_entry *entry;
    int64_t limit, n = 0;

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = read_limit(request, &limit);
    if (!error && !read_query(form_get(&request->form, "query"), name, value))
        error =
            refuse_param(request, NULL, "query",
                         "We were unable to parse your search query. The sandbox does "
                         "metadata[\"name\"]:\"value\".");
    if (error)
        return error;
    data = js_array();
    for (size_t at = 0; (entry = table_next(&stripe->intents, &at));) {
        const struct intent *intent = entry->value;
        if (has_member(intent->metadata, name, value) && n++ < limit)
            js_push(data, intent_json(intent, request));
    }
    return page_json("search_result", "/v1/payment_intents/search", data, n > limit);
}

struct json *refund_list(struct stripe *stripe, struct request *request)
{
    static const char *const known[] = {
        "charge",         "payment_intent", "limit",  "created",
        "starting_after", "ending_before",  "expand", NULL};
    static const char *const unsupported[] = {"created", "starting_after",
                                              "ending_before", NULL};
    const char *charge = form_get(&request->form, "charge"),
               *of = form_get(&request->form, "payment_intent");
    struct json *error = refuse_unknown(request, known), *data;
    const struct table_entry *entry;
    int64_t limit, n = 0;

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = read_limit(request, &limit);
    if (error)
        return error;
    data = js_array();
    for (size_t at = 0; (entry = table_next(&stripe->refunds, &at));) {
        const struct refund *refund = entry->value;
        if ((!charge || strcmp(refund->intent->charge, charge) == 0) &&
            (!of || strcmp(refund->intent->id, of) == 0) && n++ < limit)
            js_push(data, refund_json(refund));
    }
    return page_json("list", "/v1/refunds", data, n > limit);
}
