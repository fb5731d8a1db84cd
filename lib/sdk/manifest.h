/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* manifest - a connector's tables: checked, as JSON, and against an integration's options
 * and secrets
 *
 * The keys are public: the broker reads `name`, `operations[].name`, `webhooks[].event`,
 * `webhooks[].becomes` and `publishes[]` of the one in HELLO, which is for the
 * integration's provider; the document is generated from the rest. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct integration;
struct sb_connector;
struct sb_provider;

/* Are the tables complete and consistent? Every error is one line in *errors. */
bool manifest_check(const struct sb_connector *connector, struct buf *errors);
/* Append the manifest; indent 0 is compact.  With a provider, the tables in force for it;
 * with NULL, the connector's own and under `providers` those of each. */
void manifest_write(const struct sb_connector *connector,
                    const struct sb_provider *provider, int indent, struct buf *out);
/* As it is for the integration: with the highest prices that its options make. */
void manifest_write_for(const struct integration *integration, struct buf *out);
/* Do the integration's options and secrets fit the tables? One line per error, without
 * any value of a secret. */
bool manifest_fits(const struct integration *integration, struct buf *errors);
