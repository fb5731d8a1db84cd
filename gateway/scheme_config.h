/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_config - the row of an `hmac:` in the configuration */
#pragma once
#include "gateway/scheme.h"

struct config_hmac;

enum { SCHEME_HMAC_TOLERANCE_S = 300 }; /* where a time is signed, on both sides */

/* Its texts are the configuration's, which must outlive the row. Everything about it has
 * been checked when the configuration was read (lib/config/check_webhook.c). */
struct scheme scheme_of_config(const struct config_hmac *hmac);
