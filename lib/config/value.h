/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* value - single values of a configuration: read from text, shown as text */
#pragma once
#include <stdbool.h>

struct buf;
struct config_price;
struct config_secret;
struct field;

/* Where relative paths start. */
struct value_places {
    const char *here; /* the directory of the file */
    const char *data; /* what "<data>/" stands for; NULL while it is not known */
};

/* Is it a type of value.c at all? */
bool value_is_single(const struct field *field);
/* Read `text` into the struct at `base`; on failure nothing is stored and `expected` says
 * what would have been right. */
bool value_read(const struct field *field, const char *text,
                const struct value_places *places, void *base, struct buf *expected);
/* Append the value as it could be written; nothing when it is absent. */
void value_show(const struct field *field, const void *base, struct buf *out);
void value_free(const struct field *field, void *base);
/* What a field takes: "a duration such as 10s", for errors and the reference. Bounds
 * included. */
void value_describe(const struct field *field, struct buf *out);

/* One price of an operation: `0.30 USD` or `0.30 USD since 2026-07-01` (from midnight UTC
 * on). False when it is neither. The result's operation is a copy, to be freed. */
bool price_read(const char *text, const char *operation, struct config_price *ret_price);
void price_show(const struct config_price *price, struct buf *out);

/* vault:NAME or file:PATH. False when it is neither. */
bool secret_read(const char *text, const char *use, const struct value_places *places,
                 struct config_secret *ret_secret);
void secret_show(const struct config_secret *secret, struct buf *out);
void secret_free(struct config_secret *secret);
