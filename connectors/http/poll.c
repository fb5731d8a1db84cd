/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* poll - a list that a service offers: a fact for each new item, or, where items are the
 * service's own events (poll_type), each as its webhook would have brought it
 *
 * Where the run before ended is in the cursor: what the service gives as one (poll_next),
 * else the id of the last item.  The cursor goes to the service as a parameter where it
 * takes one (poll_cursor); where it does not, items up to the cursor's are passed over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared.h"

enum { FACTS_PER_RUN = 500, ID_MAX = 900 };

/* From the event's data where it says so, else from the option poll_NAME. */
static const char *setting(const struct sb_event *event, const char *name)
{
    char option[40];
    const char *said = sb_text(sb_data(event), name);

    snprintf(option, sizeof(option), "poll_%s", name);
    return said ? said : sb_option(event, option);
}

enum sb_verdict poll_request(const struct sb_event *event, struct sb_request *request,
                             struct sb_outcome *outcome)
{
    const char *path = setting(event, "path"),
               *parameter = setting(event, "cursor_parameter");
    const char *cursor = sb_cursor(event);

    if (!path)
        return sb_fail(outcome,
                       "there is no path: the option poll_path of the integration %s, or "
                       "path in the data",
                       sb_integration(event));
    if (!http_begin(request, "GET", path, outcome) ||
        !http_credential(event, request, outcome) ||
        !http_query(sb_at(sb_data(event), "query"), request, outcome))
        return SB_FAILED;
    sb_header(request, "Accept", "application/json");
    if (parameter && cursor && *cursor)
        sb_query(request, parameter, cursor);
    return SB_DONE;
}

/* The id of an item as text. False when it has none. */
static bool item_id(const struct sb_json *item, const char *path, char ret[ID_MAX + 1])
{
    const char *text = sb_text(item, path);
    int64_t number;

    if (text && *text && strlen(text) <= ID_MAX)
        snprintf(ret, ID_MAX + 1, "%s", text);
    else if (sb_int(item, path, &number))
        snprintf(ret, ID_MAX + 1, "%" PRId64, number);
    else
        return false;
    return true;
}

struct list {
    const struct sb_json *items;
    size_t n;
    const char *id_path, *type_path; /* type_path NULL: items are no events */
    bool is_newest_first;
};

/* Number `i` in the order in which things happened. */
static const struct sb_json *item_at(const struct list *list, size_t i)
{
    return sb_element(list->items, list->is_newest_first ? list->n - 1 - i : i);
}

/* Where the new ones begin: after the cursor's item where that is in the list. */
static size_t first_new(const struct list *list, const char *cursor)
{
    char id[ID_MAX + 1];

    for (size_t i = list->n; cursor && *cursor && i-- > 0;)
        if (item_id(item_at(list, i), list->id_path, id) && strcmp(id, cursor) == 0)
            return i + 1;
    return 0;
}

/* The service's own event, or a fact of ours about the item. False: there is no room. */
static bool take_item(const struct list *list, const struct sb_json *item, const char *id,
                      struct sb_outcome *outcome)
{
    if (list->type_path)
        return sb_found(outcome, id, sb_text(item, list->type_path), item);
    struct sb_json *fact = sb_fact(outcome, HTTP_FACT, id);
    sb_put_text(fact, "id", id);
    sb_put(fact, "item", item);
    return true;
}

/* Facts from `from` on, as many as one outcome takes; the id of the last in ret_last.
 * False, with the outcome failed, when an item has no id or no type. */
static bool find_items(const struct list *list, size_t from, struct sb_outcome *outcome,
                       size_t *ret_found, char ret_last[ID_MAX + 1])
{
    size_t end = list->n - from > FACTS_PER_RUN ? from + FACTS_PER_RUN : list->n, i;
    char id[ID_MAX + 1];

    for (i = from; i < end; i++) {
        const struct sb_json *item = item_at(list, i);
        if (!item_id(item, list->id_path, id)) {
            sb_fail(outcome,
                    "an item has no `%s` that is a text of at most %d bytes or a whole "
                    "number; see the option poll_id",
                    list->id_path, ID_MAX);
            return false;
        }
        if (list->type_path && !sb_text(item, list->type_path)) {
            sb_fail(outcome,
                    "an item has no `%s` that is a text; see the option poll_type",
                    list->type_path);
            return false;
        }
        if (!take_item(list, item, id, outcome))
            break;
        memcpy(ret_last, id, sizeof(id));
    }
    *ret_found = i - from;
    return true;
}

/* What the next run starts with: what the service says, else the last item's id, else
 * what this one started with. All items must have been taken for the first. */
static void leave_cursor(const struct sb_event *event, const struct sb_json *page,
                         const char *last, bool has_all, struct sb_outcome *outcome)
{
    const char *next =
                   setting(event, "next") ? sb_text(page, setting(event, "next")) : NULL,
               *more_path = setting(event, "more"), *before = sb_cursor(event);
    bool more = false, is_moved = *last && (!before || strcmp(before, last) != 0);

    if (has_all && next && *next) {
        is_moved = !before || strcmp(before, next) != 0;
        sb_next_cursor(outcome, next);
    } else if (*last) {
        sb_next_cursor(outcome, last);
    } else if (before) {
        sb_next_cursor(outcome, before);
    }
    if (!has_all || (is_moved && next && *next && !more_path) ||
        (is_moved && more_path && sb_bool(page, more_path, &more) && more))
        sb_more(outcome);
}

/* Empty ones too. */
static bool is_list(const struct sb_json *json)
{
    double number;
    bool flag;

    return sb_has(json, "") && !sb_is_object(json, "") && !sb_text(json, "") &&
           !sb_number(json, "", &number) && !sb_bool(json, "", &flag);
}

enum sb_verdict poll_succeeded(const struct sb_event *event,
                               const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *page = sb_answer_json(answer);
    const char *path = setting(event, "items"), *order = setting(event, "order");
    struct list list = {.items = sb_at(page, path ? path : ""),
                        .id_path = setting(event, "id"),
                        .type_path = setting(event, "type"),
                        .is_newest_first = strcmp(order, "newest_first") == 0};
    char last[ID_MAX + 1] = "";
    size_t found = 0;

    list.n = sb_count(list.items, "");
    if (!is_list(list.items))
        return sb_fail(outcome,
                       "the answer has no list at \"%s\"; see the option poll_items",
                       path ? path : "");
    size_t from = first_new(&list, sb_cursor(event));
    if (!find_items(&list, from, outcome, &found, last))
        return SB_FAILED;
    sb_put_int(sb_result(outcome), "listed", (int64_t)list.n);
    sb_put_int(sb_result(outcome), "found", (int64_t)found);
    leave_cursor(event, page, last, from + found == list.n, outcome);
    return SB_DONE;
}
