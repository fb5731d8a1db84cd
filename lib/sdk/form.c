/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/form.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"

static bool is_plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void escape(struct buf *out, const char *text, size_t n, const char *also_plain)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (is_plain(c) || (c && strchr(also_plain, c)))
            buf_add(out, &text[i], 1);
        else
            buf_add(out, (const char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
    }
}

void form_escape(struct buf *out, const char *text, size_t n)
{
    escape(out, text, n, "");
}

static void start(struct buf *out)
{
    if (out->len)
        buf_text(out, "&");
}

void form_field(struct buf *out, const char *name, const char *value)
{
    start(out);
    escape(out, name, strlen(name), "[]");
    buf_text(out, "=");
    form_escape(out, value, strlen(value));
}

static void scalar(struct buf *out, const struct json *value)
{
    struct buf text = BUF_NULL;

    if (js_is_text(value))
        buf_text(&text, js_text(value, "", ""));
    else if (!js_is_null(value))
        js_write(value, 0, &text);
    form_escape(out, buf_str(&text), text.len);
    buf_fini(&text);
}

/* `name` is encoded already. */
static void nested(struct buf *out, const char *name, const struct json *value)
{
    struct buf inner = BUF_NULL;
    void *cursor = NULL;
    const char *member;

    if (js_is_object(value)) {
        for (const struct json *v; (v = js_next(value, &cursor, &member));) {
            buf_clear(&inner);
            buf_format(&inner, "%s[", name);
            form_escape(&inner, member, strlen(member));
            buf_text(&inner, "]");
            nested(out, buf_str(&inner), v);
        }
    } else if (js_is_array(value)) {
        for (size_t i = 0; i < js_count(value); i++) {
            buf_clear(&inner);
            buf_format(&inner, "%s[%zu]", name, i);
            nested(out, buf_str(&inner), js_at(value, i));
        }
    } else {
        start(out);
        buf_text(out, name);
        buf_text(out, "=");
        scalar(out, value);
    }
    buf_fini(&inner);
}

void form_json(struct buf *out, const char *name, const struct json *value)
{
    struct buf encoded = BUF_NULL;

    escape(&encoded, name, strlen(name), "[]");
    nested(out, buf_str(&encoded), value);
    buf_fini(&encoded);
}
