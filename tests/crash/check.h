/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* check - is a log what was acknowledged? */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACKNOWLEDGED_MAX = 1 << 22 }; /* blocks; lines of later ones are a mistake */

struct acknowledged {
    uint32_t *crcs; /* by number; 0: not acknowledged */
    uint64_t n;     /* the highest number */
    size_t size;
};

/* Take a line `number crc`; others are passed over. */
void acknowledged_line(struct acknowledged *said, const char *line);
void acknowledged_fini(struct acknowledged *said);
/* Open the store in `dir` as the logger would, verify it, and append to it: true when
 * every acknowledged block is there as it was, nothing is damaged and the log goes on.
 * What was found stands in found[] either way. */
bool check_store(const char *dir, const struct acknowledged *said, char *found,
                 size_t found_size);
