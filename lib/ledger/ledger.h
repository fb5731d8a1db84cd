/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ledger - the log as people ask for it: rows, traces, audits
 *
 * Reads segments and views read-only, so it works with or without running processes.  A
 * row is what `signalbox log` prints: one per request with its present status (its
 * outcome's once there is one), one per fact; or, with `records`, every event as it was
 * written. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct ledger;
struct json;
struct store;
struct views;

struct ledger_filter {
    const char *service, *type /* pattern */, *key, *integration;
    const char *cause;           /* id of the event that led to it */
    int status;                  /* -1 any, else enum record_status */
    int error_class;             /* -1 any; else only what failed so */
    uint64_t since_us, until_us; /* on timestamp; 0 = open */
    bool records;
    bool oldest_first;  /* false: the newest `limit`, but handed to fn oldest first */
    size_t limit;       /* 0 = 100 */
    const char *cursor; /* from ledger_cursor, NULL = from the end (or start) */
};

/* One row; texts borrowed for the call. */
struct ledger_row {
    uint8_t id[16];
    const char *id_text; /* the foreign id or the UUID's text */
    struct position position;
    const char *type, *kind, *service, *integration, *key, *error_msg, *error_class,
        *source, *subject, *datacontenttype, *traceparent, *cause; /* NULL when absent */
    enum record_status status;
    bool unconsumed; /* a fact that no group takes */
    bool is_weak;    /* came through a webhook whose provider signs too little */
    bool is_found;   /* by a poll (`cause` is its run), under the provider's id */
    const char *endpoint, *event_id; /* the webhook it came through; the provider's id of
                                        what was found */
    const char *owner; /* who has it now: of a pending request its integration; in an
                          audit of a delivery the group; NULL otherwise */
    uint64_t timestamp_us, time_us,
        settled_us;       /* settled_us: timestamp of the outcome, 0 = pending */
    uint64_t deadline_us; /* of a request, 0 = none */
    uint32_t attempt;     /* attempts spent, also while it is pending */
    int64_t cost_micros;  /* INT64_MIN = none */
    const char *cost_currency, *cost_kind;
    const void *data; /* of the request or fact; of the outcome in `outcome` rows */
    size_t data_len;
    bool data_is_json;
    bool may_redrive;    /* of a Failed/unknown request: a redrive cannot do it twice */
    const char *redrive; /* of a Failed row: the id of its redrive, NULL */
    const char *verdict; /* of a Failed request: JSON {id, as, note, actor} of the person
                            who resolved it, NULL */
    uint64_t verdict_us;
    const struct record *record;  /* as it was written */
    const struct record *outcome; /* the settling record, NULL when pending or a fact */
};
typedef bool (*ledger_fn)(void *user, const struct ledger_row *row);

/* dir is <data>/log. NULL with a reason. */
struct ledger *ledger_open(const char *dir, char *error, size_t error_size);
/* Over a store and views (may be NULL) that somebody else closes: for tests, and for the
 * logger's own process. */
struct ledger *ledger_over(struct store *store, struct views *views);
void ledger_close(struct ledger *ledger);
/* Rows that match; ret_cursor (may be NULL) gets a text to be freed that continues behind
 * the last row. Returns the number of rows, or -1 with ledger_error(). */
long ledger_query(struct ledger *ledger, const struct ledger_filter *filter, ledger_fn fn,
                  void *user, char **ret_cursor);
/* Rows that changed behind block *block: new requests and facts, and older ones that were
 * settled there, each once with its present status (with `records`: every event there).
 * *block moves to the end of the log. limit is not used. Returns the number of rows, or
 * -1. For `log --follow` and streams. */
long ledger_follow(struct ledger *ledger, const struct ledger_filter *filter,
                   uint64_t *block, ledger_fn fn, void *user);
/* Events as they were written, in the log's order, behind position *after: those that
 * pass the filter (status and class are the record's own; times, cursor and limit are not
 * used). Looks at records_max records at most and moves *after to the last one looked at,
 * so that the next call goes on there; fn that says false stops behind its row. Returns
 * the number of rows. */
long ledger_forward(struct ledger *ledger, const struct ledger_filter *filter,
                    struct position *after, size_t records_max, ledger_fn fn, void *user);
/* The number of the first block there still is, 0 when the log is empty. */
uint64_t ledger_start(struct ledger *ledger);
/* The number of the last block there is, 0 when the log is empty. */
uint64_t ledger_end(struct ledger *ledger);
/* The last block that the last query knew: where ledger_follow goes on without a gap. */
uint64_t ledger_seen(const struct ledger *ledger);
/* The row of one event by id (UUID text or foreign id). False when there is none. */
bool ledger_find(struct ledger *ledger, const char *id, ledger_fn fn, void *user);
/* The public JSON of a row: id type kind status service timestamp time key cause
 * error_class error_msg attempt cost data|data_base64 ... To be freed with js_free. */
struct json *ledger_row_json(const struct ledger_row *row);
/* The outcome of a row as JSON {id,type,status,...,data}; NULL when pending. */
struct json *ledger_outcome_json(const struct ledger_row *row);
/* The newest manifest that the integration's connector has joined with, as JSON text;
 * NULL when the log has none. Borrowed until the next question. */
const char *ledger_manifest(struct ledger *ledger, const char *integration);
/* A request with its attempts, its outcome and what it caused: {row..., attempts:[...],
 * starts:[...], outcome, late:[...], followed:[...]}; of a fact, `attempts` and
 * `settled_by`: [{group, status, timestamp, error_class, error_msg}]. `starts` are of
 * operations that may not be repeated. What followed has the same form again, to a depth
 * of 8 and 500 events in all; beyond these they are rows only. NULL: no such id. */
struct json *ledger_trace(struct ledger *ledger, const char *id);

/* What was accepted is what the running totals in the block headers say; what became of
 * it is counted from the records, on its own.  `unaccounted` is 0 only if both agree for
 * requests, facts and outcomes, every block from the first to the last is there,
 * undamaged, names the one before, and every outcome names a request.  A block that is
 * missing, damaged or at odds with its own header counts at least 1, and as many as the
 * totals say it held.  An outcome of a request in a segment that was removed by age is
 * counted in `outcomes` only. */
struct ledger_audit {
    uint64_t requests, facts, accepted;             /* accepted = requests + facts */
    uint64_t success, failed, pending, unaccounted; /* of requests and facts */
    uint64_t outcomes, duplicates; /* outcome records; further outcomes for one request
                                      (kept in the trace only) */
    uint64_t strays; /* outcomes that name a position where no request is; part of
                        unaccounted */
    uint64_t damaged_blocks, missing_blocks;
    uint64_t broken_seals; /* segments that are not those that were sealed */
    /* What consumer groups have to take: a delivery for each event and group. Each is
     * delivered, given up or waiting. */
    uint64_t deliveries, delivered, given_up, waiting;
    uint64_t first_block, last_block;
};
/* Count from end to end. 0, or -1 with ledger_error(). pending_fn (may be NULL) is called
 * for each Pending request, and for each event and group that still has to take it, with
 * `owner` set. */
int ledger_audit(struct ledger *ledger, struct ledger_audit *ret, ledger_fn pending_fn,
                 void *user);
/* Have audits name what does not fit, as they find it; NULL: no more. */
void ledger_report(struct ledger *ledger, void (*fn)(void *user, const char *finding),
                   void *user);
/* The end of the log as a hash of everything before it (lib/ledger/seal.h). */
struct ledger_head {
    uint64_t block;  /* the last one */
    char text[65];   /* its link in hexadecimal; "" when a hole leaves it unknown */
    uint64_t sealed; /* up to this block the links are kept beside the log */
    uint64_t
        found_at; /* the block whose link is `head`; 0: none asked for, or none has it */
};
/* Verify checksums, numbers, chain, totals and seals; each finding through fn. `head`
 * (may be NULL): a link that was kept elsewhere, which some block must have. Returns the
 * number of findings, -1 on error. */
long ledger_verify(struct ledger *ledger, const char *head, struct ledger_head *ret_head,
                   void (*fn)(void *user, const char *finding), void *user);
const char *ledger_error(const struct ledger *ledger);
