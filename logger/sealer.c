/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "logger/sealer.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/ledger/seal.h"
#include "lib/store/store.h"

enum { STEP_BYTES = 4 << 20 };

struct sealer {
    struct store *store;
    char *dir;
    struct seal at;  /* the last block that was hashed */
    uint64_t sealed; /* the last one with a line */
    uint64_t until;  /* where the segment ends that is being hashed; 0: look for it */
    bool has_line;   /* the file has one, or the log begins with block 1 */
    bool has_given_up;
    struct buf bytes;
};

static void give_up(struct sealer *s, const char *why)
{
    log_say(SEALS_OFF, "block=%llu %s", (unsigned long long)s->at.block + 1, why);
    s->has_given_up = true;
}

struct sealer *sealer_new(struct store *store, const char *dir)
{
    struct sealer *s = mem_alloc(sizeof(*s));
    struct seals seals;
    struct log_head head;
    char error[512];

    s->store = store;
    s->dir = mem_text(dir);
    if (seals_read(dir, &seals, error, sizeof(error))) {
        give_up(s, error);
        return s;
    }
    store_head(store, &head);
    if (seals.n) {
        s->at = seals.list[seals.n - 1];
        s->has_line = true;
        if (s->at.block > head.number)
            give_up(s, "the seals are those of a longer log");
    }
    s->sealed = s->at.block;
    seals_fini(&seals);
    return s;
}

void sealer_free(struct sealer *s)
{
    if (!s)
        return;
    buf_fini(&s->bytes);
    free(s->dir);
    free(s);
}

uint64_t sealer_done(const struct sealer *s)
{
    return s->has_given_up ? UINT64_MAX - 1 : s->sealed;
}

static void add_line(struct sealer *s)
{
    char error[512];

    if (seals_add(s->dir, &s->at, error, sizeof(error))) {
        give_up(s, error);
        return;
    }
    s->sealed = s->at.block;
    s->has_line = true;
}

/* A log whose beginning was removed before it was sealed: the chain begins here, and says
 * so. */
static void begin_late(struct sealer *s, uint64_t first)
{
    if (!s->has_line && first > 1) {
        s->at = (struct seal){.block = first - 1};
        add_line(s);
    } else if (s->at.block + 1 < first) {
        give_up(s, "segments were removed before they were sealed");
    }
    s->has_line = true;
}

/* The segment of the next block, if another one follows it. */
static bool find_segment(struct sealer *s)
{
    size_t n = store_segments(s->store, NULL, 0);
    _free_ struct store_segment *list = mem_array(n + 1, sizeof(*list));
    size_t there = store_segments(s->store, list, n);

    n = there < n ? there : n;
    if (n < 2)
        return false;
    begin_late(s, list[0].first);
    for (size_t i = 0; i + 1 < n && !s->has_given_up; i++)
        if (s->at.block + 1 < list[i + 1].first) {
            s->until = list[i + 1].first - 1;
            return true;
        }
    return false;
}

bool sealer_step(struct sealer *s)
{
    size_t done = 0;

    if (s->has_given_up || (!s->until && !find_segment(s)))
        return false;
    while (done < STEP_BYTES && s->at.block < s->until) {
        if (store_read(s->store, s->at.block + 1, &s->bytes) != STORE_OK) {
            give_up(s, store_error(s->store));
            return false;
        }
        seal_next(&s->at, (const struct block *)(const void *)s->bytes.bytes);
        done += s->bytes.len;
    }
    if (s->at.block == s->until) {
        s->until = 0;
        add_line(s);
    }
    return !s->has_given_up;
}
