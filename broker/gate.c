/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/gate.h"

#include "broker/state.h"

static enum gate wait_until(struct group *group, uint64_t steady_us)
{
    group->gate_due_us = steady_us;
    return GATE_WAIT;
}

enum gate gate_may_start(struct core *core, struct group *group, struct position position,
                         const struct record *r)
{
    (void)position;
    if (!group->is_handler || (r->flags & RECORD_WEBHOOK))
        return GATE_OPEN;
    if (group->limit.concurrency && group->inflight >= group->limit.concurrency)
        return wait_until(group, UINT64_MAX);
    uint64_t next_us = limit_next_us(&group->limit, core->steady_us);
    if (next_us > core->steady_us)
        return wait_until(group, next_us);
    limit_take(&group->limit);
    return GATE_OPEN;
}

uint64_t gate_due_us(const struct core *core, const struct group *group)
{
    return group->gate_due_us > core->dispatched_us ? group->gate_due_us : UINT64_MAX;
}
