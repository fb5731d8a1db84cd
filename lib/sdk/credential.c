/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/credential.h"

#include "lib/base/mem.h"

void credential_fini(struct credential *credential)
{
    mem_free_secret(credential->token_url);
    mem_free_secret(credential->id);
    mem_free_secret(credential->secret);
    mem_free_secret(credential->scope);
    *credential = (struct credential){0};
}
