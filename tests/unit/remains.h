/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* remains - how often a secret stands in the memory of the test's own process */
#pragma once
#include <stdint.h>

enum { REMAINS_LEN = 24, REMAINS_MASK = 0x5a };

/* A text of random letters that stands nowhere in this process but as `masked`. */
void remains_make(uint8_t masked[REMAINS_LEN]);
/* Write it in clear, without a NUL. */
void remains_write(const uint8_t masked[REMAINS_LEN], char *to);
/* How often it stands in the private, writable memory of this process. */
unsigned remains_count(const uint8_t masked[REMAINS_LEN]);
