/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/credential.h"

#include <stdlib.h>
#include <string.h>

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void credential_fini(struct credential *credential)
{
    wipe(credential->token_url);
    wipe(credential->id);
    wipe(credential->secret);
    wipe(credential->scope);
    *credential = (struct credential){0};
}
