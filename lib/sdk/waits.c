/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/waits.h"

#include <stdlib.h>

#include "lib/base/mem.h"

static struct wait *pointer(uint64_t value)
{
    return (struct wait *)(uintptr_t)value;
}

void waits_fini(struct waits *waits)
{
    const struct table_cell *cell;
    size_t at = 0;

    while ((cell = table_next(&waits->by_number, &at)))
        free(pointer(cell->value));
    table_fini(&waits->by_number);
    table_fini(&waits->by_batch);
}

void waits_add(struct waits *waits, const struct wait *wait)
{
    struct wait *copy = mem_copy(wait, sizeof(*wait));

    copy->number = ++waits->last;
    table_put(&waits->by_number, copy->number, 0, (uintptr_t)copy);
    if (copy->is_of_batch)
        table_put(&waits->by_batch, copy->ref, copy->index, (uintptr_t)copy);
    waits->unsent += !copy->is_sent;
}

static struct wait *take(struct waits *waits, const uint64_t *value)
{
    struct wait *wait = value ? pointer(*value) : NULL;

    if (!wait)
        return NULL;
    table_drop(&waits->by_number, wait->number, 0);
    if (wait->is_of_batch)
        table_drop(&waits->by_batch, wait->ref, wait->index);
    waits->unsent -= !wait->is_sent;
    return wait;
}

struct wait *waits_take_number(struct waits *waits, uint64_t number)
{
    return take(waits, table_get(&waits->by_number, number, 0));
}

struct wait *waits_take_batch(struct waits *waits, uint64_t batch, uint32_t index)
{
    return take(waits, table_get(&waits->by_batch, batch, index));
}

void waits_rewind(struct waits *waits)
{
    const struct table_cell *cell;
    size_t at = 0;

    while ((cell = table_next(&waits->by_number, &at)))
        pointer(cell->value)->is_sent = false;
    waits->unsent = waits->by_number.len;
}

struct wait *waits_unsent(struct waits *waits, size_t *at)
{
    const struct table_cell *cell;

    while (waits->unsent && (cell = table_next(&waits->by_number, at)))
        if (!pointer(cell->value)->is_sent)
            return pointer(cell->value);
    return NULL;
}

void waits_sent(struct waits *waits, struct wait *wait)
{
    wait->is_sent = true;
    waits->unsent--;
}
