/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* catalog - the providers that the connectors beside this program know */
#pragma once
#include <stddef.h>

struct buf;
struct json;

struct catalog_entry {
    char *program;         /* the connector's */
    char *connector;       /* its name */
    struct json *manifest; /* of the provider; of the connector where it has none */
};

/* `connector` NULL: the first that knows the provider. 0; or 1 with the reason, which
 * lists what there is. A connector without providers is found by its own name. */
int catalog_find(const char *provider, const char *connector, struct catalog_entry *ret,
                 struct buf *error);
void catalog_entry_fini(struct catalog_entry *entry);
