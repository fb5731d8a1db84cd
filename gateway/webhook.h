/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* webhook - a provider's event: verified, committed, answered */
#pragma once
#include <stddef.h>

struct config;
struct gateway;
struct http_request;
struct secrets;

/* Make the endpoints of the configuration, with their secrets. 0, or -1 with a reason. */
int webhook_open(struct gateway *gateway, const struct secrets *secrets, char *error,
                 size_t error_size);
void webhook_close(struct gateway *gateway);
/* POST /webhooks/{path} */
void webhook_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params);
/* A request was answered 413 before it was whole: say so to the operator, where it was for
 * an endpoint. */
void webhook_too_large(struct gateway *gateway, const struct http_request *request);
