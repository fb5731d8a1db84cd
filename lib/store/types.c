/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The types that were seen, so that a pattern can be turned into the hashes that tallies
 * hold, and the consumer groups as the log defines them, so that it is known who waits
 * for which event. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/store/derived.h"

enum {
    TYPES_MAX = 65536, /* further ones are counted, but no pattern finds them quicker */
    GROUPS_MAX = 4096, /* as in lib/ledger: further ones are not looked at */
};

struct type_entry {
    uint64_t hash; /* 0: free */
    char *text;
    uint8_t len;
    bool is_new;
    uint32_t version; /* of the groups when `takers` were found */
    uint32_t *takers;
    size_t n_takers;
};

/* --- the dictionary --- */

static struct type_entry *probe(const struct views *views, uint64_t hash)
{
    size_t at = (size_t)(hash ^ hash >> 32) & (views->cap_known - 1);

    while (views->known[at].hash && views->known[at].hash != hash)
        at = (at + 1) & (views->cap_known - 1);
    return &views->known[at];
}

static void grow(struct views *views)
{
    struct type_entry *old = views->known;
    size_t n = views->cap_known;

    views->cap_known = n ? n * 2 : 256;
    views->known = mem_array(views->cap_known + 1, sizeof(*views->known));
    for (size_t i = 0; i < n; i++)
        if (old[i].hash)
            *probe(views, old[i].hash) = old[i];
    if (n)
        views->known[views->cap_known] = old[n];
    free(old);
}

static struct type_entry *add(struct views *views, uint64_t hash, const char *text,
                              size_t n)
{
    if (views->n_known * 2 >= views->cap_known)
        grow(views);
    struct type_entry *entry = probe(views, hash);
    if (entry->hash)
        return entry;
    *entry = (struct type_entry){
        .hash = hash, .text = mem_copy(text, n), .len = (uint8_t)n, .is_new = true};
    views->n_known++;
    return entry;
}

/* Whom it concerns, by the definitions that hold now. */
static void find_takers(const struct views *views, struct type_entry *entry)
{
    entry->n_takers = 0;
    for (size_t i = 0; i < views->n_groups; i++) {
        const struct views_group *group = &views->list[i];
        bool takes = false;
        for (size_t k = 0; k < group->n_types && !takes && !group->is_removed; k++)
            takes = text_match_type(group->types[k], entry->text, entry->len);
        if (!takes)
            continue;
        entry->takers =
            mem_resize(entry->takers, (entry->n_takers + 1) * sizeof(*entry->takers));
        entry->takers[entry->n_takers++] = group->hash;
    }
    entry->version = views->groups_version;
}

/* One beyond the bound: it has the place of the last such. */
static struct type_entry *strange(struct views *views, const struct record *r)
{
    struct type_entry *entry = &views->known[views->cap_known];

    free(entry->text);
    entry->text = mem_copy(record_type(r), r->type_len);
    entry->len = r->type_len;
    entry->version = 0;
    views->has_more_types = true;
    return entry;
}

const uint32_t *types_note(struct views *views, const struct record *r, size_t *ret_n)
{
    struct type_entry *entry = views->cap_known ? probe(views, r->type_hash) : NULL;

    if (!entry || !entry->hash)
        entry = views->n_known < TYPES_MAX
                    ? add(views, r->type_hash, record_type(r), r->type_len)
                    : strange(views, r);
    if (entry->len != r->type_len || memcmp(entry->text, record_type(r), entry->len))
        entry = strange(views, r); /* two types of one hash: no pattern may say "no" */
    if (entry->version != views->groups_version)
        find_takers(views, entry);
    *ret_n = entry->n_takers;
    return entry->takers;
}

/* --- groups --- */

static void group_clear(struct views_group *group)
{
    free(group->json);
    for (size_t i = 0; i < group->n_types; i++)
        free(group->types[i]);
    free(group->types);
    group->types = NULL;
    group->n_types = 0;
}

static void define(struct views *views, const char *text, size_t n)
{
    char error[128];
    struct json *json = js_parse(text, n, error, sizeof(error));
    const char *name = js_text(json, "name", NULL);
    uint32_t hash = name ? integration_hash(name) : 0;
    size_t at = 0;

    while (at < views->n_groups && views->list[at].hash != hash)
        at++;
    if (name && at == views->n_groups && at < GROUPS_MAX) {
        views->list = mem_resize(views->list, (at + 1) * sizeof(*views->list));
        views->list[views->n_groups++] = (struct views_group){.hash = hash};
    }
    if (name && at < views->n_groups) {
        struct views_group *group = &views->list[at];
        const struct json *types = js_get(json, "types");
        group_clear(group);
        group->json = mem_copy(text, n);
        group->is_new = true;
        group->is_removed = js_bool(json, "removed", false);
        group->types = mem_array(js_count(types), sizeof(*group->types));
        for (; group->n_types < js_count(types); group->n_types++)
            group->types[group->n_types] =
                mem_text(js_text(js_at(types, group->n_types), NULL, ""));
        views->groups_version++;
    }
    js_free(json);
}

void types_group(struct views *views, const struct record *r)
{
    define(views, (const char *)record_data(r), r->data_len);
}

/* --- to the disk and back --- */

static MDB_val text_val(const char *text)
{
    return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static void load_types(struct views *views, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    if (mdb_cursor_open(txn, views->types, &cursor))
        return;
    for (int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !rc;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        if (value.mv_size <= UINT8_MAX)
            add(views, row_block(&key), value.mv_data, value.mv_size)->is_new = false;
    mdb_cursor_close(cursor);
}

/* Definitions in the form the log has them. */
static void load_groups(struct views *views, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    if (mdb_cursor_open(txn, views->groups, &cursor))
        return;
    for (int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !rc;
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        define(views, value.mv_data, value.mv_size);
    for (size_t i = 0; i < views->n_groups; i++)
        views->list[i].is_new = false;
    mdb_cursor_close(cursor);
}

void types_load(struct views *views, MDB_txn *txn)
{
    MDB_val key = text_val("more types"), value;

    types_fini(views);
    views->groups_version = 1;
    load_types(views, txn);
    load_groups(views, txn);
    views->has_more_types = mdb_get(txn, views->meta, &key, &value) == 0;
}

void types_fini(struct views *views)
{
    for (size_t i = 0; views->known && i <= views->cap_known; i++) {
        free(views->known[i].text);
        free(views->known[i].takers);
    }
    for (size_t i = 0; i < views->n_groups; i++)
        group_clear(&views->list[i]);
    free(views->known);
    free(views->list);
    views->known = NULL;
    views->list = NULL;
    views->n_known = views->cap_known = views->n_groups = 0;
    views->has_more_types = false;
}

static int store_group(struct views *views, struct views_group *group)
{
    MDB_val key = {sizeof(group->hash), &group->hash}, value = text_val(group->json);

    group->is_new = false;
    return mdb_put(views->write, views->groups, &key, &value, 0);
}

int types_store(struct views *views)
{
    int rc = 0;

    for (size_t i = 0; i < views->cap_known && !rc; i++) {
        struct type_entry *entry = &views->known[i];
        if (!entry->hash || !entry->is_new)
            continue;
        MDB_val key = {sizeof(entry->hash), &entry->hash},
                value = {entry->len, entry->text};
        rc = mdb_put(views->write, views->types, &key, &value, 0);
        entry->is_new = false;
    }
    for (size_t i = 0; i < views->n_groups && !rc; i++)
        if (views->list[i].is_new)
            rc = store_group(views, &views->list[i]);
    if (!rc && views->has_more_types) {
        MDB_val key = text_val("more types"), value = text_val("yes");
        rc = mdb_put(views->write, views->meta, &key, &value, 0);
    }
    return rc;
}

/* --- asking --- */

bool views_types(struct views *views, views_type_fn fn, void *user)
{
    MDB_txn *txn = views_begin_read(views);
    MDB_val key = text_val("more types"), value;
    MDB_cursor *cursor;

    if (!txn)
        return false;
    bool is_whole = mdb_get(txn, views->meta, &key, &value) == MDB_NOTFOUND &&
                    mdb_cursor_open(txn, views->types, &cursor) == 0;
    if (is_whole) {
        for (int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !rc;
             rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
            fn(user, row_block(&key), value.mv_data, value.mv_size);
        mdb_cursor_close(cursor);
    }
    views_end_read(views, txn);
    return is_whole;
}
