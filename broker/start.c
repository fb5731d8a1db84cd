/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* start - what may not be repeated is begun on record
 *
 * The manifest says of each operation whether it may be repeated: always, under a key, or
 * never.  Before an attempt at one of the last kind is delivered, a START is committed.
 * From then on, until the connector says that nothing happened or the request is settled,
 * every other delivery of it carries doubt, whoever died meanwhile.  Nothing of this kind
 * is handed over beforehand: a session has no more of them than are called at one time,
 * so that little is in doubt that was never called. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"

/* What is not said to be repeatable is not repeated. */
static bool is_repeatable(const struct json *operation)
{
    const char *repeat = js_text(operation, "repeat", "never");

    return strcmp(repeat, "safe") == 0 || strcmp(repeat, "keyed") == 0;
}

static void set_types(struct group *group, const struct manifest *manifest)
{
    const struct json *list = manifest ? js_get(manifest->json, "operations") : NULL;

    free(group->once);
    group->n_once_types = 0;
    group->once = mem_array(js_count(list), sizeof(*group->once));
    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *operation = js_at(list, i);
        _free_ char *type = mem_format("%s.%s.requested", manifest->connector,
                                       js_text(operation, "name", ""));
        if (!is_repeatable(operation))
            group->once[group->n_once_types++] = hash_text(type);
    }
}

void start_types(struct core *core)
{
    for (size_t i = 0; i < core->n_groups; i++)
        set_types(core->groups[i], manifest_find(core, core->groups[i]));
}

bool start_is_once(const struct group *group, const struct record *r)
{
    for (size_t i = 0; i < group->n_once_types; i++)
        if (group->once[i] == r->type_hash)
            return true;
    return false;
}

bool start_is_full(const struct group *group)
{
    uint32_t most =
        group->gate.limit.concurrency ? group->gate.limit.concurrency : CORE_ONCE_MAX;

    return group->n_once >= most;
}

void start_stage(struct core *core, struct group *group, struct position position,
                 struct cell *cell)
{
    struct control_start data = {
        .block = position.block, .index = position.index, .group = group->hash};
    struct record_parts parts = {
        .kind = RECORD_START, .data = &data, .data_len = sizeof(data)};

    stage_parts(core, &parts, NULL);
    cell->state = CELL_STARTING;
    cell->flags |= CELL_ONCE;
    group->n_once++;
    group->inflight++;
}
