/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* table - cells for people: what providers wrote cannot move the cursor, and rows fit the
 * terminal */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct buf;

/* Append a text with control characters made harmless, padded to `width` columns; with
 * `cut` it is no wider (an ellipsis ends it). NULL is an empty cell. Columns are counted
 * in code points. */
void table_cell(struct buf *line, const char *text, unsigned width, bool cut);
/* Columns that a text takes, counted in the same way. */
unsigned table_columns(const char *text);
/* The escape sequence that colours a status ("Failed"), or "" where there is to be no
 * colour. */
const char *table_colour(const char *status);
const char *table_plain(void);
/* "2026-11-24T03:07:40.123Z" */
void table_time(struct buf *line, uint64_t time_us);
