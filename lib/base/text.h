/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* text - how times, durations, sizes and bytes are written for people */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define TEXT_TIME_SIZE 28 /* 2026-11-24T03:07:40.123456Z and the NUL */

/* RFC 3339 in UTC with microseconds. */
void text_time(uint64_t time_us, char ret_text[TEXT_TIME_SIZE]);
/* RFC 3339 (Z or an offset, fraction optional). False when it is not one. */
bool text_parse_time(const char *text, uint64_t *ret_time_us);
/* 250ms 10s 5m 24h 30d, a whole number and one unit; plain 0 too. False otherwise or on overflow. */
bool text_parse_duration(const char *text, uint64_t *ret_us);
/* 512 16KiB 64MiB 1GiB (powers of 1024) and KB MB GB (of 1000). */
bool text_parse_size(const char *text, uint64_t *ret_bytes);
/* The shortest of the above that is exact, e.g. "5m". */
void text_duration(uint64_t us, char *ret_text, size_t size);

void text_hex(const uint8_t *bytes, size_t n, struct buf *out);
/* Lower or upper case; false on an odd length or another character (out is then as before). */
bool text_parse_hex(const char *text, size_t n, struct buf *out);
/* Standard alphabet with padding (RFC 4648, section 4). */
void text_base64(const uint8_t *bytes, size_t n, struct buf *out);
/* Strict: padding required, no white space. */
bool text_parse_base64(const char *text, size_t n, struct buf *out);

/* Does a dotted type match a pattern?  `*` stands for one segment, `>` as the last for one or more. */
bool text_match_type(const char *pattern, const char *type, size_t type_len);
/* Is this a legal event type: 1 to 200 of [a-z0-9_.-] (upper case allowed inside a provider's type),
 * no empty segment? */
bool text_is_type(const char *type, size_t n);
/* Is this one that text_match_type may match with: segments of a type, `*`, `>` as the last? */
bool text_is_pattern(const char *text);
/* Is it a legal name (integration, group, endpoint): 1 to 64 of [a-z0-9_-], first a letter? */
bool text_is_name(const char *name);
/* The candidate nearest to `word` (edit distance at most a third of its length and one), or NULL.
 * `candidates` ends with NULL. */
const char *text_nearest(const char *word, const char *const *candidates);
