/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/transfer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/ledger/state.h"

static_assert(sizeof(struct transfer_head) == 56, "the head is a file format");
static_assert(sizeof(struct transfer_end) == 48, "the end is a file format");

/* --- out --- */

static bool is_checkpoint(void *user, uint64_t number, const struct block *block,
                          const char *why)
{
    (void)why;
    if (!block || !(block->flags & BLOCK_CHECKPOINT))
        return true;
    *(uint64_t *)user = number;
    return false;
}

/* The newest checkpoint at or before a block, else the first block there is. */
static uint64_t checkpoint_before(struct ledger *ledger, uint64_t block)
{
    uint64_t found = ledger->first;

    store_scan_back(ledger->store, block, /* verify= */ false, is_checkpoint, &found);
    return found;
}

/* The link of the block before `first`: from the last seal on; unknown (false) when a
 * block in between does not read or nothing was sealed in a log that begins later. */
static bool link_before(struct ledger *ledger, uint64_t first, struct seal *ret)
{
    struct seals seals = {0};
    bool is_known = true;

    *ret = (struct seal){0};
    if (ledger->dir &&
        seals_read(ledger->dir, &seals, ledger->error, sizeof(ledger->error)))
        return false;
    const struct seal *seal = seals_find(&seals, first - 1);
    if (seal)
        *ret = *seal;
    else if (ledger->first > 1 && ledger->first <= first)
        ret->block =
            ledger->first - 1; /* nothing is sealed yet: as the first seal will */
    seals_fini(&seals);
    while (is_known && ret->block < first - 1) {
        const struct block *b = ledger_block(ledger, ret->block + 1, NULL);
        is_known = b != NULL;
        if (b)
            seal_next(ret, b);
    }
    if (!is_known)
        *ret = (struct seal){.block = first - 1};
    return is_known;
}

static int stop(struct ledger *ledger, uint64_t number, const char *why)
{
    char was[sizeof(ledger->error)]; /* `why` may stand there */

    memcpy(was, why, strnlen(why, sizeof(was) - 1) + 1);
    was[sizeof(was) - 1] = 0;
    snprintf(ledger->error, sizeof(ledger->error), "block %" PRIu64 ": %.400s", number,
             was);
    return -1;
}

long transfer_export(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                     transfer_put put, void *user, uint64_t *ret_first)
{
    struct transfer_head head = {.magic = TRANSFER_HEAD};
    struct transfer_end end = {.magic = TRANSFER_END};
    struct seal link;

    ledger_refresh(ledger);
    uint64_t last =
        until_us ? store_find_time(ledger->store, until_us) - 1 : ledger->last;
    uint64_t first = since_us ? store_find_time(ledger->store, since_us) : ledger->first;
    first = checkpoint_before(ledger, first < last ? first : last);
    if (first == 0 || first > last)
        return stop(ledger, first, "there is nothing in this range");
    const struct block *b = ledger_block(ledger, first, NULL);
    if (!b)
        return stop(ledger, first, ledger->error);
    head.first = *ret_first = first;
    head.prev_crc = b->prev_crc;
    link_before(ledger, first, &link);
    memcpy(head.link, link.link, SEAL_SIZE);
    if (!put(user, &head, sizeof(head)))
        return stop(ledger, first, "it cannot be written");
    for (uint64_t n = first; n <= last; n++) {
        b = ledger_block(ledger, n, NULL);
        if (!b)
            return stop(ledger, n, ledger->error);
        seal_next(&link, b);
        if (!put(user, b, b->len))
            return stop(ledger, n, "it cannot be written");
    }
    end.last = last;
    memcpy(end.link, link.link, SEAL_SIZE);
    if (!put(user, &end, sizeof(end)))
        return stop(ledger, last, "the end cannot be written");
    return (long)(last - first + 1);
}

/* --- in --- */

struct reading {
    transfer_get get;
    void *user;
    char *error;
    size_t error_size;
    struct buf bytes; /* the block */
    struct seal link;
    uint32_t crc;
};

__attribute__((format(printf, 2, 3))) static long refuse(struct reading *r,
                                                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->error, r->error_size, format, args);
    va_end(args);
    return -1;
}

/* All n bytes. 0; 1 when the file ends before; -1 on an error. */
static int get_all(struct reading *r, void *bytes, size_t n)
{
    uint8_t *at = bytes;

    while (n > 0) {
        ssize_t got = r->get(r->user, at, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            refuse(r, "it cannot be read: %s", strerror(errno));
            return -1;
        }
        if (got == 0) {
            refuse(r, "it is cut short behind block %" PRIu64, r->link.block);
            return 1;
        }
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

static long read_end(struct reading *r, const struct transfer_end *end)
{
    if (end->last != r->link.block || memcmp(end->link, r->link.link, SEAL_SIZE) != 0)
        return refuse(r, "its end does not fit what was read up to block %" PRIu64,
                      r->link.block);
    return 0;
}

/* The rest of a block whose first bytes are there. NULL after refuse(). */
static const struct block *read_block(struct reading *r)
{
    const struct block *b = (const void *)r->bytes.bytes;
    const char *why = NULL;
    size_t have = r->bytes.len;

    if (b->magic != BLOCK_MAGIC || b->len < sizeof(*b) || b->len > BLOCK_SIZE_MAX ||
        b->len % 8) {
        refuse(r, "behind block %" PRIu64 ": what follows is neither a block nor the end",
               r->link.block);
        return NULL;
    }
    size_t len = b->len;
    if (get_all(r, buf_reserve(&r->bytes, len - have), len - have))
        return NULL;
    r->bytes.len = len;
    b = block_check(r->bytes.bytes, len, &why);
    if (b)
        why = NULL;
    if (b && b->number != r->link.block + 1)
        why = "it does not have the next number";
    else if (b && b->prev_crc != r->crc)
        why = "it names another block as the one before";
    if (b && !why)
        return b;
    refuse(r, "block %" PRIu64 ": %s", r->link.block + 1, why);
    return NULL;
}

/* 1: a block was handed over; 0: the end; -1. */
static int next(struct reading *r, const struct transfer_sink *sink, void *user)
{
    struct transfer_end end;

    buf_clear(&r->bytes);
    if (get_all(r, buf_reserve(&r->bytes, sizeof(end)), sizeof(end)))
        return -1;
    r->bytes.len = sizeof(end);
    memcpy(&end, r->bytes.bytes, sizeof(end));
    if (memcmp(end.magic, TRANSFER_END, sizeof(end.magic)) == 0)
        return (int)read_end(r, &end);
    const struct block *b = read_block(r);
    if (!b)
        return -1;
    r->crc = b->crc;
    seal_next(&r->link, b);
    if (sink->block(user, b))
        return 1;
    refuse(r, "stopped at block %" PRIu64, b->number);
    return -1;
}

long transfer_import(transfer_get get, void *get_user, const struct transfer_sink *sink,
                     void *user, char *error, size_t error_size)
{
    struct reading r = {
        .get = get, .user = get_user, .error = error, .error_size = error_size};
    struct transfer_head head;
    long n = 0;
    int more = 1;

    if (get_all(&r, &head, sizeof(head)))
        return -1;
    if (memcmp(head.magic, TRANSFER_HEAD, sizeof(head.magic) - 1) == 0 &&
        head.magic[sizeof(head.magic) - 1] > TRANSFER_HEAD[sizeof(head.magic) - 1])
        return refuse(&r, "it is of a newer form, and needs a newer signalbox");
    if (memcmp(head.magic, TRANSFER_HEAD, sizeof(head.magic)) != 0 || head.first == 0)
        return refuse(&r, "it is no range of a log");
    r.link.block = head.first - 1;
    r.crc = head.prev_crc;
    memcpy(r.link.link, head.link, SEAL_SIZE);
    if (!sink->begin(user, &head))
        return refuse(&r, "stopped before block %" PRIu64, head.first);
    while (more > 0 && (more = next(&r, sink, user)) > 0)
        n++;
    buf_fini(&r.bytes);
    return more < 0 ? -1 : n;
}
