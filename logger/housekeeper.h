/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* housekeeper - the thread that may be slow
 *
 * It writes segment files ahead, measures free space, frees what dead readers held, applies
 * committed blocks to the views, and seals complete segments.  Nothing here is in the way of a commit; nothing
 * here is needed for one, except that without files written ahead commits get slower. */
#pragma once
#include <stdint.h>

struct housekeeper;
struct store;

/* What of the log may go: segments older than `age_us`, and the oldest ones while all are
 * more than `size` bytes; 0 = no such bound. Never what the broker needs, nor what the
 * views have not seen. */
struct retention {
    uint64_t age_us, size;
};
/* `dir` is where the views are. */
struct housekeeper *housekeeper_start(struct store *store, const char *dir,
                                      const struct retention *retention);
/* The broker needs nothing below this block. Any thread. Until it was said nothing is
 * removed. */
void housekeeper_keep(struct housekeeper *housekeeper, uint64_t keep_from);
/* Finish the step it is at, end the thread, close the views. NULL is fine. */
void housekeeper_stop(struct housekeeper *housekeeper);
/* Blocks were committed. Any thread. */
void housekeeper_poke(struct housekeeper *housekeeper);
