/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing, at most half full; a drop moves the followers
 * back, so there are no graves. */
#include "lib/sdk/table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static size_t home(const struct table *table, uint64_t a, uint32_t b)
{
    uint64_t mixed = (a * 0x9e3779b97f4a7c15u) ^ ((uint64_t)b * 0xc2b2ae3d27d4eb4fu);

    return (size_t)(mixed ^ (mixed >> 29)) & (table->cap - 1);
}

/* Where (a, b) stands, or the empty cell where it would. */
static size_t find(const struct table *table, uint64_t a, uint32_t b)
{
    size_t at = home(table, a, b);

    while (table->cells[at].is_used &&
           (table->cells[at].a != a || table->cells[at].b != b))
        at = (at + 1) & (table->cap - 1);
    return at;
}

static void grow(struct table *table)
{
    struct table bigger = {.cap = table->cap ? 2 * table->cap : 64};

    bigger.cells = mem_array(bigger.cap, sizeof(*bigger.cells));
    for (size_t i = 0; i < table->cap; i++)
        if (table->cells[i].is_used)
            bigger.cells[find(&bigger, table->cells[i].a, table->cells[i].b)] =
                table->cells[i];
    bigger.len = table->len;
    free(table->cells);
    *table = bigger;
}

void table_fini(struct table *table)
{
    free(table->cells);
    *table = (struct table){0};
}

bool table_put(struct table *table, uint64_t a, uint32_t b, uint64_t value)
{
    if (2 * table->len >= table->cap)
        grow(table);
    struct table_cell *cell = &table->cells[find(table, a, b)];
    bool is_new = !cell->is_used;
    *cell = (struct table_cell){.a = a, .b = b, .is_used = 1, .value = value};
    table->len += is_new;
    return is_new;
}

uint64_t *table_get(const struct table *table, uint64_t a, uint32_t b)
{
    struct table_cell *cell = table->len ? &table->cells[find(table, a, b)] : NULL;

    return cell && cell->is_used ? &cell->value : NULL;
}

bool table_drop(struct table *table, uint64_t a, uint32_t b)
{
    if (!table_get(table, a, b))
        return false;
    size_t mask = table->cap - 1, hole = find(table, a, b);
    for (size_t at = (hole + 1) & mask; table->cells[at].is_used; at = (at + 1) & mask) {
        size_t wants = home(table, table->cells[at].a, table->cells[at].b);
        if (((at - wants) & mask) >=
            ((at - hole) & mask)) { /* may move back to the hole */
            table->cells[hole] = table->cells[at];
            hole = at;
        }
    }
    table->cells[hole].is_used = 0;
    table->len--;
    return true;
}

const struct table_cell *table_next(const struct table *table, size_t *at)
{
    while (*at < table->cap) {
        const struct table_cell *cell = &table->cells[(*at)++];
        if (cell->is_used)
            return cell;
    }
    return NULL;
}
