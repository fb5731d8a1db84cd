/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* target - what an application asks for: the path, and whether it may be asked
 *
 * A path is taken only if whoever reads it next reads the same: no empty, "." or ".."
 * segment, and nothing percent-encoded that would become one, or a slash (RFC 3986, 3.3
 * and 6.2.2). So what is judged here is what the provider sees. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    TARGET_MAX = 8192, /* bytes, with the query; a longer one is refused */
};

struct target {
    char *path;    /* decoded, for judging */
    char *encoded; /* as received, without query: for sending */
    char *query;   /* as received, NULL where there is none */
};

/* Read a request's target; "/NAME" in front, NAME being the integration's, is taken off.
 * NULL, or why it is not one. */
const char *target_read(const char *text, const char *integration, struct target *ret);
void target_fini(struct target *target);

/* Is it in the list? "METHOD /path" and commas between; "GET|POST" for several methods;
 * in a path `*` stands for one segment and `>` as the last for one or more. */
bool allow_has(const char *list, const char *method, const char *path);
/* NULL, or where in the list it goes wrong. */
const char *allow_wrong(const char *list);
