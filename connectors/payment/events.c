/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* events - Stripe's own list of what happened, for what came by no webhook
 *
 * Stripe lists the newest first.  A run goes on behind an event (cursor evt_...): the
 * page just newer than it.  Where there is no such event yet it begins at a time
 * (since:SECONDS) and goes back page by page until it is there
 * (since:SECONDS/OLDER/NEWEST, to go on before OLDER); the next run goes on behind
 * NEWEST.  What is filed is as its webhook would have brought it, under Stripe's id, so
 * that it is there once. */
#include <stdio.h>
#include <string.h>

#include "stripe.h"

enum {
    EVENTS_PER_PAGE = 100, /* Stripe gives no more */
    ID_MAX = 100,          /* bytes of an id; Stripe's have about 30 */
    HOUR_S = 3600,
};

/* Where a run takes up. */
struct place {
    long long since; /* 0: behind `newest` */
    char older[ID_MAX + 1], newest[ID_MAX + 1];
};

static bool read_place(const struct sb_event *event, struct place *ret)
{
    const char *cursor = sb_cursor(event);
    int n = 0;

    *ret = (struct place){0};
    if (!cursor || !*cursor) {
        ret->since = (long long)(sb_now_us(event) / 1000000) -
                     sb_option_int(event, "events_lookback_h") * HOUR_S;
        ret->since = ret->since > 0 ? ret->since : 1;
        return true;
    }
    if (strncmp(cursor, "since:", 6) != 0)
        return sscanf(cursor, "%100s%n", ret->newest, &n) == 1 && !cursor[n];
    int fields = sscanf(cursor, "since:%lld%n/%100[^/]/%100s%n", &ret->since, &n,
                        ret->older, ret->newest, &n);
    return (fields == 1 || fields == 3) && !cursor[n] && ret->since > 0;
}

enum sb_verdict events_request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome)
{
    const char *filed = sb_option(event, "events_filed");
    struct place place;

    if (strcmp(filed, "declared") != 0 && strcmp(filed, "all") != 0)
        return sb_fail(outcome,
                       "the option events_filed of the integration %s is %.40s; expected "
                       "declared or all",
                       sb_integration(event), filed);
    if (!read_place(event, &place))
        return sb_fail(outcome, "the cursor must be an event's id (evt_...) or "
                                "since:SECONDS, a time in seconds since 1970");
    stripe_call(event, request, "GET", "/v1/events");
    sb_field_int(request, "limit", EVENTS_PER_PAGE);
    if (place.since) {
        sb_field_int(request, "created[gte]", place.since);
        sb_field(request, "starting_after", *place.older ? place.older : NULL);
    } else {
        /* the page just before the cursor, which is to say the oldest events that are
         * newer */
        sb_field(request, "ending_before", place.newest);
    }
    return SB_DONE;
}

static void list_event(const struct sb_json *event, struct sb_json *entry)
{
    sb_put(entry, "id", sb_at(event, "id"));
    sb_put(entry, "type", sb_at(event, "type"));
    sb_put(entry, "created", sb_at(event, "created"));
    sb_put(entry, "object", sb_at(event, "data.object.id"));
}

static bool is_filed(const struct sb_event *run, const struct sb_json *event)
{
    const char *type = sb_text(event, "type");

    if (strcmp(sb_option(run, "events_filed"), "all") == 0)
        return true;
    for (const struct sb_webhook *w = stripe_webhooks; type && w->event; w++)
        if (strcmp(w->event, type) == 0)
            return true;
    return false;
}

struct page {
    const struct sb_json *list;
    size_t n;
    bool is_backwards; /* file the newest first, for the next page is older */
    const char *last;  /* the id of the last one that was taken; NULL: none */
    size_t taken, found;
};

/* As many as the outcome has room for. */
static void file_events(const struct sb_event *run, struct page *page,
                        struct sb_outcome *outcome)
{
    for (size_t i = 0; i < page->n; i++) {
        const struct sb_json *event =
            sb_element(page->list, page->is_backwards ? i : page->n - 1 - i);
        const char *id = sb_text(event, "id");
        if (is_filed(run, event)) {
            if (!sb_found(outcome, id, sb_text(event, "type"), event))
                return;
            page->found++;
        }
        page->last = id;
        page->taken++;
    }
}

/* Where the next run takes up, and whether that is at once. */
static void leave_place(const struct place *place, const struct page *page, bool has_more,
                        struct sb_outcome *outcome)
{
    bool is_first = !*place->newest, is_whole = page->taken == page->n;
    const char *newest = is_first && page->last ? page->last : place->newest;
    const char *oldest = is_first     ? sb_text(sb_element(page->list, page->n - 1), "id")
                         : page->last ? page->last
                                      : place->older;
    char cursor[3 * ID_MAX];

    if (!place->since) {
        snprintf(cursor, sizeof(cursor), "%s", page->last ? page->last : place->newest);
    } else if (has_more || (!is_first && !is_whole)) {
        snprintf(cursor, sizeof(cursor), "since:%lld/%s/%s", place->since, oldest,
                 newest);
    } else if (*newest) {
        snprintf(cursor, sizeof(cursor), "%s", newest);
    } else {
        snprintf(cursor, sizeof(cursor), "since:%lld", place->since);
    }
    sb_next_cursor(outcome, cursor);
    if (has_more || !is_whole)
        sb_more(outcome);
}

enum sb_verdict events_succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    const struct sb_json *json = sb_answer_json(answer), *list = sb_at(json, "data");
    struct sb_json *result = sb_result(outcome);
    struct page page = {.list = list, .n = sb_count(list, "")};
    struct place place;
    bool has_more = false;

    if (!sb_has(json, "data") || sb_is_object(list, ""))
        return sb_unclear(outcome, "Stripe's answer is not a list of events");
    if (!read_place(event, &place))
        return SB_FAILED; /* it was read before the call */
    page.is_backwards = place.since && *place.newest;
    file_events(event, &page, outcome);
    sb_put_int(result, "count", (int64_t)page.n);
    sb_put_int(result, "found", (int64_t)page.found);
    for (size_t i = page.n; i-- > 0;) /* oldest first, as they happened */
        list_event(sb_element(list, i), sb_append(result, "events"));
    sb_bool(json, "has_more", &has_more);
    leave_place(&place, &page, has_more && page.n, outcome);
    return SB_DONE;
}
