/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* gateway - what the files of this process share */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/token.h"

struct config;
struct hold;
struct audits;
struct certificates;
struct endpoint;
struct http_request;
struct metrics;
struct http_server;
struct groups;
struct ledger;
struct loop;
struct peer;
struct loop_timer;
struct secrets;
struct service;
struct wire;
struct calls;
struct queries;
struct redrives;
struct streams;
struct subscriptions;

/* What an unanswered request waits with: the first member of whatever http_user() is. */
struct pending {
    struct http_request *request; /* NULL once the server has taken it back */
};

struct gateway {
    struct loop *loop;
    const struct config *config;
    struct http_server *server;
    struct wire *wire;
    struct peer *peer;
    char *bus_endpoint;
    const char *bus_key; /* the secrets' */
    struct hold *hold;
    struct calls *calls;
    struct queries *queries;
    struct redrives *redrives;
    struct groups *groups;
    struct streams *streams;
    struct audits *audits;
    struct metrics *metrics;
    struct token_book tokens;
    /* Whose request is being handled: of a route with a scope, until its handler
     * returns. */
    const struct token *caller;
    struct endpoint *endpoints;
    size_t n_endpoints;
    struct certificates *certificates;
    struct subscriptions *subscriptions;
    struct loop_timer *refusal_timer;
    bool refusal_timer_runs;
    uint32_t unknown_told, unknown_untold; /* requests of this minute to no endpoint */
    char *log_dir;
    struct ledger *ledger; /* opened when first asked, the log may not be there yet */
    uint64_t full_us; /* steady time of the last refusal because the log or the broker is
                         full */
    bool was_full;
    struct loop_timer *stop_timer;
    uint64_t stop_from_us; /* steady */
};

extern const struct service gateway_service;

/* The log for reading; NULL with a reason when it is not there. */
struct ledger *gateway_ledger(struct gateway *gateway, char *error, size_t error_size);
/* Remember that the log takes nothing, for /readyz. */
void gateway_note_refusal(struct gateway *gateway, unsigned error);
bool gateway_is_ready(const struct gateway *gateway);
