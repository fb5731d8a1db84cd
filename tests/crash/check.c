/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/store/store.h"
#include "tests/unit/store/chain.h"

enum { SEGMENT = 16 << 20 };

struct checking {
    const struct acknowledged *said;
    uint64_t seen; /* acknowledged blocks that are there */
    char *found;
    size_t found_size;
    bool is_bad;
};

void acknowledged_line(struct acknowledged *said, const char *line)
{
    unsigned long long number;
    unsigned crc;

    if (sscanf(line, "%llu %x", &number, &crc) != 2 || number >= ACKNOWLEDGED_MAX)
        return;
    if (number >= said->size) {
        size_t size = (size_t)number * 2 + 1024;
        said->crcs = mem_resize(said->crcs, size * sizeof(*said->crcs));
        memset(said->crcs + said->size, 0, (size - said->size) * sizeof(*said->crcs));
        said->size = size;
    }
    said->crcs[number] = crc;
    said->n = number > said->n ? number : said->n;
}

void acknowledged_fini(struct acknowledged *said)
{
    free(said->crcs);
    *said = (struct acknowledged){0};
}

/* The first complaint is kept. */
#define COMPLAIN(c, ...)                                                                 \
    do {                                                                                 \
        if (!(c)->is_bad)                                                                \
            snprintf((c)->found, (c)->found_size, __VA_ARGS__);                          \
        (c)->is_bad = true;                                                              \
    } while (0)

static bool check_block(void *user, uint64_t number, const struct block *block,
                        const char *why)
{
    struct checking *c = user;
    uint32_t crc = number < c->said->size ? c->said->crcs[number] : 0;

    if (!block)
        COMPLAIN(c, "damaged: %s", why);
    else if (crc && crc != block->crc)
        COMPLAIN(c, "block %llu is another than the one acknowledged",
                 (unsigned long long)number);
    c->seen += block && crc;
    return true;
}

static uint64_t count(const struct acknowledged *said)
{
    uint64_t n = 0;

    for (uint64_t i = 1; i <= said->n; i++)
        n += said->crcs[i] != 0;
    return n;
}

static void check_going_on(struct checking *c, struct store *store,
                           const struct log_head *head)
{
    struct chain chain = chain_behind(head);
    _free_ struct block *next = chain_next(&chain, 1000, 0);
    const struct block *list[] = {next};

    if (store_append(store, list, 1))
        COMPLAIN(c, "does not go on: %s", store_error(store));
}

bool check_store(const char *dir, const struct acknowledged *said, char *found,
                 size_t found_size)
{
    const struct store_options options = {.dir = dir, .segment_size = SEGMENT};
    struct checking c = {.said = said, .found = found, .found_size = found_size};
    struct log_head head;
    char error[512];

    struct store *store = store_open(&options, error, sizeof(error));
    if (!store) {
        COMPLAIN(&c, "cannot open: %s", error);
        return false;
    }
    store_head(store, &head);
    store_scan(store, 1, /* verify= */ true, check_block, &c);
    if (c.seen < count(said))
        COMPLAIN(&c,
                 "%llu blocks were acknowledged, up to %llu; %llu of them are there, up "
                 "to %llu",
                 (unsigned long long)count(said), (unsigned long long)said->n,
                 (unsigned long long)c.seen, (unsigned long long)head.number);
    check_going_on(&c, store, &head);
    store_close(store);
    if (!c.is_bad)
        snprintf(found, found_size, "%llu acknowledged, %llu there",
                 (unsigned long long)said->n, (unsigned long long)head.number);
    return !c.is_bad;
}
