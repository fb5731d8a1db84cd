/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* openapi - GET /v1/openapi.json: what this process serves, as OpenAPI 3.1
 *
 * The text is gateway/openapi.json, made part of the program when it is built. A test
 * holds it to route.c and to what is answered. */
#pragma once

struct gateway;
struct http_request;

void openapi_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params);
