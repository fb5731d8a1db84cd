/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* endpoint - where a provider sends its webhooks */
#pragma once

struct config;

/* The address a provider is given; without gateway.public_url the gateway's own. To be
 * freed. */
char *webhook_address(const struct config *config, const char *path);
