/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* check - what concerns several places of a configuration at once */
#pragma once

struct config;
struct node;
struct problems;

/* Look at what was read; `root` says where things stand. Every finding is added to
 * `problems`. */
void check_config(const struct config *config, const struct node *root,
                  struct problems *problems);
