/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* route - which address and method leads where, and with which right */
#pragma once

struct gateway;
struct http_request;

/* Answer a request, now or later. */
void route_request(struct gateway *gateway, struct http_request *request);
