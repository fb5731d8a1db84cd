/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model.h"

/* SIGNALBOX_MODEL_RUNS and SIGNALBOX_MODEL_SEED choose more of them. */
static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void random_sequences_keep_every_promise(void **state)
{
    unsigned runs = number("SIGNALBOX_MODEL_RUNS", 150),
             first = number("SIGNALBOX_MODEL_SEED", 1);
    uint8_t bytes[800];

    (void)state;
    for (unsigned seed = first; seed < first + runs; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15u;
        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (uint8_t)(random >> 56);
        }
        const char *broken = model_run(bytes, 20 + seed * 37 % 780);
        if (broken)
            fail_msg("seed %u: %s", seed, broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sequences_keep_every_promise)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
