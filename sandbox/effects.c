/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/effects.h"

#include <stdint.h>
#include <stdlib.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/provider.h"

void effects_fini(struct effects *effects)
{
    const struct table_entry *entry;

    for (size_t at = 0; (entry = table_next(&effects->table, &at));)
        free(entry->value);
    table_fini(&effects->table);
}

bool effects_add(struct effects *effects, const char *name)
{
    int64_t *count = table_find(&effects->table, name);

    if (!count && effects->table.n >= PROVIDER_OBJECTS_MAX)
        return false;
    if (!count) {
        count = mem_alloc(sizeof(*count));
        table_add(&effects->table, name, count);
    }
    ++*count;
    return true;
}

struct json *effects_json(const struct effects *effects)
{
    struct json *json = js_object();
    const struct table_entry *entry;

    for (size_t at = 0; (entry = table_next(&effects->table, &at));)
        js_set_int(json, entry->name, *(const int64_t *)entry->value);
    return json;
}
