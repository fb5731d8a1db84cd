/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* parcel - one event for the program on the stand, and the result it sends */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct json;
struct result;
struct stand;
struct subject;

struct parcel {
    const char *operation;
    const struct json *data; /* NULL: {} */
    const char *key;         /* NULL: none */
};

/* Wait until it has joined, deliver, and wait for its result; the records stay in
 * stand->result. False with the reason. */
bool parcel_deliver(struct stand *stand, struct subject *subject,
                    const struct parcel *parcel, struct result *ret, char *error,
                    size_t error_size);
