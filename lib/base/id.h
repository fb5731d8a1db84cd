/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* id - names of events: UUIDv7 (RFC 9562, section 5.7) */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define ID_TEXT_SIZE 37 /* 36 characters and the NUL */

/* A new id for the time `now_us` (microseconds since 1970). Ids made by one process ascend
 * (RFC 9562, 6.2, method 2: monotonic random), also when the clock goes back. */
void id_new(uint64_t now_us, uint8_t ret_id[16]);
/* The 8-4-4-4-12 form in lower case. */
void id_format(const uint8_t id[16], char ret_text[ID_TEXT_SIZE]);
/* Read the 36-character form, either case. False, and ret_id untouched, when it is not one. */
bool id_parse(const char *text, uint8_t ret_id[16]);
/* The 16 bytes under which a foreign (non-UUID) id is known: a UUIDv8 made from its hash. */
void id_foreign(const char *text, uint8_t ret_id[16]);
/* A name-based id (UUIDv8 of a hash of both): the same input gives the same id, e.g. a schedule's run. */
void id_derive(const char *name, uint64_t number, uint8_t ret_id[16]);
/* The Unix time in microseconds inside a UUIDv7, 0 for another version. */
uint64_t id_time_us(const uint8_t id[16]);
bool id_is_zero(const uint8_t id[16]);
/* n random bytes from the kernel; aborts when it has none to give. */
void id_random(void *ret_bytes, unsigned n);
