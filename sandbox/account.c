/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/account.h"

#include <stdlib.h>

#include "lib/base/mem.h"

void *account_open(const struct provider_options *options)
{
    struct account *account = mem_alloc(sizeof(*account));

    account->options = *options;
    account->api_key = mem_text(options->api_key);
    return account;
}

void account_close(void *state)
{
    struct account *account = state;

    effects_fini(&account->effects);
    free(account->api_key);
    free(account);
}

struct json *account_effects(const void *state)
{
    return effects_json(&((const struct account *)state)->effects);
}
