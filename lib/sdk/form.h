/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* form - application/x-www-form-urlencoded with nested names, as Stripe and its kin read
 * it */
#pragma once
#include <stddef.h>

struct buf;
struct json;

/* Append percent-encoded: all but A-Z a-z 0-9 - . _ ~ */
void form_escape(struct buf *out, const char *text, size_t n);
/* Append "&" where needed, the name (brackets raw, the rest encoded), "=", the value
 * encoded. */
void form_field(struct buf *out, const char *name, const char *value);
/* A JSON value under a name: objects and arrays nest, null is empty. Brackets inside a
 * member's name are encoded. */
void form_json(struct buf *out, const char *name, const struct json *value);
