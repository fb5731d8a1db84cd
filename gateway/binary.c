/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/binary.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"

/* Names and values stand one behind the other in `texts`; the headers point into it once
 * it does not grow any more. */
struct head {
    struct buf texts;
    size_t names[BINARY_HEADERS_MAX], values[BINARY_HEADERS_MAX], n;
};

void binary_escape(const char *text, struct buf *out)
{
    for (const char *c = text; *c; c++)
        if (*c > ' ' && *c < 127 && *c != '"' && *c != '%')
            buf_add(out, c, 1);
        else
            buf_format(out, "%%%02X", (unsigned)(unsigned char)*c);
}

static void add_value(const struct json *value, struct buf *out)
{
    if (js_is_text(value))
        binary_escape(js_text(value, NULL, ""), out);
    else if (js_is_bool(value))
        buf_text(out, js_bool(value, NULL, false) ? "true" : "false");
    else
        buf_format(out, "%" PRId64, js_int(value, NULL, 0));
}

/* False when there is no room. */
static bool add_attribute(struct head *head, const char *name, const struct json *value)
{
    if (head->n == BINARY_HEADERS_MAX)
        return false;
    head->names[head->n] = head->texts.len;
    buf_format(&head->texts, "ce-%s%c", name, 0);
    head->values[head->n++] = head->texts.len;
    add_value(value, &head->texts);
    buf_add(&head->texts, "", 1);
    return head->texts.len <= BINARY_BYTES_MAX;
}

static bool is_attribute(const char *name)
{
    return strcmp(name, "data") != 0 && strcmp(name, "data_base64") != 0 &&
           strcmp(name, "datacontenttype") != 0;
}

static bool collect(struct head *head, const struct json *event)
{
    void *cursor = NULL;
    const char *name;
    do {
        const struct json *value = js_next(event, &cursor, &name);
        if (value && is_attribute(name) && !add_attribute(head, name, value))
            return false;
    } while (cursor);
    return true;
}

bool binary_reply(struct http_request *request, const struct json *event,
                  const void *data, size_t data_len)
{
    struct head head = {.n = 0};
    struct http_header headers[BINARY_HEADERS_MAX + 1] = {{NULL, NULL}};
    bool good = collect(&head, event);
    for (size_t i = 0; good && i < head.n; i++)
        headers[i] =
            (struct http_header){(const char *)head.texts.bytes + head.names[i],
                                 (const char *)head.texts.bytes + head.values[i]};
    const struct http_reply reply = {200, js_text(event, "datacontenttype", NULL), data,
                                     data_len, headers};
    if (good)
        http_reply(request, &reply);
    buf_fini(&head.texts);
    return good;
}
