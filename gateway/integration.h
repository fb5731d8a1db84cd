/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* integration - GET /v1/integrations: what is configured, without a secret */
#pragma once

struct gateway;
struct http_request;

void integration_list(struct gateway *gateway, struct http_request *request,
                      const char *const *params);
