/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* hold - events on their way into the log
 *
 * Many HTTP requests share one batch and so one commit: what arrives in one turn of the
 * loop, or while two batches are on their way, goes out together.  While the broker is
 * away requests are held, for HOLD_US and HOLD_BYTES_MAX at most, then told that it is
 * unavailable.  A batch that is refused because of one of its requests is halved until
 * only that one is refused. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct hold;
struct loop;

enum {
    HOLD_US = 2 * 1000 * 1000,        /* not sent by then: ERR_unavailable */
    HOLD_ANSWER_US = 5 * 1000 * 1000, /* sent and not answered by then: ERR_unavailable,
                                         though it may be stored */
    HOLD_BYTES_MAX =
        32 << 20, /* of all that is held or on its way; beyond it hold_add says no */
    HOLD_BATCH_SIZE = 1 << 20, /* a batch is closed when it would grow beyond it */
    HOLD_BATCHES_MAX = 2,      /* on their way, of each lane */
};

/* What became of one hold_add. */
struct hold_result {
    unsigned error; /* 0: committed; else nothing of it is stored */
    const char *detail;
    uint32_t retry_after_ms; /* 0: nothing was said */
    bool is_place_unknown;   /* the broker was started anew: no outcome will be sent */
    uint64_t batch; /* with first + the event's number it names the event in on_outcome */
    uint32_t first;
    /* For each event of the hold_add: NULL when it was stored, else why not. NULL when
     * all were stored. */
    const struct verdict *const *verdicts;
};
typedef void (*hold_fn)(void *user, const struct hold_result *result);

/* The bus as this file needs it (see peer.h). */
struct hold_bus {
    void *user;
    uint64_t (*publish)(void *user, const void *records, size_t n, bool waits);
    bool (*is_joined)(void *user);
};

struct hold *hold_new(struct loop *loop, const struct hold_bus *bus);
/* Tells all that are not answered ERR_shutting_down. */
void hold_free(struct hold *hold);
/* Take n bytes of records that hold `events` events; fn is called once, later. `waits`:
 * outcomes are wanted. False, and fn is not called, when the bound on bytes is reached.
 * Copies. */
bool hold_add(struct hold *hold, const void *records, size_t n, uint32_t events,
              bool waits, hold_fn fn, void *user);
/* Requests that are not answered yet. */
unsigned hold_count(const struct hold *hold);
/* The steady time at which the one came that waits longest; UINT64_MAX: nobody waits. */
uint64_t hold_oldest_us(const struct hold *hold);

/* From the bus. */
void hold_joined(struct hold *hold);
void hold_published(struct hold *hold, uint64_t batch, const struct published *published,
                    const struct verdict *verdicts, uint32_t n);
void hold_refused(struct hold *hold, uint64_t batch, unsigned error, const char *detail,
                  uint32_t retry_after_ms);
