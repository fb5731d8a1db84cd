/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* account - what most practice providers keep: the key that is taken, and what was done
 *
 * Its functions are a row's `open`, `close` and `effects` as they are. */
#pragma once
#include "sandbox/effects.h"
#include "sandbox/provider.h"

struct account {
    struct provider_options options; /* api_key: see below */
    char *api_key;                   /* NULL: any that looks like a test key */
    struct effects effects;
};

void *account_open(const struct provider_options *options);
void account_close(void *state);
struct json *account_effects(const void *state);
