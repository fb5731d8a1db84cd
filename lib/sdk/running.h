/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* running - the positions a peer works on, as the broker is told of them
 *
 * What is started stands in a table (peer_started puts it there); what is done but not
 * yet answered stands in the results of an outbox. */
#pragma once
#include <stddef.h>

struct buf;
struct outbox;
struct table;

/* Append what is started, as struct wire_position. */
void running_started(const struct table *started, struct buf *out);
/* Append all that the broker must not give to others: started, or in an unanswered
 * result. Ascending. */
void running_all(const struct table *started, const struct outbox *batches,
                 struct buf *out);
/* A result's records settle what they name: it no longer runs. */
void running_settle(struct table *started, const void *records, size_t n);
