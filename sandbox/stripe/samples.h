/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* samples - the objects that simulated events are about, as far as nobody says otherwise
 */
#pragma once
#include <stdint.h>

#include "sandbox/stripe/stripe.h"

struct json;

/* What an event of `type` is about: an object of the kind its name says, with plausible
 * fields, and `data`'s members over them (`data` may be NULL). */
struct json *sample_object(const char *type, const struct json *data, uint64_t now_us);
/* The id of an event's text. */
void sample_id(const char *event_text, char ret_id[STRIPE_ID_SIZE]);
