/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* table - texts to pointers; grows, never forgets one */
#pragma once
#include <stddef.h>

struct table_entry {
    char *name; /* NULL: a free place */
    void *value;
};
struct table {
    struct table_entry *places; /* a power of two of them, at most half in use */
    size_t n_places, n;
};

#define TABLE_NULL ((struct table){0})

/* Frees the names; the values are the owner's. */
void table_fini(struct table *table);
/* NULL when there is none of this name. */
void *table_find(const struct table *table, const char *name);
/* The name must be new; it is copied. */
void table_add(struct table *table, const char *name, void *value);
/* Walk: start with *at = 0; NULL at the end. */
const struct table_entry *table_next(const struct table *table, size_t *at);
