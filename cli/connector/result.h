/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* result - what a connector said about an event */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct buf;
struct json;

struct result {
    bool is_retry;   /* given back; else an outcome */
    bool is_success; /* of an outcome */
    bool has_doubt;  /* of a retry */
    enum record_class class;
    char type[RECORD_TYPE_MAX + 1];
    char message[1001];
    uint64_t after_us; /* of a retry; 0: the broker's backoff */
};

/* Read the records of a RESULT that has to settle the event with this place and id. False
 * with what is wrong in why[]. */
bool result_read(const struct buf *records, struct position place, const uint8_t id[16],
                 struct result *ret, char *why, size_t why_size);
/* {result, type, status, error_class, error_msg, cost, ..., data, facts} for people. */
struct json *result_json(const struct buf *records);
