/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* provider - which of a connector's tables are in force for one of its services */
#pragma once
#include "include/signalbox/connector.h"

/* The row of this name; NULL when there is none. */
const struct sb_provider *provider_find(const struct sb_connector *connector,
                                        const char *name);
/* The row an integration means that names `name` (NULL: it names none): that one, or the
 * only one. *ret is NULL for a connector without the table. False when no row fits. */
bool provider_choose(const struct sb_connector *connector, const char *name,
                     const struct sb_provider **ret);
/* The tables in force: the provider's, and the connector's where it has none; provider
 * may be NULL. */
struct sb_provider provider_tables(const struct sb_connector *connector,
                                   const struct sb_provider *provider);
