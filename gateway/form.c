/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/form.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

/* Decoded, each ended by a NUL. */
struct field {
    char *name, *value;
};

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL on a wrong escape or a NUL. */
static char *decode(const char *text, size_t n)
{
    char *out = mem_alloc(n + 1);
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            int high = i + 2 < n ? nibble(text[i + 1]) : -1;
            int low = i + 2 < n ? nibble(text[i + 2]) : -1;
            c = high < 0 || low < 0 ? '\0' : (char)(high << 4 | low);
            i += 2;
        }
        if (!c) {
            free(out);
            return NULL;
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return out;
}

static void fields_free(struct field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(fields[i].name);
        free(fields[i].value);
    }
    free(fields);
}

static bool read_field(const char *text, size_t n, struct field *field)
{
    const char *equals = memchr(text, '=', n);
    size_t name_len = equals ? (size_t)(equals - text) : n;
    const char *value = equals ? equals + 1 : text + n;
    field->name = decode(text, name_len);
    field->value = decode(value, (size_t)(text + n - value));
    return field->name && field->value;
}

/* NULL when it is not a form. */
static struct field *read_fields(const char *text, size_t n, size_t *ret_count)
{
    const char *end = text + n;
    struct field *fields = mem_array(FORM_FIELDS_MAX, sizeof(*fields));
    size_t count = 0;
    for (bool good = true; text < end;) {
        const char *amp = memchr(text, '&', (size_t)(end - text));
        size_t len = (size_t)((amp ? amp : end) - text);
        if (len > 0) {
            good = count < FORM_FIELDS_MAX && read_field(text, len, &fields[count++]);
        }
        if (!good) {
            fields_free(fields, count);
            return NULL;
        }
        text += len + 1;
    }
    *ret_count = count;
    return fields;
}

static int compare(const void *a, const void *b)
{
    const struct field *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->value, right->value);
}

bool form_sorted(const char *text, size_t n, struct buf *out)
{
    size_t count;
    struct field *fields = read_fields(text, n, &count);
    if (!fields)
        return false;
    qsort(fields, count, sizeof(*fields), compare);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare(&fields[i - 1], &fields[i]) == 0)
            continue;
        buf_text(out, fields[i].name);
        buf_text(out, fields[i].value);
    }
    fields_free(fields, count);
    return true;
}

static struct json *field_value(const struct field *field)
{
    char error[64];
    size_t n = strlen(field->value);
    struct json *inner = strcmp(field->name, "payload") == 0
                             ? js_parse(field->value, n, error, sizeof(error))
                             : NULL;
    if (js_is_object(inner))
        return inner;
    js_free(inner);
    return js_from_text(field->value, n);
}

struct json *form_parse(const char *text, size_t n)
{
    size_t count;
    struct field *fields = read_fields(text, n, &count);
    if (!fields)
        return NULL;
    struct json *object = js_object();
    for (size_t i = 0; i < count; i++) {
        struct json *value = NULL;
        /* A name with a dot cannot be asked for; a name that is not UTF-8 neither. */
        if (!js_get(object, fields[i].name) && (value = field_value(&fields[i])))
            js_set(object, fields[i].name, value);
    }
    fields_free(fields, count);
    return object;
}
