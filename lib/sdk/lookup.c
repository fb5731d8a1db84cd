/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* lookup - did it happen?
 *
 * Never is something sent blindly that may have had its effect: the service is asked,
 * after a pause in which the effect can reach what is asked.  In one delivery that is at
 * most one call with lookups before and after it; whatever those cannot tell is
 * Failed/unknown, for a person. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/sdk/call_state.h"

static bool give_up(struct call *call, const char *why)
{
    _free_ char *said = mem_text(why); /* it may be the very text that is written over */

    call->is_asking = false;
    return call_fail(call, CLASS_unknown, "%s; it was looked up, which did not tell: %s",
                     call->doubt, said);
}

static uint64_t pause_of(const struct call *call)
{
    uint32_t s = call->operation->lookup_after_s;

    if (call->integration->lookup_after_us)
        return call->integration->lookup_after_us;
    return (s ? s : CALL_LOOKUP_AFTER_S) * UINT64_C(1000000);
}

static bool ask(struct call *call, uint64_t now_us, uint64_t pause_us)
{
    const uint64_t max_us = CALL_LOOKUP_PAUSE_MAX_S * UINT64_C(1000000);
    const char *why;

    call_request_reset(call);
    call_outcome_reset(call);
    call->is_asking = true;
    call->must_ask = false;
    call->asked++;
    call->pause_us = pause_us < max_us ? pause_us : max_us;
    if (call->operation->lookup_request(&call->event, &call->request, &call->outcome) !=
        SB_DONE)
        return give_up(call, call->outcome.message);
    return call_assemble(call, /* is_keyed= */ false, now_us, &why) || give_up(call, why);
}

bool lookup_begin(struct call *call, uint64_t now_us, const char *doubt)
{
    if (!call->operation->lookup_request)
        return call_fail(call, CLASS_unknown, "%s: look it up and resolve", doubt);
    free(call->doubt);
    call->doubt = mem_text(doubt);
    call->asked = 0;
    return ask(call, now_us, pause_of(call));
}

/* It has not happened: it is sent, or where that was just done given back, so that
 * attempts are counted. */
static bool undone(struct call *call, uint64_t now_us)
{
    uint64_t deadline_us = call_deadline_us(call);

    call->is_asking = false;
    call_outcome_reset(call);
    if (deadline_us && now_us > deadline_us)
        return call_fail(call, CLASS_deadline,
                         "%s; a lookup found that it had not happened, and the deadline "
                         "passed before it could be sent again",
                         call->doubt);
    if (!call->was_sent)
        return call_send(call, now_us);
    snprintf(call->outcome.message, sizeof(call->outcome.message),
             "%s; a lookup found that it had not happened", call->doubt);
    call_conclude(call, CALL_RETRY, CLASS_none);
    return false;
}

static bool again(struct call *call, uint64_t pause_us, uint64_t now_us)
{
    if (call->asked >= CALL_LOOKUPS_MAX)
        return give_up(call, call->outcome.message);
    if (call->outcome.after_us)
        pause_us = call->outcome.after_us;
    return ask(call, now_us, pause_us ? pause_us : pause_of(call) << call->asked);
}

bool lookup_end(struct call *call, enum sb_verdict verdict, uint64_t pause_us,
                uint64_t now_us)
{
    if (verdict == SB_ABSENT)
        return undone(call, now_us);
    if (verdict == SB_RETRY)
        return again(call, pause_us, now_us);
    if (verdict != SB_DONE && verdict != SB_FAILED)
        return give_up(call, call->outcome.message);
    call->is_asking = false;
    call_take_verdict(call, verdict);
    return false;
}
