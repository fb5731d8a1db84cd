/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* calls - a call to a practice provider, with the fault that befalls it */
#pragma once
#include <stdint.h>

#include "sandbox/faults.h"

struct calls;
struct http_request;
struct json;
struct loop;
struct provider;

struct calls *calls_new(struct loop *loop);
/* Drops what waits. */
void calls_free(struct calls *calls);
/* The rules in force, to be changed at will. */
struct faults *calls_faults(struct calls *calls);
/* Answer the request as the provider does; now, or when the fault says so. `path` is the
 * path below the provider's prefix. */
void calls_take(struct calls *calls, const struct provider *row, void *state,
                struct http_request *request, const char *path);
/* The client of a request that was not answered yet is gone. */
void calls_gone(struct calls *calls, struct http_request *request);
/* Set "calls", "replayed" and "faulted". */
void calls_status(const struct calls *calls, struct json *status);
