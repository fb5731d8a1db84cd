/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* form - application/x-www-form-urlencoded with brackets, as bodies and as queries */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct json;

enum { FORM_FIELDS_MAX = 1000 };

struct form_field {
    char *name; /* decoded: "metadata[order id]" */
    char *value;
};
struct form {
    struct form_field *fields;
    size_t n;
};

#define FORM_NULL ((struct form){0})

/* Read n bytes. False when there are too many fields; what was read stands in `form`. */
bool form_read(struct form *form, const char *text, size_t n);
void form_fini(struct form *form);
/* The value of a field, the last of several; NULL when absent. */
const char *form_get(const struct form *form, const char *name);
/* Is there a field of this name or below it ("metadata" finds "metadata[a]")? */
bool form_has(const struct form *form, const char *name);
/* The length of a name's part before the first bracket. */
size_t form_top(const char *name);
/* The members one level below `name` as a JSON object of texts, in their order. */
struct json *form_object(const struct form *form, const char *name);
