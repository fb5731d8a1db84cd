/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* bind - from a tree and the tables to the structs of config.h */
#pragma once

struct config;
struct node;
struct problems;

/* Fill `config` (zeroed) from the file's tree: defaults, values, lists. `here` is the
 * file's directory. Whatever is wrong is added to `problems`; what could be read stands
 * in config all the same, for further checks. */
void bind_config(struct node *root, const char *here, struct config *config,
                 struct problems *problems);
/* Free everything that the tables put there. */
void bind_free(struct config *config);
