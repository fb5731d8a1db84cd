/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* views - what is derived from the log so that questions are quick; can be deleted and is
 * rebuilt
 *
 * views.mdb beside the segments: rows that say what blocks hold (a row is one block, or a
 * run of small ones), a filter over ids, keys and causes for each, what is still open,
 * the types there are, and the idempotency keys with their expiry.  The logger's
 * housekeeper applies committed blocks; it remembers the last one applied.  Readers
 * (broker, gateway, CLI) open it read-only.  Never in the way of a commit.  The same
 * blocks give the same answers, whenever and in whatever steps they were applied. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/block.h"

struct store;
struct views;

enum views_result {
    VIEWS_OK = 0,
    VIEWS_GAP = 1,  /* the block does not follow the last applied one: views_clear, then
                       apply from the log's start */
    VIEWS_MORE = 2, /* not all was done: come again */
    VIEWS_FAILED = -1, /* an error of disk or LMDB: close and open again, or go on
                          without; views_error() */
};

struct views_idempotency {
    uint64_t body_hash, expires_us;
    uint8_t id[16]; /* of the event that came first */
    uint64_t block;
    uint32_t index;
};

/* Open or make; a file of another version or a damaged one is removed and made anew. NULL
 * with a reason. */
struct views *views_open(const char *dir, bool read_only, char *error, size_t error_size);
void views_close(struct views *views);
/* Apply one committed block. A block at or below the last applied one is done already
 * (VIEWS_OK); one that does not follow in number and CRC is VIEWS_GAP and changes
 * nothing; into empty views any block may come first. Commits may be batched: what is
 * not flushed yet is seen by views_find_key only. */
int views_apply(struct views *views, const struct block *block);
int views_flush(struct views *views);
/* Forget everything, to be built again. */
int views_clear(struct views *views);
/* Forget the rows of blocks below `keep_from` (the log was trimmed), at most `max`. */
int views_trim(struct views *views, uint64_t keep_from, unsigned max);
/* Forget everything and apply what the store holds, to its end or to the first damaged
 * block (then *ret_last is the block before it). */
int views_rebuild(struct views *views, struct store *store, uint64_t *ret_last);
/* The last block that is applied and flushed; 0 = none. */
uint64_t views_applied(struct views *views);
/* The live entry of an idempotency key (hash_pair), false when there is none at now_us.
 */
bool views_find_key(struct views *views, const uint8_t key[16], uint64_t now_us,
                    struct views_idempotency *ret);
/* Remove keys that expired before now_us, at most `max`: VIEWS_MORE when so many were
 * there. */
int views_expire(struct views *views, uint64_t now_us, unsigned max);

/* --- rows --- */

/* What a tally counts. */
enum views_what {
    VIEWS_ASKED,    /* requests */
    VIEWS_TOLD,     /* facts, with the status and class they came with */
    VIEWS_ANSWERED, /* outcomes as they are written, late ones too */
    VIEWS_ENDED, /* requests that found their outcome here, under the request's names */
    VIEWS_GIVEN_UP, /* facts that a group gave up on here, under the fact's names */
};
/* So many records of the run are equal in all this. */
struct views_tally {
    uint64_t type;        /* hash of the type */
    uint32_t integration; /* integration_hash, 0 = none */
    uint32_t service; /* views_service() of the event's own service, 0 = it has none */
    uint32_t count;
    uint8_t what, status, error_class, reserved;
};
/* What outcomes cost that ended requests here. Outcomes without a cost: kind none. */
struct views_cost {
    uint64_t type; /* the request's */
    int64_t micros;
    uint32_t integration;
    uint32_t count;
    char currency[8]; /* NUL-padded */
    uint8_t kind;     /* enum views_cost_kind */
    uint8_t status;   /* the outcomes' */
    uint8_t reserved[6];
};
enum views_cost_kind { VIEWS_COST_NONE, VIEWS_COST_ESTIMATED, VIEWS_COST_ACTUAL };

/* What the row of a run of blocks says. A run lies within one minute of the clock. */
struct views_row {
    uint64_t first, last;            /* blocks */
    uint64_t timestamp_us, until_us; /* of the first and the last */
    uint32_t crc;                    /* of the last */
    uint32_t events, requests, facts;
    uint32_t succeeded, failed; /* outcomes, facts and acknowledgements that say so */
    uint32_t is_config;         /* holds integrations, manifests or groups */
    size_t n_tallies, n_costs;
    const struct views_tally *tallies; /* borrowed for the call */
    const struct views_cost *costs;
};
/* Rows from that of block `from` upwards or downwards until fn says stop. fn must not
 * call views. */
typedef bool (*views_fn)(void *user, const struct views_row *row);
int views_scan(struct views *views, uint64_t from, bool backwards, views_fn fn,
               void *user);
/* The number of a service's name, whatever its case; never 0. */
uint32_t views_service(const char *name, size_t n);
/* The types there are, in no order. Returns false when there are more than are kept: a
 * pattern cannot be turned into types then. */
typedef void (*views_type_fn)(void *user, uint64_t hash, const char *type, size_t n);
bool views_types(struct views *views, views_type_fn fn, void *user);

/* The filters of the rows: no false "no", and about one false "yes" in 2,000. */
enum views_item {
    VIEWS_ID,  /* `name` = 16 bytes: an event with this id, or one caused by it */
    VIEWS_KEY, /* `name` = 8 bytes: an event with this key_hash */
    VIEWS_OF,  /* `name` = 8 bytes: outcomes and control records about deliveries of this
                  block */
};
/* May this block hold it?  True for a block without a row. */
bool views_may_hold(struct views *views, uint64_t block, enum views_item item,
                    const void *name);
/* The nearest block that may hold it: from `from` down, or up to the last row. 0 when
 * none does. */
uint64_t views_find(struct views *views, uint64_t from, bool backwards,
                    enum views_item item, const void *name);

/* --- what is open --- */

/* One event that waits: a request for its outcome, or a fact or outcome for a group's
 * acknowledgement. */
struct views_open {
    uint64_t type;
    uint32_t index;
    uint32_t integration;
    uint32_t service; /* as in a tally */
    uint8_t kind;     /* enum record_kind */
    uint8_t attempts; /* spent so far, 255 and more as 255 */
    uint16_t reserved;
};
/* All that are open in a block for one group (0: the requests), until fn says stop; from
 * block `from` downwards. Groups that were removed are not left out. */
typedef bool (*views_open_fn)(void *user, uint64_t block, uint32_t group,
                              const struct views_open *open, size_t n);
int views_pending(struct views *views, uint64_t from, views_open_fn fn, void *user);

/* The last error in words. */
const char *views_error(const struct views *views);
