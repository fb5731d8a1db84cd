/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* judge - what may be done with each event, read from the committed log alone
 *
 * Knows nothing of the core.  Hears every block when it is committed and every delivery
 * when it is sent, and says what broke. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/block.h"
#include "proto/message.h"

/* Who must handle an event: an integration, or a consumer group. */
enum judge_group { JUDGE_HANDLER, JUDGE_CONSUMER, JUDGE_GROUPS };

struct judged {
    struct position position;
    uint64_t key;
    enum judge_group group;
    uint32_t attempts; /* spent, says the log */
    bool is_once;      /* an operation that may not be repeated */
    bool is_begun;     /* a START of it is in the log, and no word since */
    bool is_fresh;     /* that START was not followed by a delivery or a restart */
    bool is_scheduled;
    bool is_settled;
};

struct judge {
    bool is_ordered[JUDGE_GROUPS];
    uint32_t handler; /* the integration's hash */
    struct judged *events;
    size_t n, cap;
    uint64_t blocks;    /* heard */
    uint64_t published; /* the number of the newest of the client's */
    uint8_t told[10];   /* how often the log has a provider's event, by its number */
    int64_t owed;       /* found with the outcome before, and not accounted for yet */
    uint8_t owing[16];  /* the cause of that outcome */
    const char *broken; /* NULL: nothing */
};

void judge_fini(struct judge *judge);
/* A block is committed. */
void judge_block(struct judge *judge, const struct block *block);
/* A DELIVER is sent. */
void judge_delivery(struct judge *judge, const struct message *deliver);
/* The broker died and another one replayed. */
void judge_restart(struct judge *judge);
/* Everyone was well for long enough: nothing is open but a scheduled run. */
void judge_end(struct judge *judge);
