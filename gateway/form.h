/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* form - application/x-www-form-urlencoded, as received */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;

enum { FORM_FIELDS_MAX = 1000 };

/* Append name and value of every field, decoded, the fields sorted by the bytes of their
 * names and then of their values; of fields that are the same in both only one. This is
 * what Twilio signs. False on a wrong escape, a NUL, or too many fields. */
bool form_sorted(const char *text, size_t n, struct buf *out);
/* The fields as an object of texts, the first one of each name; a field `payload` that is
 * a JSON object stands there as that object. NULL when it is not a form. */
struct json *form_parse(const char *text, size_t n);
