/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "lib/base/mem.h"

void chain_find(struct chain *chain, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    chain->findings++;
    if (chain->fn)
        chain->fn(chain->user, text);
}

static struct chain_totals count(const struct block *b)
{
    struct chain_totals n = {0};

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r)) {
        n.requests += r->kind == RECORD_REQUEST;
        n.facts += r->kind == RECORD_FACT;
        n.outcomes += r->kind == RECORD_OUTCOME;
    }
    return n;
}

/* One total of a block whose predecessor is known. */
static bool total_fits(struct chain *chain, const struct block *b, const char *what,
                       uint64_t before, uint64_t said, uint64_t counted)
{
    if (said - before == counted)
        return true;
    chain_find(chain,
               "block %" PRIu64 ": holds %" PRIu64 " %s, its running total says %" PRId64,
               b->number, counted, what, (int64_t)(said - before));
    return false;
}

static bool totals_fit(struct chain *chain, const struct block *b,
                       const struct chain_totals *n)
{
    const struct chain_totals *before = &chain->said;
    bool fits = total_fits(chain, b, "requests", before->requests, b->requests_total,
                           n->requests);

    fits &= total_fits(chain, b, "facts", before->facts, b->facts_total, n->facts);
    fits &= total_fits(chain, b, "outcomes", before->outcomes, b->outcomes_total,
                       n->outcomes);
    uint64_t events = n->requests + n->facts + n->outcomes;
    if (b->events != events) {
        chain_find(chain,
                   "block %" PRIu64 ": holds %" PRIu64 " events, its header says %u",
                   b->number, events, b->events);
        fits = false;
    }
    return fits;
}

static bool order_fits(struct chain *chain, const struct block *b)
{
    bool fits = true;

    if (!chain->is_broken && b->prev_crc != chain->crc) {
        chain_find(chain,
                   "block %" PRIu64
                   ": names %08x as the checksum of the block before, which has %08x",
                   b->number, b->prev_crc, chain->crc);
        fits = false;
    }
    if (b->term < chain->term) {
        chain_find(chain,
                   "block %" PRIu64 ": of term %" PRIu64 " behind one of term %" PRIu64,
                   b->number, b->term, chain->term);
        fits = false;
    }
    if (b->timestamp_us < chain->timestamp_us) {
        chain_find(chain, "block %" PRIu64 ": is older than the block before", b->number);
        fits = false;
    }
    return fits;
}

/* A log that begins with block 1 began with nothing; of another the first block that
 * reads tells. */
static void start(struct chain *chain, const struct block *b,
                  const struct chain_totals *n)
{
    if (chain->first > 1) {
        chain->base = (struct chain_totals){b->requests_total - n->requests,
                                            b->facts_total - n->facts,
                                            b->outcomes_total - n->outcomes};
        chain->said = chain->base;
        chain->is_broken = true; /* what came before was removed by age */
    }
    chain->is_started = true;
}

void chain_block(struct chain *chain, const struct block *b)
{
    struct chain_totals n = count(b);

    if (!chain->first)
        chain->first = b->number;
    if (!chain->is_started)
        start(chain, b, &n);
    bool fits = order_fits(chain, b);
    if (!chain->is_broken) /* behind a hole the step of the totals is the hole's, too */
        fits &= totals_fit(chain, b, &n);
    chain->damaged += !fits;
    chain->said =
        (struct chain_totals){b->requests_total, b->facts_total, b->outcomes_total};
    chain->counted.requests += n.requests;
    chain->counted.facts += n.facts;
    chain->counted.outcomes += n.outcomes;
    chain->crc = b->crc;
    chain->term = b->term;
    chain->timestamp_us = b->timestamp_us;
    chain->is_broken = false;
}

void chain_hole(struct chain *chain, uint64_t number, bool is_missing, const char *why)
{
    if (is_missing)
        chain_find(chain, "block %" PRIu64 ": missing", number);
    else
        chain_find(chain, "block %" PRIu64 ": damaged: %s", number, why);
    chain->missing += is_missing;
    chain->damaged += !is_missing;
    chain->is_broken = true;
    if (!chain->first)
        chain->first = number;
}

void chain_cut(struct chain *chain, uint64_t last, uint64_t seen)
{
    chain_find(chain,
               "the log ends with block %" PRIu64 ", but block %" PRIu64 " was in it",
               last, seen);
    chain->missing += seen - last;
}
