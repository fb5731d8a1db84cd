/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One scan from the first block to the last, with a table of what is open: 16 bytes for
 * each request without its outcome, and for each fact and group that has not acknowledged
 * it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/ledger/chain.h"
#include "lib/ledger/held.h"
#include "lib/ledger/state.h"

enum {
    OPEN_FIRST = 1024,
    TRIES_MAX =
        3, /* segments may be removed by age while we read: start again so often */
    GROUP_REQUEST = 0xffff,
};

/* --- the table: open addressing, block 0 = free --- */

struct open {
    uint64_t block;
    uint32_t index;
    uint16_t group;   /* number of the group in the ledger, or GROUP_REQUEST */
    uint16_t is_fact; /* a fact whose status depends on it; no part of the key */
};

struct open_table {
    struct open *slots;
    size_t n_slots, n;
};

static size_t slot_of(const struct open_table *table, const struct open *key)
{
    uint64_t hash = (key->block * 0x9e3779b97f4a7c15u) ^ ((uint64_t)key->index << 20) ^
                    ((uint64_t)key->group << 44);

    hash *= 0xd6e8feb86659fd93u;
    return (size_t)(hash >> 20) & (table->n_slots - 1);
}

static size_t probe(const struct open_table *table, const struct open *key)
{
    size_t at = slot_of(table, key);

    while (table->slots[at].block &&
           (table->slots[at].block != key->block ||
            table->slots[at].index != key->index || table->slots[at].group != key->group))
        at = (at + 1) & (table->n_slots - 1);
    return at;
}

static void open_grow(struct open_table *table)
{
    struct open_table bigger = {
        .n_slots = table->n_slots ? table->n_slots * 2 : OPEN_FIRST, .n = table->n};

    bigger.slots = mem_array(bigger.n_slots, sizeof(*bigger.slots));
    for (size_t i = 0; i < table->n_slots; i++)
        if (table->slots[i].block)
            bigger.slots[probe(&bigger, &table->slots[i])] = table->slots[i];
    free(table->slots);
    *table = bigger;
}

/* False when it is in the table already. */
static bool open_put(struct open_table *table, struct open key)
{
    if (table->n * 4 >= table->n_slots * 3)
        open_grow(table);
    size_t at = probe(table, &key);
    if (table->slots[at].block)
        return false;
    table->slots[at] = key;
    table->n++;
    return true;
}

static bool open_has(const struct open_table *table, struct open key)
{
    return table->n_slots && table->slots[probe(table, &key)].block;
}

/* Close the gap so that every entry is found from its own slot on. */
static void open_shift(struct open_table *table, size_t hole)
{
    size_t mask = table->n_slots - 1;

    for (size_t at = (hole + 1) & mask; table->slots[at].block; at = (at + 1) & mask) {
        size_t own = slot_of(table, &table->slots[at]);
        if (((at - own) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].block = 0;
}

/* Take it out; the rest of the key is filled in. */
static bool open_take(struct open_table *table, struct open *key)
{
    if (!open_has(table, *key))
        return false;
    size_t at = probe(table, key);
    *key = table->slots[at];
    open_shift(table, at);
    table->n--;
    return true;
}

/* --- the scan --- */

struct audit {
    struct ledger *ledger;
    struct ledger_audit *ret;
    struct chain chain;
    struct held held;
    struct open_table open;
    struct open_table failed; /* facts that a group gave up on (group 0) */
    uint64_t requests, facts; /* as counted */
};

static void take_request(struct audit *a, struct position at)
{
    a->requests++;
    open_put(&a->open,
             (struct open){.block = at.block, .index = at.index, .group = GROUP_REQUEST});
}

/* Who takes the event waits for it from now on. */
static void open_deliveries(struct audit *a, const struct record *r, struct position at)
{
    for (size_t i = 0; i < a->ledger->n_groups; i++)
        if (names_takes(&a->ledger->groups[i], r, at)) {
            a->ret->deliveries++;
            open_put(&a->open, (struct open){.block = at.block,
                                             .index = at.index,
                                             .group = (uint16_t)i,
                                             .is_fact = r->kind == RECORD_FACT &&
                                                        r->status == STATUS_PENDING});
        }
}

static void take_fact(struct audit *a, const struct record *r)
{
    a->facts++;
    if (r->status == STATUS_FAILED)
        a->ret->failed++;
    else
        a->ret->success++; /* until it is found to be open or given up */
}

static bool is_request(struct audit *a, struct position at)
{
    const struct record *r = ledger_record(a->ledger, at);

    return r && r->kind == RECORD_REQUEST;
}

static void stray(struct audit *a, struct position at, const char *what)
{
    a->ret->strays++;
    chain_find(&a->chain, "block %" PRIu64 ": outcome %u %s", at.block,
               (unsigned)at.index, what);
}

static void take_outcome(struct audit *a, const struct record *r, struct position at)
{
    struct position request = {r->cause_block, r->cause_index};
    struct open key = {
        .block = request.block, .index = request.index, .group = GROUP_REQUEST};
    int why = STORE_OK;

    a->ret->outcomes++;
    if (request.block && open_take(&a->open, &key)) {
        a->ret->success += r->status == STATUS_SUCCESS;
        a->ret->failed += r->status == STATUS_FAILED;
        if (r->status == STATUS_PENDING) /* an outcome that says neither */
            stray(a, at, "says neither success nor failure");
        return;
    }
    if (request.block && request.block < a->ledger->first)
        return; /* of a segment removed by age */
    if (position_compare(request, at) < 0 && is_request(a, request)) {
        a->ret->duplicates++;
        return;
    }
    if (request.block && request.block < at.block &&
        !ledger_block(a->ledger, request.block, &why))
        return; /* the hole is counted as such */
    stray(a, at, "answers a position where no request is");
}

static void take_ack(struct audit *a, const struct record *r)
{
    struct control_ack ack;

    if (r->data_len < sizeof(ack))
        return;
    memcpy(&ack, record_data(r), sizeof(ack));
    const struct group *group = names_group(a->ledger, ack.group);
    if (!group || ack.block < a->ledger->first)
        return;
    const struct block *b = ack.result == STATUS_FAILED || ack.count > 1
                                ? ledger_block(a->ledger, ack.block, NULL)
                                : NULL;
    uint64_t end = (uint64_t)ack.first + (ack.count > 1 ? ack.count : 1);
    if (ack.count > 1)
        end = !b ? ack.first : end < b->count ? end : b->count;
    for (uint32_t index = ack.first; ack.count && index < end; index++) {
        struct open key = {.block = ack.block,
                           .index = index,
                           .group = (uint16_t)(group - a->ledger->groups)};
        if (!open_take(&a->open, &key))
            continue;
        a->ret->given_up += ack.result == STATUS_FAILED;
        a->ret->delivered += ack.result != STATUS_FAILED;
        key.group = 0;
        if (ack.result == STATUS_FAILED && key.is_fact)
            open_put(&a->failed, key);
    }
}

static void take_block(struct audit *a, uint64_t number)
{
    const struct block *b = ledger_block(a->ledger, number, NULL);
    uint32_t count = b->count;

    chain_block(&a->chain, b);
    held_block(&a->held, b);
    for (uint32_t index = 0; index < count; index++) {
        struct position at = {number, index};
        const struct record *r = ledger_record(a->ledger, at);
        if (!r)
            return;
        unsigned kind = r->kind;
        if (kind == RECORD_REQUEST)
            take_request(a, at);
        else if (kind == RECORD_FACT)
            take_fact(a, r);
        else if (kind == RECORD_OUTCOME)
            take_outcome(a, r, at);
        else if (kind == RECORD_ACK)
            take_ack(a, r);
        r = ledger_record(a->ledger, at); /* another block may have been looked at */
        if (r && (kind == RECORD_FACT || kind == RECORD_OUTCOME))
            open_deliveries(a, r, at);
    }
}

/* 1: the log's start moved while we read. */
static int scan(struct audit *a)
{
    struct ledger *ledger = a->ledger;
    uint64_t first, last;
    int why = STORE_OK;

    for (uint64_t n = ledger->first; n && n <= ledger->last; n++) {
        if (ledger_block(ledger, n, &why)) {
            take_block(a, n);
            continue;
        }
        store_range(ledger->store, &first, &last);
        if (why == STORE_NOT_FOUND && first > n)
            return 1;
        if (why == STORE_FAILED)
            return -1;
        chain_hole(&a->chain, n, why == STORE_NOT_FOUND, ledger->error);
        held_hole(&a->held, n);
    }
    return 0;
}

/* --- the sum --- */

static int by_position(const void *x, const void *y)
{
    const struct open *a = x, *b = y;

    return position_compare((struct position){a->block, a->index},
                            (struct position){b->block, b->index});
}

/* What is left in the table, in the order of the log; its slots are no table any more. */
static size_t sort_open(struct open_table *table)
{
    size_t n = 0;

    for (size_t i = 0; i < table->n_slots; i++)
        if (table->slots[i].block)
            table->slots[n++] = table->slots[i];
    if (n)
        qsort(table->slots, n, sizeof(*table->slots), by_position);
    return n;
}

/* One that waits, as a row with its owner. */
static bool tell_open(struct audit *a, const struct open *o, ledger_fn fn, void *user)
{
    struct hit hit = {.at = {o->block, o->index}};
    const struct record *r = ledger_record(a->ledger, hit.at);

    if (!r)
        return true;
    if (o->group != GROUP_REQUEST)
        hit.owner = a->ledger->groups[o->group].name;
    hit.fate = settle_by_search(a->ledger, r, hit.at);
    return row_tell(a->ledger, &hit, fn, user);
}

/* An event is pending once, however many groups have to take it still. */
static void count_pending(struct audit *a, ledger_fn fn, void *user)
{
    size_t n = sort_open(&a->open);
    const struct open *before = NULL;

    a->ret->failed += a->failed.n;
    a->ret->success -= a->failed.n;
    for (size_t i = 0; i < n; i++) {
        const struct open *o = &a->open.slots[i];
        a->ret->waiting += o->group != GROUP_REQUEST;
        if (fn && !tell_open(a, o, fn, user))
            fn = NULL;
        if (before && by_position(o, before) == 0)
            continue; /* another group of the same event */
        before = o;
        if (o->group != GROUP_REQUEST &&
            (!o->is_fact ||
             open_has(&a->failed, (struct open){.block = o->block, .index = o->index})))
            continue; /* its status is settled */
        a->ret->pending++;
        a->ret->success -= o->group != GROUP_REQUEST;
    }
}

static uint64_t apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

static void sum(struct audit *a)
{
    struct ledger_audit *ret = a->ret;
    const struct chain *c = &a->chain;

    ret->requests = c->said.requests - c->base.requests;
    ret->facts = c->said.facts - c->base.facts;
    ret->accepted = ret->requests + ret->facts;
    ret->damaged_blocks = c->damaged;
    ret->missing_blocks = c->missing;
    ret->first_block = a->ledger->first;
    ret->last_block = a->ledger->last;
    ret->unaccounted = apart(ret->requests, a->requests) + apart(ret->facts, a->facts) +
                       apart(c->said.outcomes - c->base.outcomes, ret->outcomes) +
                       ret->strays;
    ret->broken_seals = a->held.broken;
    if (ret->unaccounted < c->damaged + c->missing + ret->broken_seals)
        ret->unaccounted = c->damaged + c->missing + ret->broken_seals;
    if (ret->unaccounted == 0) /* cannot be: the table's and the scan's own arithmetic */
        ret->unaccounted =
            apart(ret->accepted, ret->success + ret->failed + ret->pending);
}

static void look_behind_the_end(struct audit *a, uint64_t applied)
{
    uint64_t sealed = held_end(&a->held), seen = applied > sealed ? applied : sealed;

    if (seen > a->ledger->last)
        chain_cut(&a->chain, a->ledger->last, seen);
}

/* Once from end to end; 1: the log's start moved. */
static int audit_once(struct ledger *ledger, struct ledger_audit *ret, ledger_fn fn,
                      void *user)
{
    struct audit a = {.ledger = ledger,
                      .ret = ret,
                      .chain = {.fn = ledger->on_finding, .user = ledger->finding_user}};
    /* Both before the log's end is looked up. */
    uint64_t applied = ledger->views ? views_applied(ledger->views) : 0;

    a.held.chain = &a.chain;
    held_read(&a.held, ledger->dir);
    *ret = (struct ledger_audit){0};
    ledger_forget(ledger);
    ledger_refresh(ledger);
    held_begin(&a.held, ledger->first);
    int rc = scan(&a);
    if (rc == 0) {
        look_behind_the_end(&a, applied);
        count_pending(&a, fn, user);
        sum(&a);
    }
    held_fini(&a.held);
    free(a.open.slots);
    free(a.failed.slots);
    return rc;
}

int ledger_audit(struct ledger *ledger, struct ledger_audit *ret, ledger_fn pending_fn,
                 void *user)
{
    int rc = 1;

    for (int i = 0; rc == 1 && i < TRIES_MAX; i++)
        rc = audit_once(ledger, ret, pending_fn, user);
    if (rc == 1)
        snprintf(ledger->error, sizeof(ledger->error),
                 "segments were removed while the log was read");
    return rc ? -1 : 0;
}

void ledger_report(struct ledger *ledger, void (*fn)(void *user, const char *finding),
                   void *user)
{
    ledger->on_finding = fn;
    ledger->finding_user = user;
}
