/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* binary - an event of the log as an HTTP message in CloudEvents' binary mode (HTTP
 * binding, 3.1): the data is the body, as received, and each attribute a ce- header */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct http_request;
struct json;

enum { BINARY_HEADERS_MAX = 64, BINARY_BYTES_MAX = 16 << 10 }; /* of attributes */

/* Answer with the event that `event` (query_cloudevent) has the attributes of and
 * data[data_len] the data. False, and nothing is answered, when its attributes are more
 * than headers may hold. */
bool binary_reply(struct http_request *request, const struct json *event,
                  const void *data, size_t data_len);
/* Append a text as the value of a ce- header (3.1.3.2). */
struct buf;
void binary_escape(const char *text, struct buf *out);
