/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* body - the JSON that an application sends */
#pragma once
#include <stddef.h>

struct http_request;
struct json;

/* The request's body as JSON, to be given to js_free(); NULL, with where and why in
 * why[why_size], when it is none. */
struct json *body_json(const struct http_request *request, char *why, size_t why_size);
