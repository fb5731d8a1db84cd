/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An append goes to the tail, and on in the next segment where the tail is full. Whatever
 * it needs is there before anything of it is written. */
#include "lib/store/directory.h"

/* Must a new segment begin with this block? Accounts for it. */
static bool begins_segment(const struct block *block, bool is_empty, uint64_t *room)
{
    uint64_t cost = segment_cost(block->len);

    if (!(block->flags & BLOCK_OPENS_SEGMENT && !is_empty) && cost <= *room) {
        *room -= cost;
        return false;
    }
    return true;
}

/* Split an append into runs, one for each segment: the length of the first. 0: it begins
 * a new segment. */
static size_t run_length(const struct block *const *blocks, size_t n, bool is_empty,
                         uint64_t room)
{
    size_t i = 0;

    while (i < n && !begins_segment(blocks[i], is_empty && !i, &room))
        i++;
    return i;
}

static uint64_t spare_room(const struct store_lmdb *lmdb, size_t i)
{
    uint64_t size = i < lmdb->n_spares ? lmdb->spares[i].size : SEGMENT_SIZE_MIN;

    return size - (1 << 20); /* less than segment_room() of an empty one */
}

/* How many segments this append will open. */
static size_t count_changes(struct store_lmdb *lmdb, const struct block *const *blocks,
                            size_t n, bool is_empty)
{
    size_t changes = 0;

    pthread_mutex_lock(&lmdb->store.lock);
    size_t at = run_length(blocks, n, is_empty, lmdb->tail_room);
    while (at < n)
        at += run_length(blocks + at, n - at, /* is_empty= */ true,
                         spare_room(lmdb, changes++));
    pthread_mutex_unlock(&lmdb->store.lock);
    return changes;
}

/* Everything this append needs must be there before anything of it is written. */
static int ready_spares(struct store_lmdb *lmdb, size_t changes)
{
    int result = STORE_OK;

    for (size_t have = 0; !result;) {
        pthread_mutex_lock(&lmdb->store.lock);
        have = lmdb->n_spares;
        pthread_mutex_unlock(&lmdb->store.lock);
        if (have >= changes)
            break;
        result = spares_make_small(lmdb);
    }
    return result;
}

/* Commit to the tail, and say how much it still takes. */
static int append_run(struct store_lmdb *lmdb, struct segment *tail,
                      const struct block *const *blocks, size_t n)
{
    int result = segment_append(tail, blocks, n);

    if (result == STORE_OK) {
        pthread_mutex_lock(&lmdb->store.lock);
        lmdb->tail_room = segment_room(tail);
        pthread_mutex_unlock(&lmdb->store.lock);
    }
    return result;
}

static struct segment *tail_segment(struct store_lmdb *lmdb, uint64_t *ret_first)
{
    struct segment *segment = NULL;

    pthread_mutex_lock(&lmdb->store.lock);
    if (lmdb->n) {
        segment = lmdb->files[lmdb->n - 1]
                      ->segment; /* the writer's tail is open and stays so */
        *ret_first = lmdb->files[lmdb->n - 1]->first;
    }
    pthread_mutex_unlock(&lmdb->store.lock);
    return segment;
}

int append_blocks(struct store *store, const struct block *const *blocks, size_t n)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    uint64_t first = 0;
    struct segment *tail = tail_segment(lmdb, &first);
    bool is_empty = tail && first == blocks[0]->number, has_written = false;
    int result = ready_spares(lmdb, count_changes(lmdb, blocks, n, is_empty));

    for (size_t at = 0; !result && at < n;) {
        size_t run = run_length(blocks + at, n - at, is_empty, lmdb->tail_room);
        if (run)
            result = append_run(lmdb, tail, blocks + at, run);
        if (run && result == STORE_OK) {
            at += run;
            has_written = true;
        }
        if (at == n || (result && result != STORE_FULL))
            break;
        /* The estimate said so, or LMDB did: go on in the next file. */
        if ((result = ready_spares(lmdb, 1)) ||
            (result = spares_open(lmdb, blocks[at]->number)))
            break;
        tail = tail_segment(lmdb, &first);
        is_empty = true;
    }
    return result == STORE_FULL && has_written ? STORE_FAILED : result;
}

void append_room(struct store *store, struct log_head *head)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;

    pthread_mutex_lock(&store->lock);
    head->segment_room = lmdb->tail_room;
    head->spare_bytes = lmdb->disk_free;
    for (size_t i = 0; i < lmdb->n_spares; i++)
        head->spare_bytes += lmdb->spares[i].size;
    pthread_mutex_unlock(&store->lock);
}
