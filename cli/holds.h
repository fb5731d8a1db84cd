/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* holds - what holds calls back, and what the clock will call: as `status` shows it */
#pragma once
#include <stdint.h>

struct json;

/* Print it of the groups of a broker's status; nothing when there is nothing to say. */
void holds_print(const struct json *groups, uint64_t now_us);
