/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/types.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/store/views.h"

static int by_hash(const void *a, const void *b)
{
    const struct type_name *x = a, *y = b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

static void add(void *user, uint64_t hash, const char *type, size_t n)
{
    struct type_names *names = user;

    if ((names->n & (names->n - 1)) == 0)
        names->list =
            mem_resize(names->list, (names->n ? names->n * 2 : 1) * sizeof(*names->list));
    names->list[names->n++] = (struct type_name){hash, mem_copy(type, n)};
}

void types_read(struct type_names *names, struct views *views)
{
    *names = (struct type_names){0};
    (void)views_types(views, add, names); /* what is not kept is "?" */
    if (names->n)
        qsort(names->list, names->n, sizeof(*names->list), by_hash);
}

const char *types_find(const struct type_names *names, uint64_t hash)
{
    const struct type_name key = {.hash = hash};
    const struct type_name *found =
        names->n ? bsearch(&key, names->list, names->n, sizeof(key), by_hash) : NULL;

    return found ? found->text : "?";
}

void types_free(struct type_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->list[i].text);
    free(names->list);
    *names = (struct type_names){0};
}
