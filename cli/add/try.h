/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* try - one harmless call with the connector's own program, to see that credentials and
 * options are right; neither broker nor log take part */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct json;

struct try_options {
    const char *integration;        /* its name, for what is said */
    const char *program, *provider; /* provider NULL: the connector has no such table */
    const char *base_url;           /* NULL: the provider's own */
    bool allow_private_network;
    const struct json *options, *secrets; /* {"name": value} */
    const struct json *operation;         /* of the manifest: one that is harmless */
};

/* The operation that tries credentials without harm; NULL: it has none. */
const struct json *try_operation(const struct json *manifest);
/* Did it succeed?  Else the reason. */
bool try_call(const struct try_options *options, char *error, size_t error_size);
