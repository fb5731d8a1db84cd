/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* capture - what a program prints before it ends; blocks until then */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf;

struct capture_options {
    char *const *argv;     /* ended by NULL */
    const char *directory; /* NULL: here */
    uint64_t timeout_us;
    size_t output_max; /* bytes; more is an error */
    int errors;        /* where its stderr goes; -1: nowhere */
};

/* Append what it prints to `out`. 0; 1 with the reason in error[] when it could not be
 * started, did not end in time with status 0, or printed too much. */
int capture(const struct capture_options *options, struct buf *out, char *error,
            size_t error_size);
