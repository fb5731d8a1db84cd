/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* route - which address and method leads where, and with which right */
#pragma once

struct gateway;
struct http_request;

/* How many routes there are; of the n-th, counted from 1, method and pattern: what a
 * request's http_tag() says. 0: no route fitted ("none"). */
unsigned route_count(void);
const char *route_method(unsigned n);
const char *route_path(unsigned n);
/* Answer a request, now or later. */
void route_request(struct gateway *gateway, struct http_request *request);
