/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* check_bus - the bus between hosts: addresses, keys and who may do what */
#pragma once

struct config;
struct node;
struct problems;

/* Part of check_config. */
void check_bus(const struct config *config, const struct node *root,
               struct problems *problems);
