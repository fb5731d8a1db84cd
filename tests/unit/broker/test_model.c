/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model.h"
#include "world.h"

enum { RUNS_TO_CATCH = 2000 };

/* SIGNALBOX_MODEL_RUNS and SIGNALBOX_MODEL_SEED choose more of them. */
static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static const char *run(unsigned seed, struct world_fault *fault)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15u;
    uint8_t bytes[800];

    for (size_t i = 0; i < sizeof(bytes); i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(random >> 56);
    }
    return model_run(bytes, 20 + seed * 37 % 780, fault);
}

static void random_sequences_keep_every_promise(void **state)
{
    unsigned runs = number("SIGNALBOX_MODEL_RUNS", 150),
             first = number("SIGNALBOX_MODEL_SEED", 1);

    (void)state;
    for (unsigned seed = first; seed < first + runs; seed++) {
        const char *broken = run(seed, NULL);
        if (broken)
            fail_msg("seed %u: %s", seed, broken);
    }
}

/* A checker that lets a broken broker pass is worth nothing. */
static void a_planted_fault_is_caught(const struct world_fault *planted)
{
    struct world_fault fault = *planted;
    const char *broken = NULL;
    unsigned seed = 0;

    while (!broken && seed < RUNS_TO_CATCH)
        broken = run(++seed, &fault);
    if (!broken)
        fail_msg("not caught in %u runs; the fault had %u occasions", seed, fault.count);
    print_message("caught in run %u: %s\n", seed, broken);
}

static void who_acknowledges_before_the_commit_is_caught(void **state)
{
    (void)state;
    a_planted_fault_is_caught(
        &(struct world_fault){.kind = FAULT_ACKS_EARLY, .every = 100});
}

static void who_drops_every_thousandth_event_is_caught(void **state)
{
    (void)state;
    a_planted_fault_is_caught(&(struct world_fault){.kind = FAULT_DROPS, .every = 1000});
}

static void who_swaps_two_events_of_a_key_is_caught(void **state)
{
    (void)state;
    a_planted_fault_is_caught(&(struct world_fault){.kind = FAULT_SWAPS, .every = 100});
}

static void who_mistakes_an_event_of_the_providers_for_another_is_caught(void **state)
{
    (void)state;
    a_planted_fault_is_caught(
        &(struct world_fault){.kind = FAULT_MISTAKES, .every = 100});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sequences_keep_every_promise),
        cmocka_unit_test(who_acknowledges_before_the_commit_is_caught),
        cmocka_unit_test(who_drops_every_thousandth_event_is_caught),
        cmocka_unit_test(who_swaps_two_events_of_a_key_is_caught),
        cmocka_unit_test(who_mistakes_an_event_of_the_providers_for_another_is_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
