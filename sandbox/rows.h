/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* rows - each provider's row, in its folder's row.c */
#pragma once
#include "sandbox/provider.h"

extern const struct provider stripe_row, sendgrid_row, resend_row, slack_row, twilio_row,
    openai_row, anthropic_row, google_row, nominatim_row, oauth_row;
