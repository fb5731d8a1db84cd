/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* practice - words with the sandbox over loopback HTTP */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct config_integration;
struct json;

/* Does the integration call a provider on loopback? */
bool practice_is_sandbox(const struct config_integration *integration);
/* At the sandbox whose provider is at `base_url`: POST the JSON (taken over), or GET when it is NULL, and wait for the answer, of
 * whatever status. NULL with a reason when there is none or when it is not JSON. */
/* No rule of misbehaviour is in force any more. False with a reason. */
bool practice_no_faults(const char *base_url, char *error, size_t error_size);
struct json *practice_post(const char *base_url, const char *path, struct json *body,
                           char *error, size_t error_size);
