/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The practice providers there are: a folder and a line each. */
#include <string.h>

#include "sandbox/provider.h"
#include "sandbox/rows.h"

const struct provider *const providers[] = {
    &stripe_row,    &sendgrid_row, &resend_row,    &slack_row, &twilio_row, &openai_row,
    &anthropic_row, &google_row,   &nominatim_row, &oauth_row, NULL,
};

const struct provider *provider_find(const char *name)
{
    for (const struct provider *const *row = providers; *row; row++)
        if (strcmp((*row)->name, name) == 0)
            return *row;
    return NULL;
}
