/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* box - a whole gateway over a real socket, with a bus made by hand behind it (the
 * functions of lib/sdk/peer.h are here), and a log made by hand where a test wants one */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/gateway.h"
#include "lib/base/buf.h"
#include "lib/config/config.h"
#include "lib/sdk/peer.h"
#include "proto/attrs.h"
#include "proto/record.h"
#include "tests/unit/ledger/maker.h"

#define TOKEN    "sbx_test"
#define AUTH     "Authorization: Bearer " TOKEN "\r\n"
#define FIRST_ID "01020304-0506-7708-890a-0b0c0d0e0f10" /* of verdicts */
enum {
    STARTED_MAX = 512,
    HEAR_MS = 20000, /* for an answer that comes, on a machine that has much to do */
};

/* A session on the bus: the gateway's own, or a group's. */
struct peer {
    struct peer *next;
    struct peer_options options; /* of a group's */
    char *group;
    bool is_joined;
    uint64_t batch;
    unsigned batches, due; /* due: the last one waits for its answer */
    bool waits;
    struct buf records; /* of all batches */
    /* How batches are answered. */
    bool is_silent;
    unsigned refuse, verdict;
    bool is_place_lost; /* as by a broker that was started anew */
    const char *detail;
    uint64_t wait_ref;
    struct position wait_at;
    unsigned asked; /* peer_admin */
    char command[32];
    struct buf args;    /* of the last one */
    struct buf results; /* of the last peer_result */
    unsigned n_results;
    struct position started[STARTED_MAX];
    unsigned n_started;
};

struct box {
    struct peer peer;
    struct peer *sessions;  /* of groups, the newest first */
    bool refuses_sessions;  /* a further one cannot be made */
    bool sessions_are_away; /* further ones are not joined at first */
    struct gateway gateway;
    struct config config;
    struct config_integration integration;
    struct config_webhook webhook;
    struct secrets *secrets;
    struct maker *maker; /* NULL: there is no log */
};

/* Setup and teardown of cmocka. */
int box_open(void **state);
/* The same on a clock that stands still until loop_advance. */
int box_open_still(void **state);
int box_close(void **state);
/* The log is what the box's maker makes from now on. */
void box_give_log(struct box *box);

/* --- asking --- */

struct answer {
    int status;
    struct buf text;
    struct json *body; /* NULL when it is no JSON */
};
void answer_fini(struct answer *answer);
#define _answer_ __attribute__((cleanup(answer_fini)))

/* Answer what the gateway published, as the peer says. */
void answer_bus(struct box *box);
/* Send a request; the socket. */
int ask(struct box *box, const char *method, const char *target, const char *headers,
        const char *body, size_t body_len);
/* Its answer; closes the socket. Status 0: none came in this time. */
struct answer hear(struct box *box, int fd, int ms);
/* Turn the loop until it has nothing to do; what it publishes is answered. */
void settle(struct box *box);
struct answer get(struct box *box, const char *method, const char *target,
                  const char *headers, const char *body);

/* --- what was published --- */

const struct record *published(struct box *box, unsigned index);
/* Record number `index` of these; NULL: there are fewer. */
const struct record *record_at(const struct buf *records, unsigned index);
void assert_type(const struct record *r, const char *type);
void assert_attr(const struct record *r, enum attr attr, const char *text);
void assert_data(const struct record *r, const char *text);
