/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sealer - the housekeeper's hand that seals complete segments (lib/ledger/seal.h)
 *
 * A little at a time, behind the writer: nothing waits for it but the removal of
 * segments. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sealer;
struct store;

/* Go on behind the last line of `dir`/seals. */
struct sealer *sealer_new(struct store *store, const char *dir);
void sealer_free(struct sealer *sealer);
/* Hash a few MiB of blocks; BLOCKS for some milliseconds. True when there is more to do.
 * What cannot be sealed (a damaged block, seals of another log, no room) is said once,
 * and it gives up. */
bool sealer_step(struct sealer *sealer);
/* Segments up to this block may be removed as far as seals are concerned. */
uint64_t sealer_done(const struct sealer *sealer);
