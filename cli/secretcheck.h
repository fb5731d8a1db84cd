/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secretcheck - are the secrets there that a configuration names, and young enough? */
#pragma once
#include <stddef.h>

struct cli;
struct config;

struct secretcheck {
    size_t missing; /* `signalbox up` would not start */
    size_t overdue; /* older than rotate_every; it would start */
};

/* Says on stderr, with file and line, what is wrong. A vault that is not there yet, or
 * that cannot be opened from here, is a remark and no mistake of the configuration. */
struct secretcheck secretcheck(const struct config *config);
