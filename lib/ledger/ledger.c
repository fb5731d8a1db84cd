/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/mem.h"
#include "lib/ledger/state.h"

struct ledger *ledger_over(struct store *store, struct views *views)
{
    struct ledger *ledger = mem_alloc(sizeof(*ledger));

    ledger->store = store;
    ledger->views = views;
    return ledger;
}

struct ledger *ledger_open(const char *dir, char *error, size_t error_size)
{
    struct store *store = store_open_reader(dir, error, error_size);

    if (!store)
        return NULL;
    struct ledger *ledger = ledger_over(store, NULL);
    ledger->owns = true;
    ledger->dir = mem_text(dir);
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    if (!ledger)
        return;
    names_fini(ledger);
    for (int i = 0; i < CACHE_BLOCKS; i++) {
        buf_fini(&ledger->cache[i].bytes);
        free(ledger->cache[i].offsets);
    }
    if (ledger->owns) {
        views_close(ledger->views);
        store_close(ledger->store);
    }
    free(ledger->dir);
    free(ledger);
}

const char *ledger_error(const struct ledger *ledger)
{
    return ledger->error;
}

/* Views are made anew by the logger when they were damaged: then the path names another
 * file. */
static void look_for_views(struct ledger *ledger)
{
    _free_ char *path = mem_format("%s/views.mdb", ledger->dir);
    struct stat file;
    char error[256]; /* without views everything is still found, only slower */

    if (stat(path, &file) != 0)
        return;
    if (ledger->views && file.st_ino == ledger->views_ino &&
        file.st_dev == ledger->views_dev)
        return;
    views_close(ledger->views);
    ledger->views = views_open(ledger->dir, /* read_only= */ true, error, sizeof(error));
    ledger->views_ino = file.st_ino;
    ledger->views_dev = file.st_dev;
}

static bool take_row(void *user, const struct views_row *row)
{
    *(struct views_row *)user = *row;
    return false;
}

/* Rows are used up to the newest one whose block is in the log with the same checksum:
 * views of another log must not say "no". That row may have grown since `applied` was
 * read, and the log with it. */
static uint64_t trusted(struct ledger *ledger, uint64_t applied)
{
    struct views_row row = {0};
    uint64_t newest = applied < ledger->last ? applied : ledger->last;

    if (newest == 0 || newest < ledger->first ||
        views_scan(ledger->views, newest, true, take_row, &row) < 0 || row.last < newest)
        return 0;
    store_range(ledger->store, &ledger->first, &ledger->last);
    const struct block *b =
        row.last <= ledger->last ? ledger_block(ledger, row.last, NULL) : NULL;
    return b && b->crc == row.crc ? row.last : 0;
}

void ledger_refresh(struct ledger *ledger)
{
    uint64_t before = ledger->applied;

    if (ledger->owns)
        look_for_views(ledger);
    uint64_t applied = ledger->views ? views_applied(ledger->views) : 0;
    store_range(ledger->store, &ledger->first, &ledger->last);
    if (applied == 0 || applied != before)
        ledger->applied = applied ? trusted(ledger, applied) : 0;
    names_refresh(ledger);
}

uint64_t ledger_end(struct ledger *ledger)
{
    store_range(ledger->store, &ledger->first, &ledger->last);
    return ledger->last;
}

uint64_t ledger_seen(const struct ledger *ledger)
{
    return ledger->last;
}

static void index_records(struct cached *c)
{
    const struct block *b = (const struct block *)(const void *)c->bytes.bytes;
    size_t n = 0;

    if (b->count > c->cap) {
        c->cap = b->count;
        c->offsets = mem_resize(c->offsets, c->cap * sizeof(*c->offsets));
    }
    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r))
        c->offsets[n++] = (uint32_t)((const uint8_t *)r - c->bytes.bytes);
}

static struct cached *oldest(struct ledger *ledger)
{
    struct cached *found = ledger->cache;

    for (int i = 1; i < CACHE_BLOCKS; i++)
        if (ledger->cache[i].used < found->used)
            found = &ledger->cache[i];
    return found;
}

static struct cached *load(struct ledger *ledger, uint64_t number, int *ret_why)
{
    struct cached *c = ledger->recent;

    if (c && c->number == number)
        return c;
    for (int i = 0; i < CACHE_BLOCKS; i++) {
        c = &ledger->cache[i];
        if (c->number == number && number) {
            c->used = ++ledger->uses;
            return ledger->recent = c;
        }
    }
    c = oldest(ledger);
    c->number = 0;
    if (c == ledger->recent)
        ledger->recent = NULL;
    int rc = number ? store_read(ledger->store, number, &c->bytes) : STORE_NOT_FOUND;
    if (rc != STORE_OK) {
        snprintf(ledger->error, sizeof(ledger->error), "%s", store_error(ledger->store));
        if (ret_why)
            *ret_why = rc;
        return NULL;
    }
    index_records(c);
    c->number = number;
    c->used = ++ledger->uses;
    return ledger->recent = c;
}

void ledger_forget(struct ledger *ledger)
{
    for (int i = 0; i < CACHE_BLOCKS; i++)
        ledger->cache[i].number = 0;
    ledger->recent = NULL;
}

const struct block *ledger_block(struct ledger *ledger, uint64_t number, int *ret_why)
{
    const struct cached *c = load(ledger, number, ret_why);

    return c ? (const struct block *)(const void *)c->bytes.bytes : NULL;
}

const struct record *ledger_record(struct ledger *ledger, struct position at)
{
    const struct cached *c = load(ledger, at.block, NULL);
    const struct block *b = c ? (const struct block *)(const void *)c->bytes.bytes : NULL;

    return b && at.index < b->count
               ? (const struct record *)(const void *)(c->bytes.bytes +
                                                       c->offsets[at.index])
               : NULL;
}

uint64_t ledger_next(struct ledger *ledger, uint64_t from, bool backwards,
                     enum views_item item, const void *name)
{
    uint64_t found = 0;

    if (backwards) {
        if (from > ledger->applied)
            return from >= ledger->first ? from : 0;
        found = views_find(ledger->views, from, true, item, name);
        return found >= ledger->first ? found : 0;
    }
    if (from <= ledger->applied)
        found = views_find(ledger->views, from, false, item, name);
    if (found)
        return found <= ledger->last ? found : 0;
    if (from <= ledger->applied)
        from = ledger->applied + 1;
    return from <= ledger->last ? from : 0;
}
