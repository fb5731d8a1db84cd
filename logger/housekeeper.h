/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* housekeeper - the thread that may be slow
 *
 * It writes segment files ahead, measures free space, frees what dead readers held, and
 * applies committed blocks to the views.  Nothing here is in the way of a commit; nothing
 * here is needed for one, except that without files written ahead commits get slower. */
#pragma once

struct housekeeper;
struct store;

/* `dir` is where the views are. */
struct housekeeper *housekeeper_start(struct store *store, const char *dir);
/* Finish the step it is at, end the thread, close the views. NULL is fine. */
void housekeeper_stop(struct housekeeper *housekeeper);
/* Blocks were committed. Any thread. */
void housekeeper_poke(struct housekeeper *housekeeper);
