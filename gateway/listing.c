/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/listing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloudevent.h"
#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"

struct listing {
    struct json *events;
    bool is_batch; /* of CloudEvents */
};

static bool add_row(void *user, const struct ledger_row *row)
{
    const struct listing *list = user;
    js_push(list->events, list->is_batch ? query_cloudevent(row) : ledger_row_json(row));
    return true;
}

/* Where the list goes on: the same query with another cursor. To be freed. */
static char *next_link(const struct http_request *request, const char *cursor)
{
    const char *query = strchr(http_target(request), '?');
    struct buf link = {0};
    buf_text(&link, "</v1/log?");
    for (const char *at = query ? query + 1 : ""; *at;) {
        size_t n = strcspn(at, "&");
        if (n > 0 && strncmp(at, "cursor=", 7) != 0) {
            buf_add(&link, at, n);
            buf_text(&link, "&");
        }
        at += n + (at[n] == '&');
    }
    buf_format(&link, "cursor=%s>; rel=\"next\"", cursor);
    char *text = mem_text(buf_str(&link));
    buf_fini(&link);
    return text;
}

static void reply_list(struct http_request *request, struct listing *list,
                       const char *cursor)
{
    _free_ char *link = cursor ? next_link(request, cursor) : NULL;
    const struct http_header headers[] = {{link ? "Link" : NULL, link}, {NULL, NULL}};
    struct json *value =
        list->is_batch ? list->events : js_set(js_object(), "events", list->events);
    struct buf body = {0};
    if (!list->is_batch)
        js_set_text(value, "cursor", cursor);
    js_write(value, 0, &body);
    http_reply(request, &(struct http_reply){
                            200, list->is_batch ? CLOUDEVENT_BATCH : "application/json",
                            body.bytes, body.len, headers});
    buf_fini(&body);
    js_free(value);
}

void listing_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    (void)params;
    struct ledger_filter filter;
    const char *why = query_filter(gateway, request, &filter);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        return;
    }
    struct ledger *ledger = query_ledger(gateway, request);
    if (!ledger)
        return;
    _free_ char *cursor = NULL;
    struct listing list = {js_array(), cloudevent_is_accepted(request, CLOUDEVENT_BATCH)};
    if (ledger_query(ledger, &filter, add_row, &list, &cursor) >= 0) {
        reply_list(request, &list, cursor);
        return;
    }
    js_free(list.events);
    problem_reply(request, ERR_bad_request, ledger_error(ledger), 0);
}
