/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* types - the texts of the types that the views know by their hashes */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct views;

struct type_name {
    uint64_t hash;
    char *text;
};
struct type_names {
    struct type_name *list; /* by hash */
    size_t n;
};

void types_read(struct type_names *names, struct views *views);
/* Borrowed; "?" when the views keep no more types. */
const char *types_find(const struct type_names *names, uint64_t hash);
void types_free(struct type_names *names);
