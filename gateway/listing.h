/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* listing - GET /v1/log: rows of the log, or a batch of CloudEvents, in pages */
#pragma once

struct gateway;
struct http_request;

void listing_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params);
