/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* maker - logs made by hand, as the broker would write them, with views or without */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/ledger/ledger.h"
#include "proto/record.h"

struct maker;

struct maker *maker_new(bool with_views);
/* The log on disk, in DIR/log with views beside it; it stays when the maker is freed. */
struct maker *maker_new_in(const char *dir);
void maker_free(struct maker *maker);
/* A ledger over the log made so far; the maker closes it. */
struct ledger *maker_ledger(struct maker *maker);

/* Records of the open block; each returns its position. `name` becomes the id (16 times
 * this byte). */
struct position maker_request(struct maker *maker, uint8_t name, const char *type,
                              const char *integration, const char *key);
struct position maker_fact(struct maker *maker, uint8_t name, const char *type,
                           enum record_status status);
struct position maker_outcome(struct maker *maker, uint8_t name, struct position request,
                              uint8_t request_name, enum record_class error_class,
                              const char *error_msg);
/* One of an integration, without a cost. */
struct position maker_free_outcome(struct maker *maker, uint8_t name,
                                   struct position request, uint8_t request_name,
                                   const char *integration,
                                   enum record_class error_class);
struct position maker_ack(struct maker *maker, const char *group, struct position first,
                          uint32_t count, enum record_class error_class);
struct position maker_retry(struct maker *maker, const char *group, struct position at,
                            uint32_t attempts, const char *error_msg);
struct position maker_integration(struct maker *maker, const char *name,
                                  const char *service);
struct position maker_group(struct maker *maker, const char *name, const char *type,
                            bool removed);
/* Anything else. */
struct position maker_record(struct maker *maker, const struct record_parts *parts);

/* Close the open block: time of the first is 1,000,000 us, one second more for each. */
void maker_seal(struct maker *maker);
/* The same, with totals that say something else than what is there. */
void maker_seal_lying(struct maker *maker, int requests, int facts, int outcomes);

/* What goes wrong with a block of the log when it is read. */
enum maker_harm { HARM_NONE, HARM_MISSING, HARM_FLIPPED, HARM_REPLACED, HARM_ENDS };
void maker_harm(struct maker *maker, enum maker_harm harm, uint64_t block);
/* The open block is sealed, and in the views, just after somebody has asked how far the
 * log reaches. */
void maker_grow_when_asked(struct maker *maker);
/* Apply no further blocks to the views: they lag behind. */
void maker_stop_views(struct maker *maker);
/* The same from this block on. */
void maker_stop_views_at(struct maker *maker, uint64_t block);
/* Clear the views and build them from the log in one batch. */
void maker_rebuild_views(struct maker *maker);
/* A second ledger over the log that knows no views; to be closed. */
struct ledger *maker_ledger_without_views(struct maker *maker);
/* The views, empty so far, are those of another log with as many blocks. */
void maker_foreign_views(struct maker *maker);
/* Remove the segments below; every block of maker_segment() opens one. */
void maker_segment(struct maker *maker);
/* The open block says that it holds a checkpoint. */
void maker_checkpoint(struct maker *maker);
void maker_trim(struct maker *maker, uint64_t keep_from);
/* "01010101-0101-0101-0101-010101010101" for 1. */
const char *maker_id(uint8_t name);
