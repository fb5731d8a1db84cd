/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* once - a connector for the system tests: a bank that has no idempotency keys and cannot
 * be asked; and a request that ends the process */
#include <stdlib.h>

#include "signalbox/connector.h"

static enum sb_verdict transfer_request(const struct sb_event *event,
                                        struct sb_request *request,
                                        struct sb_outcome *outcome)
{
    (void)event;
    (void)outcome;
    sb_call(request, "POST", "/transfer");
    return SB_DONE;
}

static enum sb_verdict look_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    (void)event;
    (void)outcome;
    sb_call(request, "GET", "/look");
    return SB_DONE;
}

static enum sb_verdict crash_request(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    (void)event;
    (void)request;
    (void)outcome;
    abort();
}

static enum sb_verdict any_succeeded(const struct sb_event *event,
                                     const struct sb_answer *answer,
                                     struct sb_outcome *outcome)
{
    (void)event;
    (void)answer;
    sb_put_bool(sb_result(outcome), "done", true);
    return SB_DONE;
}

static enum sb_verdict any_failed(const struct sb_event *event,
                                  const struct sb_answer *answer,
                                  struct sb_outcome *outcome)
{
    (void)event;
    (void)answer;
    (void)outcome;
    return SB_DEFAULT;
}

static const struct sb_operation operations[] = {
    {.name = "transfer",
     .summary = "Move money",
     .transition = "money: here -> there",
     .transition_failed = "money: stays here",
     SB_BRANCHES(transfer_request, any_succeeded, any_failed),
     .repeat = SB_REPEAT_NEVER,
     .degrade = "ask the bank",
     .test = "with the provider of the system tests"},
    {.name = "look",
     .summary = "Look at an account",
     SB_BRANCHES(look_request, any_succeeded, any_failed),
     .repeat = SB_REPEAT_SAFE,
     .test = "with the provider of the system tests"},
    {.name = "crash",
     .summary = "End the process",
     SB_BRANCHES(crash_request, any_succeeded, any_failed),
     .repeat = SB_REPEAT_SAFE,
     .test = "by the system tests"},
    {.name = NULL},
};
static const struct sb_failure_mode failures[] = {
    {"answer lost", "unknown", "a person asks the bank, and resolves"},
    {.name = NULL},
};
static const struct sb_connector once = {
    .name = "once",
    .version = "1",
    .summary = "signalbox connector of the system tests: may not be repeated",
    .operations = operations,
    .failures = failures,
    .tests = "the system tests",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&once, argc, argv);
}
