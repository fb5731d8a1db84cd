/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->n_places; i++)
        free(table->places[i].name);
    free(table->places);
    *table = TABLE_NULL;
}

/* Where `name` stands, or the free place where it would. */
static struct table_entry *place(const struct table *table, const char *name)
{
    size_t i = hash_text(name) & (table->n_places - 1);

    while (table->places[i].name && strcmp(table->places[i].name, name))
        i = (i + 1) & (table->n_places - 1);
    return &table->places[i];
}

void *table_find(const struct table *table, const char *name)
{
    return table->n_places ? place(table, name)->value : NULL;
}

static void grow(struct table *table)
{
    struct table old = *table;

    table->n_places = old.n_places ? old.n_places * 2 : 64;
    table->places = mem_array(table->n_places, sizeof(*table->places));
    for (size_t i = 0; i < old.n_places; i++)
        if (old.places[i].name)
            *place(table, old.places[i].name) = old.places[i];
    free(old.places);
}

void table_add(struct table *table, const char *name, void *value)
{
    struct table_entry *entry;

    if (table->n * 2 >= table->n_places)
        grow(table);
    entry = place(table, name);
    assert(!entry->name);
    entry->name = mem_text(name);
    entry->value = value;
    table->n++;
}

const struct table_entry *table_next(const struct table *table, size_t *at)
{
    while (*at < table->n_places) {
        const struct table_entry *entry = &table->places[(*at)++];

        if (entry->name)
            return entry;
    }
    return NULL;
}
