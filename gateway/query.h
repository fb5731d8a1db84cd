/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* query - what can be read: the log, one event, its trace, the audit, the state of things
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct http_request;
struct json;
struct ledger_filter;
struct ledger_row;
struct queries;

struct queries *queries_new(struct gateway *gateway);
void queries_free(struct queries *queries);
/* From the bus: the answer to an ADMIN of ours. */
void queries_answer(struct queries *queries, uint64_t ref, bool ok, const char *json);

/* What is wrong with a `class` and a `type` that are none. */
#define QUERY_CLASS_WHY                                                                  \
    "class is one of permanent, exhausted, deadline, poison, budget, unverified, "       \
    "missed, unknown and cancelled"
#define QUERY_TYPE_WHY                                                                   \
    "type is an event's type or a pattern: `*` stands for one segment, `>` at the end "  \
    "for the rest"

/* A time of RFC 3339 as it stands in an address, where a + that was not written %2B has
 * become a blank. */
bool query_time(const char *text, uint64_t *ret_us);
/* A time of a query: query_time, or how long ago; false when it is neither. */
bool query_when(const char *text, uint64_t now_us, uint64_t *ret_us);
/* Ask the broker for its status; reply is called once, at once or later: with its JSON,
 * or (ok = false) with why there is none, which it is not after wait_us. Not at all when
 * the client's request is taken back meanwhile. */
typedef void (*query_reply_fn)(struct gateway *gateway, struct http_request *request,
                               bool ok, const char *text);
void query_ask(struct gateway *gateway, struct http_request *request, uint64_t wait_us,
               query_reply_fn reply);
/* Read service, type, status, class, since, until, key, integration, limit and cursor
 * from the address. NULL, or what is wrong; texts are borrowed from the request. */
const char *query_filter(struct gateway *gateway, struct http_request *request,
                         struct ledger_filter *ret_filter);
/* The log; NULL after having answered that there is none yet. */
struct ledger *query_ledger(struct gateway *gateway, struct http_request *request);
/* A row as a CloudEvent, with its present status. */
struct json *query_cloudevent(const struct ledger_row *row);

void query_event(struct gateway *gateway, struct http_request *request,
                 const char *const *params);
void query_trace(struct gateway *gateway, struct http_request *request,
                 const char *const *params);
void query_audit(struct gateway *gateway, struct http_request *request,
                 const char *const *params);
void query_status(struct gateway *gateway, struct http_request *request,
                  const char *const *params);
void query_health(struct gateway *gateway, struct http_request *request,
                  const char *const *params);
void query_ready(struct gateway *gateway, struct http_request *request,
                 const char *const *params);
