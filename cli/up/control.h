/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* control - the socket <run>/up.sock at which the CLI asks the supervisor: one line in,
 * one JSON object out */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct json;
struct loop;
struct control;

/* Answers a line; the value is taken over. NULL: not a question we know. */
typedef struct json *(*control_fn)(void *user, const char *line);

/* Listen; callers of another user (but root) are turned away. The caller holds the
 * directory's lock. NULL with a reason. */
struct control *control_new(struct loop *loop, const char *run, control_fn fn, void *user,
                            char *error, size_t error_size);
void control_free(struct control *control);

/* The other side: ask and wait for at most ten seconds. NULL when nobody is there or the
 * answer is none. */
struct json *control_ask(const char *run, const char *line);
