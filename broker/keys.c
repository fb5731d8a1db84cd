/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* keys - idempotency keys that the views do not hold yet: staged, or committed a moment
 * ago */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

enum { KEYS_MIN = 1024 }; /* places of the table; half of them are used at most */

static size_t home(const struct core *core, const uint8_t key[16])
{
    uint64_t hash;

    memcpy(&hash, key, sizeof(hash));
    return (size_t)((hash ^ core->random_mix) * 0x9e3779b97f4a7c15u >> 20) &
           (core->cap_keys - 1);
}

struct key_entry *key_find(struct core *core, const uint8_t key[16])
{
    if (core->n_keys == 0)
        return NULL;
    for (size_t at = home(core, key); core->keys[at].is_used;
         at = (at + 1) & (core->cap_keys - 1))
        if (memcmp(core->keys[at].key, key, 16) == 0)
            return &core->keys[at];
    return NULL;
}

bool key_value(struct core *core, const uint8_t key[16], struct core_key *ret)
{
    const struct key_entry *entry = key_find(core, key);

    if (!entry)
        return core->ops->find_key(core->user, key, ret);
    *ret = entry->value;
    return entry->value.expires_us > core->wall_us;
}

/* Staged, or committed behind what the views hold. */
static bool is_needed(const struct key_entry *entry, uint64_t views_applied)
{
    return entry->value.position.block == 0 ||
           entry->value.position.block > views_applied;
}

static void rebuild(struct core *core, size_t cap, uint64_t drop_up_to)
{
    struct key_entry *old = core->keys;
    size_t old_cap = core->cap_keys;

    core->keys = mem_array(cap, sizeof(*core->keys));
    core->cap_keys = cap;
    core->n_keys = 0;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].is_used && is_needed(&old[i], drop_up_to))
            key_put(core, old[i].key, &old[i].value);
    free(old);
}

void key_put(struct core *core, const uint8_t key[16], const struct core_key *value)
{
    struct key_entry *entry = key_find(core, key);

    if (entry) {
        entry->value = *value;
        return;
    }
    if (core->n_keys * 2 >= core->cap_keys)
        rebuild(core, core->cap_keys ? core->cap_keys * 2 : KEYS_MIN, 0);
    size_t at = home(core, key);
    while (core->keys[at].is_used)
        at = (at + 1) & (core->cap_keys - 1);
    core->keys[at] = (struct key_entry){.value = *value, .is_used = true};
    memcpy(core->keys[at].key, key, 16);
    core->n_keys++;
}

/* Takes back a staged key; those behind it in the same run are put again, so that none is
 * lost. */
void key_drop(struct core *core, const uint8_t key[16])
{
    struct key_entry *entry = key_find(core, key);

    if (!entry)
        return;
    entry->is_used = false;
    core->n_keys--;
    for (size_t at = (size_t)(entry - core->keys + 1) & (core->cap_keys - 1);
         core->keys[at].is_used; at = (at + 1) & (core->cap_keys - 1)) {
        struct key_entry moved = core->keys[at];
        core->keys[at].is_used = false;
        core->n_keys--;
        key_put(core, moved.key, &moved.value);
    }
}

void keys_forget(struct core *core)
{
    size_t cap = KEYS_MIN, left = 0;

    for (size_t i = 0; i < core->cap_keys; i++)
        left += core->keys[i].is_used && is_needed(&core->keys[i], core->views_applied);
    while (cap < left * 4)
        cap *= 2;
    rebuild(core, cap, core->views_applied); /* a peak's memory goes with it */
}
