/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* state - what the files of lib/ledger share: recent blocks, names in force, and what
 * settled what */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/ledger/ledger.h"
#include "lib/store/store.h"
#include "lib/store/views.h"
#include "proto/block.h"
#include "proto/control.h"
#include "proto/dealing.h"

enum {
    CACHE_BLOCKS = 16, /* kept in memory: records borrowed from the last 15 blocks looked
                          at stay valid */
    GROUPS_MAX =
        4096, /* consumer groups the log may name; further ones are not looked at */
};

struct cached {
    uint64_t number, used; /* number 0 = free */
    struct buf bytes;
    uint32_t *offsets; /* of each record */
    size_t cap;
};

/* An integration as it was configured from `since` on. */
struct integration_def {
    uint32_t hash;
    struct position since;
    char *name, *service, *json;
};

/* The newest manifest of an integration's connector. */
struct manifest_def {
    uint32_t hash;
    char *text;
};

/* A consumer group as it was configured from `since` on. */
struct group_def {
    struct position since;
    char **types;
    size_t n_types;
    bool removed;
    char *json;
};
struct group {
    uint32_t hash;
    char *name;
    struct group_def *defs;
    size_t n_defs;
};

struct ledger {
    struct store *store;
    struct views *views; /* NULL: there are none, everything is found by reading blocks */
    bool owns;           /* store and views are ours to close */
    char *dir;
    dev_t views_dev;
    ino_t views_ino;
    uint64_t first, last; /* blocks there are */
    uint64_t applied;     /* blocks up to it have rows in views */
    uint64_t named;       /* definitions were read up to this block */
    struct cached cache[CACHE_BLOCKS], *recent;
    uint64_t uses;
    struct integration_def *integrations;
    size_t n_integrations;
    struct manifest_def *manifests;
    size_t n_manifests;
    struct group *groups;
    size_t n_groups;
    void (*on_finding)(void *user, const char *finding); /* of audits; may be NULL */
    void *finding_user;
    char error[512];
};

/* What became of a request or a fact. */
struct fate {
    enum record_status status;
    uint8_t error_class;
    bool is_unconsumed;
    uint32_t attempt;
    struct position
        by; /* the outcome, or the acknowledgement that decided; block 0 = none */
    uint64_t by_us;
};

/* A row found, not yet built. */
struct hit {
    struct position at;
    struct fate fate;
    const char
        *owner; /* of an audit: the group that waits for it; NULL: whoever has it */
};

static inline int position_compare(struct position a, struct position b)
{
    if (a.block != b.block)
        return a.block < b.block ? -1 : 1;
    return a.index < b.index ? -1 : a.index > b.index;
}

/* --- ledger.c --- */

/* See what the log and the views hold now. */
void ledger_refresh(struct ledger *ledger);
/* Drop the blocks kept in memory: what is audited is read again. */
void ledger_forget(struct ledger *ledger);
/* The block (checked), or NULL when it is missing or damaged (*ret_why, may be NULL, is
 * then STORE_NOT_FOUND or STORE_DAMAGED or STORE_FAILED, and ledger_error() says more).
 */
const struct block *ledger_block(struct ledger *ledger, uint64_t number, int *ret_why);
/* The record at a position, NULL when there is none. */
const struct record *ledger_record(struct ledger *ledger, struct position at);
/* The next block from `from` on, up or down, that may hold the item; every block counts
 * where there are no rows. 0 = none. */
uint64_t ledger_next(struct ledger *ledger, uint64_t from, bool backwards,
                     enum views_item item, const void *name);

/* --- names.c --- */

/* Read the definitions of blocks that came since. */
void names_refresh(struct ledger *ledger);
void names_fini(struct ledger *ledger);
/* The integration in force at a position; NULL when the log does not name it. */
const struct integration_def *names_integration(const struct ledger *ledger,
                                                uint32_t hash, struct position at);
const struct group *names_group(const struct ledger *ledger, uint32_t hash);
/* Is a fact (or outcome) of this type at `at` this group's to settle? */
bool names_takes(const struct group *group, const struct record *r, struct position at);

/* --- settle.c --- */

/* What settled deliveries of a block: outcomes, acknowledgements, retries, gathered
 * before the block is looked at. */
struct settled {
    uint32_t first, count;
    uint32_t group; /* 0: an outcome */
    uint8_t kind, status, error_class;
    uint32_t attempt;
    struct position by;
    uint64_t by_us;
};
struct settled_list {
    uint64_t block;
    struct settled *items;
    size_t n, cap;
    uint32_t longest; /* the largest `count` among them */
    struct settled_list *next;
};
struct settled_table {
    struct settled_list **buckets;
    size_t n_buckets, n_lists;
};
void settled_fini(struct settled_table *table);
/* Gather what the records of a block settle. */
void settled_gather(struct settled_table *table, const struct block *b);
/* Take the list of a block out of the table, in order; NULL when nothing settles it. Free
 * with settled_free. */
struct settled_list *settled_take(struct settled_table *table, uint64_t block);
void settled_free(struct settled_list *list);
/* The fate over the record at `at` by a list in order (may be NULL). */
struct fate settle_by_list(const struct ledger *ledger, const struct record *r,
                           struct position at, const struct settled_list *list);
/* The same for one record by looking forward in the log. */
struct fate settle_by_search(struct ledger *ledger, const struct record *r,
                             struct position at);

/* The fates of `n` hits of one block, by what the log holds about it. */
void settle_block(struct ledger *ledger, uint64_t block, struct hit *hits, size_t n);

/* --- dealt.c --- */

/* The newest thing that a person did about a request of this id (or what the consumer
 * group of this hash gave up of an event, 0: of a request), and where it stands; `from`:
 * no dealing is before this block. */
struct dealt {
    enum dealing_kind kind;
    struct position at;
};
struct dealt dealt_with(struct ledger *ledger, const uint8_t id[16], uint32_t group,
                        uint64_t from);

/* --- query.c --- */

/* The 16 bytes under which an id is known (a UUID's text, or a foreign one). */
void ledger_id(const char *text, uint8_t ret_id[16]);
/* The position of the newest event with this id (UUID text or foreign id). */
bool ledger_locate(struct ledger *ledger, const char *text, struct position *ret);

/* --- rows.c --- */

/* Does the record have the names that are asked for: type, integration, key, cause,
 * service? Looks at other records, so `r` is to be asked for again. */
bool row_is_named_so(struct ledger *ledger, const struct ledger_filter *filter,
                     const struct record *r, struct position at);
/* Did it end as it is asked for? */
bool row_ended_so(const struct ledger_filter *filter, const struct fate *fate);
/* Both: does it pass the filter (not looking at times, cursor and limit)? */
bool row_matches(struct ledger *ledger, const struct ledger_filter *filter,
                 const struct record *r, const struct hit *hit);
/* Can a redrive of this request, committed then and failed with its effect unknown, not
 * do it twice?  The operation is harmless, the service knows its key still, or it can be
 * asked. */
bool again_is_safe(const struct ledger *ledger, const struct record *r,
                   uint64_t committed_us, uint64_t now_us);
/* Build the row and hand it over. False when fn said stop. */
bool row_tell(struct ledger *ledger, const struct hit *hit, ledger_fn fn, void *user);
