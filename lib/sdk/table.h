/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* table - pairs of numbers to a number: positions that are started, questions that are
 * open */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_cell {
    uint64_t a;
    uint32_t b;
    uint32_t is_used;
    uint64_t value;
};

struct table {
    struct table_cell *cells;
    size_t cap, len; /* cap: 0 or a power of two */
};

void table_fini(struct table *table);
/* Set the value under (a, b); true when it was not there before. */
bool table_put(struct table *table, uint64_t a, uint32_t b, uint64_t value);
/* NULL when absent; valid until the next put or drop. */
uint64_t *table_get(const struct table *table, uint64_t a, uint32_t b);
bool table_drop(struct table *table, uint64_t a, uint32_t b);
/* Walk: the next used cell at or after *at, which is moved on; NULL at the end. No drop
 * or put meanwhile. */
const struct table_cell *table_next(const struct table *table, size_t *at);
