/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* check_webhook - endpoints: one path, one owner, and what a scheme needs beside its name
 */
#pragma once
#include <stdbool.h>

struct config;
struct config_integration;
struct node;
struct problems;

/* Does the signature of this scheme leave the body uncovered? False for unknown names. */
bool config_scheme_is_weak(const char *scheme);

/* Part of check_config: the webhooks of one integration; `node` is the integration's. */
void check_webhooks(const struct config *config, const struct config_integration *in,
                    const struct node *node, struct problems *problems);
