/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ledger - the log as people ask for it: rows, traces, audits
 *
 * Reads segments and views read-only, so it works with or without running processes.  A row is what
 * `signalbox log` prints: one per request with its present status (its outcome's once there is one), one per
 * fact; or, with `records`, every event as it was written. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct ledger;
struct json;

struct ledger_filter {
    const char *service, *type /* pattern */, *key, *integration;
    int status;             /* -1 any, else enum record_status */
    int error_class;        /* -1 any */
    uint64_t since_us, until_us; /* on timestamp; 0 = open */
    bool records;
    bool oldest_first;      /* false: the newest `limit`, but handed to fn oldest first */
    size_t limit;           /* 0 = 100 */
    const char *cursor;     /* from ledger_cursor, NULL = from the end (or start) */
};

/* One row; texts borrowed for the call. */
struct ledger_row {
    uint8_t id[16];
    const char *id_text;    /* the foreign id or the UUID's text */
    struct position position;
    const char *type, *kind, *service, *integration, *key, *error_msg, *error_class, *source, *subject,
        *datacontenttype, *traceparent, *cause; /* NULL when absent */
    enum record_status status;
    bool unconsumed;        /* a fact that no group takes */
    uint64_t timestamp_us, time_us, settled_us; /* settled_us: timestamp of the outcome, 0 = pending */
    uint32_t attempt;
    int64_t cost_micros;    /* INT64_MIN = none */
    const char *cost_currency, *cost_kind;
    const void *data;       /* of the request or fact; of the outcome in `outcome` rows */
    size_t data_len;
    bool data_is_json;
    const struct record *outcome; /* the settling record, NULL when pending or a fact */
};
typedef bool (*ledger_fn)(void *user, const struct ledger_row *row);

/* dir is <data>/log. NULL with a reason. */
struct ledger *ledger_open(const char *dir, char *error, size_t error_size);
void ledger_close(struct ledger *ledger);
/* Rows that match; ret_cursor (may be NULL) gets a text to be freed that continues behind the last row. Returns the
 * number of rows, or -1 with ledger_error(). */
long ledger_query(struct ledger *ledger, const struct ledger_filter *filter, ledger_fn fn, void *user, char **ret_cursor);
/* The row of one event by id (UUID text or foreign id). False when there is none. */
bool ledger_find(struct ledger *ledger, const char *id, ledger_fn fn, void *user);
/* The public JSON of a row: id type kind status service timestamp time key cause error_class error_msg attempt cost
 * data|data_base64 ... To be freed with js_free. */
struct json *ledger_row_json(const struct ledger_row *row);
/* The outcome of a row as JSON {id,type,status,...,data}; NULL when pending. */
struct json *ledger_outcome_json(const struct ledger_row *row);
/* A request with its attempts, its outcome and what it caused: {row, attempts:[...], outcome, followed:[...]}. NULL: no such id. */
struct json *ledger_trace(struct ledger *ledger, const char *id);

struct ledger_audit {
    uint64_t requests, facts, accepted;            /* accepted = requests + facts */
    uint64_t success, failed, pending, unaccounted; /* of requests and facts */
    uint64_t outcomes, duplicates;                 /* outcome records; second outcomes for one request (kept in the trace) */
    uint64_t damaged_blocks, missing_blocks;
};
/* Count from end to end. 0, or -1 with ledger_error(). pending_fn (may be NULL) is called for each Pending. */
int ledger_audit(struct ledger *ledger, struct ledger_audit *ret, ledger_fn pending_fn, void *user);
/* Verify checksums and the chain; each finding through fn. Returns the number of findings, -1 on error. */
long ledger_verify(struct ledger *ledger, void (*fn)(void *user, const char *finding), void *user);
const char *ledger_error(const struct ledger *ledger);
