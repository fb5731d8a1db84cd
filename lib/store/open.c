/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is open: for each block and group (0: the requests) the events that nothing has
 * settled yet.  What is asked and answered within one batch never reaches the disk.
 *
 * Keys are big-endian block and group, so that they stand in the order of the log; values
 * are struct views_open in the order of the records, each with its names, so that an
 * outcome can be counted under those of its request without reading the request again. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/store/derived.h"
#include "proto/control.h"

enum {
    KEEP_MAX = 4096,          /* entries that stay in memory when a new block comes, */
    KEEP_ITEMS_MAX = 1 << 18, /* and events in them: 6 MiB */
    KEY_SIZE = 12,
};

struct open_entry {
    uint64_t block;
    uint32_t group;
    bool is_changed, is_stored;
    struct open_entry *next; /* in its bucket */
    struct views_open *list;
    size_t n, cap; /* taken ones stay in the list with kind 0 until it is written */
    size_t taken;
};

/* --- in memory --- */

static size_t bucket_of(const struct views *views, uint64_t block, uint32_t group)
{
    uint64_t hash = (block * 0x9e3779b97f4a7c15u) ^ ((uint64_t)group << 21);

    return (size_t)(hash ^ hash >> 29) & (views->cap_entries - 1);
}

static struct open_entry *entry_find(const struct views *views, uint64_t block,
                                     uint32_t group)
{
    if (!views->cap_entries)
        return NULL;
    struct open_entry *e = views->entries[bucket_of(views, block, group)];
    while (e && (e->block != block || e->group != group))
        e = e->next;
    return e;
}

static void buckets_grow(struct views *views)
{
    struct open_entry **old = views->entries;
    size_t n = views->cap_entries;

    views->cap_entries = n ? n * 2 : 256;
    views->entries = mem_array(views->cap_entries, sizeof(struct open_entry *));
    for (size_t i = 0; i < n; i++)
        for (struct open_entry *e = old[i], *next; e; e = next) {
            size_t at = bucket_of(views, e->block, e->group);
            next = e->next;
            e->next = views->entries[at];
            views->entries[at] = e;
        }
    free(old);
}

static struct open_entry *entry_make(struct views *views, uint64_t block, uint32_t group)
{
    struct open_entry *e = entry_find(views, block, group);

    if (e)
        return e;
    if (views->n_entries >= views->cap_entries)
        buckets_grow(views);
    size_t at = bucket_of(views, block, group);
    e = mem_alloc(sizeof(*e));
    e->block = block;
    e->group = group;
    e->next = views->entries[at];
    views->entries[at] = e;
    views->n_entries++;
    return e;
}

static void entry_free(struct open_entry *e)
{
    free(e->list);
    free(e);
}

void open_fini(struct views *views)
{
    for (size_t i = 0; i < views->cap_entries; i++)
        for (struct open_entry *e = views->entries[i], *next; e; e = next) {
            next = e->next;
            entry_free(e);
        }
    free(views->entries);
    views->entries = NULL;
    views->n_entries = views->cap_entries = views->n_items = 0;
}

/* Let go what is on disk as it is here. */
static void forget_unchanged(struct views *views)
{
    for (size_t i = 0; i < views->cap_entries; i++)
        for (struct open_entry **at = &views->entries[i]; *at;) {
            struct open_entry *e = *at;
            if (e->is_changed) {
                at = &e->next;
                continue;
            }
            *at = e->next;
            views->n_entries--;
            views->n_items -= e->cap;
            entry_free(e);
        }
}

/* --- on disk --- */

static void key_make(uint8_t key[KEY_SIZE], uint64_t block, uint32_t group)
{
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(block >> (56 - 8 * i));
    for (int i = 0; i < 4; i++)
        key[8 + i] = (uint8_t)(group >> (24 - 8 * i));
}

static bool key_read(const MDB_val *key, uint64_t *ret_block, uint32_t *ret_group)
{
    const uint8_t *bytes = key->mv_data;

    if (key->mv_size != KEY_SIZE)
        return false;
    *ret_block = *ret_group = 0;
    for (int i = 0; i < 8; i++)
        *ret_block = *ret_block << 8 | bytes[i];
    for (int i = 8; i < KEY_SIZE; i++)
        *ret_group = *ret_group << 8 | bytes[i];
    return true;
}

static unsigned pages_of(size_t n)
{
    return 8 + (unsigned)(n * sizeof(struct views_open) / 4096);
}

/* Have the entry in memory. Returns how many pages writing it again may change. */
static unsigned load(struct views *views, uint64_t block, uint32_t group)
{
    uint8_t name[KEY_SIZE];
    MDB_val key = {sizeof(name), name}, value;

    struct open_entry *e = entry_find(views, block, group);
    if (e) /* written again once a batch, if it is in this one */
        return e->is_changed ? 0 : pages_of(e->n);
    e = entry_make(views, block, group);
    MDB_txn *txn = views_begin_read(views);
    key_make(name, block, group);
    if (txn && mdb_get(txn, views->open, &key, &value) == 0) {
        e->n = e->cap = value.mv_size / sizeof(*e->list);
        e->list = mem_copy(value.mv_data, e->n * sizeof(*e->list));
        e->is_stored = true;
        views->n_items += e->cap;
    }
    views_end_read(views, txn);
    return pages_of(e->n);
}

unsigned open_load(struct views *views, const struct block *block)
{
    unsigned pages = pages_of(block->count) * (unsigned)(1 + views->n_groups);
    struct control_ack ack;
    struct control_retry retry;

    if (views->n_entries > KEEP_MAX || views->n_items > KEEP_ITEMS_MAX)
        forget_unchanged(views);
    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r)) {
        if (r->kind == RECORD_OUTCOME) {
            pages += load(views, r->cause_block, 0);
        } else if (r->kind == RECORD_ACK && r->data_len >= sizeof(ack)) {
            memcpy(&ack, record_data(r), sizeof(ack));
            pages += load(views, ack.block, ack.group);
        } else if (r->kind == RECORD_RETRY && r->data_len >= sizeof(retry)) {
            memcpy(&retry, record_data(r), sizeof(retry));
            pages += load(views, retry.block, 0) + load(views, retry.block, retry.group);
        }
    }
    return pages;
}

static int store(struct views *views, struct open_entry *e)
{
    uint8_t name[KEY_SIZE];
    MDB_val key = {sizeof(name), name};
    size_t kept = 0;

    for (size_t i = 0; i < e->n; i++)
        if (e->list[i].kind)
            e->list[kept++] = e->list[i];
    e->n = kept;
    e->taken = 0;
    key_make(name, e->block, e->group);
    MDB_val value = {e->n * sizeof(*e->list), e->list};
    int rc = e->n           ? mdb_put(views->write, views->open, &key, &value, 0)
             : e->is_stored ? mdb_del(views->write, views->open, &key, NULL)
                            : 0;
    e->is_stored = e->n > 0;
    e->is_changed = false;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int open_store(struct views *views)
{
    int rc = 0;

    for (size_t i = 0; i < views->cap_entries && !rc; i++)
        for (struct open_entry *e = views->entries[i]; e && !rc; e = e->next)
            if (e->is_changed)
                rc = store(views, e);
    return rc;
}

int open_trim(struct views *views, uint64_t keep_from, unsigned max)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t block;
    uint32_t group;
    int rc = mdb_cursor_open(views->write, views->open, &cursor);

    if (rc)
        return rc;
    for (unsigned done = 0; !rc && done < max; done++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc || (key_read(&key, &block, &group) && block >= keep_from))
            break;
        rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* --- putting in and taking out --- */

void open_add(struct views *views, uint64_t block, uint32_t group,
              const struct views_open *open)
{
    struct open_entry *e = entry_make(views, block, group);

    if (e->n == e->cap) {
        size_t more = e->cap ? e->cap : 4;
        e->cap += more;
        views->n_items += more;
        e->list = mem_resize(e->list, e->cap * sizeof(*e->list));
    }
    e->list[e->n++] = *open;
    e->is_changed = true;
}

/* The first one in the list whose index is `index` or more. */
static size_t lower_bound(const struct open_entry *e, uint32_t index)
{
    size_t low = 0, high = e->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (e->list[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool open_take(struct views *views, uint64_t block, uint32_t group, uint32_t index,
               struct views_open *ret)
{
    struct open_entry *e = entry_find(views, block, group);
    size_t at = e ? lower_bound(e, index) : 0;

    if (!e || at == e->n || e->list[at].index != index || !e->list[at].kind)
        return false;
    *ret = e->list[at];
    e->list[at].kind = 0;
    e->is_changed = true;
    if (++e->taken == e->n)
        e->n = e->taken = 0;
    return true;
}

void open_attempt(struct views *views, uint64_t block, uint32_t group, uint32_t index,
                  uint32_t attempts)
{
    struct open_entry *e = entry_find(views, block, group);
    size_t at = e ? lower_bound(e, index) : 0;

    if (!e || at == e->n || e->list[at].index != index || !e->list[at].kind ||
        e->list[at].attempts >= attempts)
        return;
    e->list[at].attempts = (uint8_t)(attempts < UINT8_MAX ? attempts : UINT8_MAX);
    e->is_changed = true;
}

uint32_t open_next(struct views *views, uint64_t block, uint32_t group, uint32_t index)
{
    struct open_entry *e = entry_find(views, block, group);

    for (size_t at = e ? lower_bound(e, index) : 0; e && at < e->n; at++)
        if (e->list[at].kind)
            return e->list[at].index;
    return UINT32_MAX;
}

/* --- asking --- */

/* Move to the entry before `block` and `group`, or to the last one there is. */
static int step_back(MDB_cursor *cursor, uint64_t block, uint32_t group, MDB_val *key,
                     MDB_val *value)
{
    uint8_t name[KEY_SIZE];

    key_make(name, block, group);
    *key = (MDB_val){sizeof(name), name};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    return mdb_cursor_get(cursor, key, value, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
}

/* One entry in a transaction of its own: fn may take its time. */
static int tell_one(struct views *views, uint64_t *block, uint32_t *group,
                    views_open_fn fn, void *user)
{
    MDB_txn *txn = views_begin_read(views);
    MDB_cursor *cursor;
    MDB_val key, value;
    struct buf list = BUF_NULL;

    if (!txn)
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(txn, views->open, &cursor);
    if (!rc) {
        rc = step_back(cursor, *block, *group, &key, &value);
        if (!rc && key_read(&key, block, group))
            buf_add(&list, value.mv_data, value.mv_size);
        mdb_cursor_close(cursor);
    }
    views_end_read(views, txn);
    int more = 0;
    if (list.len)
        more = fn(user, *block, *group, (const void *)list.bytes,
                  list.len / sizeof(struct views_open));
    buf_fini(&list);
    if (rc && rc != MDB_NOTFOUND)
        return views_fail(views, "what is open", rc);
    return more;
}

int views_pending(struct views *views, uint64_t from, views_open_fn fn, void *user)
{
    uint64_t block = from == UINT64_MAX ? from : from + 1;
    uint32_t group = 0;
    int more;

    do
        more = tell_one(views, &block, &group, fn, user);
    while (more > 0);
    return more;
}
