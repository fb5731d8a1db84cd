/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Idempotency keys: 16-byte name -> entry, and big-endian expiry and name -> nothing, the
 * keys in the order they end. */
#include <string.h>

#include "lib/store/derived.h"
#include "proto/control.h"

enum {
    PAGES_PER_KEY = 6,
    EXPIRE_MAX = 2048, /* at a time, whatever is asked for */
};

static void expiry_key(uint64_t expires_us, const uint8_t name[16], uint8_t ret_key[24])
{
    for (int i = 0; i < 8; i++)
        ret_key[i] = (uint8_t)(expires_us >> (56 - 8 * i));
    memcpy(ret_key + 8, name, 16);
}

/* The first live one wins, as it did in the broker. */
static int put_key(struct views *views, const struct record *named,
                   const struct views_idempotency *entry, uint64_t now_us)
{
    uint8_t ends[24];
    MDB_val key = {16, (void *)(uintptr_t)named->id}, end = {sizeof(ends), ends}, value,
            nothing = {0};
    struct views_idempotency old;
    int rc = mdb_get(views->write, views->keys, &key, &value);

    if (rc == 0 && value.mv_size == sizeof(old)) {
        memcpy(&old, value.mv_data, sizeof(old));
        if (old.expires_us > now_us)
            return 0;
        expiry_key(old.expires_us, named->id, ends);
        rc = mdb_del(views->write, views->expiry, &end, NULL);
    }
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    value = (MDB_val){sizeof(*entry), (void *)(uintptr_t)entry};
    rc = mdb_put(views->write, views->keys, &key, &value, 0);
    expiry_key(entry->expires_us, named->id, ends);
    return rc ? rc : mdb_put(views->write, views->expiry, &end, &nothing, 0);
}

int keys_store(struct views *views, const struct block *block)
{
    const struct record *named = NULL;
    uint32_t index = 0;
    int rc = 0;

    for (const struct record *r = block->count ? block_first(block) : NULL; r && !rc;
         r = block_next(block, r), index++) {
        if (r->kind == RECORD_IDEMPOTENCY &&
            r->data_len >= sizeof(struct control_idempotency)) {
            named = r;
        } else if (named && record_is_event(r)) {
            struct control_idempotency c;
            memcpy(&c, record_data(named), sizeof(c));
            struct views_idempotency entry = {.body_hash = c.body_hash,
                                              .expires_us = c.expires_us,
                                              .block = block->number,
                                              .index = index};
            memcpy(entry.id, r->id, 16);
            rc = put_key(views, named, &entry, block->timestamp_us);
            named = NULL;
        }
    }
    return rc;
}

unsigned keys_pages(const struct block *block)
{
    unsigned keys = 0;

    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r))
        keys += r->kind == RECORD_IDEMPOTENCY;
    return keys * PAGES_PER_KEY;
}

bool views_find_key(struct views *views, const uint8_t key[16], uint64_t now_us,
                    struct views_idempotency *ret)
{
    MDB_txn *txn = views_begin_read(views);
    MDB_val name = {16, (void *)(uintptr_t)key}, value;
    struct views_idempotency entry;
    bool found = false;

    if (txn && mdb_get(txn, views->keys, &name, &value) == 0 &&
        value.mv_size == sizeof(entry)) {
        memcpy(&entry, value.mv_data, sizeof(entry));
        found = entry.expires_us > now_us;
    }
    views_end_read(views, txn);
    if (found)
        *ret = entry;
    return found;
}

static uint64_t expires_us(const uint8_t *key)
{
    uint64_t us = 0;

    for (int i = 0; i < 8; i++)
        us = us << 8 | key[i];
    return us;
}

int views_expire(struct views *views, uint64_t now_us, unsigned max)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned done = 0;

    if (max > EXPIRE_MAX)
        max = EXPIRE_MAX;
    if (views_begin_write(views, 32 + max * PAGES_PER_KEY))
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(views->write, views->expiry, &cursor);
    if (rc)
        return views_drop_batch(views, "expire", rc);
    for (; !rc && done < max; done++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc || key.mv_size != 24 || expires_us(key.mv_data) > now_us)
            break;
        MDB_val name = {16, (uint8_t *)key.mv_data + 8};
        rc = mdb_del(views->write, views->keys, &name, NULL);
        if (!rc || rc == MDB_NOTFOUND)
            rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    if (rc && rc != MDB_NOTFOUND)
        return views_drop_batch(views, "expire", rc);
    return done == max ? VIEWS_MORE : VIEWS_OK;
}
