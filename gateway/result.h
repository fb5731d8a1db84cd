/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* result - what a consumer says became of an event: read from JSON, written as a record
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct buf;
struct json;

enum result_kind { RESULT_ACK, RESULT_RETRY, RESULT_FAIL, RESULT_EXTEND };

enum { RESULT_ERROR_MAX = 1000 }; /* bytes of an error's text; a longer one is refused */

struct result {
    enum result_kind kind;
    const char *lease, *id; /* one of them; borrowed from the JSON */
    uint64_t after_us;      /* retry: 0 = the broker's backoff; extend: 0 = the default */
    const char *error;      /* may be NULL */
};

/* Read [{lease|id, result: ack|retry|fail|extend, after?, error?}]. False with what is
 * wrong, and at which one. */
bool results_read(const struct json *list, struct result *ret, size_t max, size_t *ret_n,
                  char *why, size_t why_size);
/* Append the record that settles the delivery at a position (not of RESULT_EXTEND). */
void result_write(const struct result *result, struct position at, struct buf *out);
/* Append the record that gives it back: as a spent attempt with the broker's backoff, or
 * uncounted and at once. */
void result_give_back(struct buf *out, struct position at, bool counts);
