/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/form.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A broken escape stays as it stands. A NUL cannot be in a C string and becomes a space.
 */
static char *decode(const char *text, size_t n)
{
    char *decoded = mem_alloc(n + 1), *to = decoded;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '+') {
            c = ' ';
        } else if (c == '%' && i + 2 < n && hex_digit(text[i + 1]) >= 0 &&
                   hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        }
        *to++ = c ? c : ' ';
    }
    *to = '\0';
    return decoded;
}

static void add(struct form *form, const char *pair, size_t n)
{
    const char *equals = memchr(pair, '=', n);
    size_t name_len = equals ? (size_t)(equals - pair) : n;

    form->fields = mem_resize(form->fields, (form->n + 1) * sizeof(*form->fields));
    form->fields[form->n++] = (struct form_field){
        .name = decode(pair, name_len),
        .value = equals ? decode(equals + 1, n - name_len - 1) : mem_text(""),
    };
}

bool form_read(struct form *form, const char *text, size_t n)
{
    const char *end = n ? text + n : text; /* an empty text may be NULL */

    while (text < end) {
        const char *and = memchr(text, '&', (size_t)(end - text));
        size_t len = and? (size_t)(and-text) : (size_t)(end - text);

        if (form->n >= FORM_FIELDS_MAX)
            return false;
        if (len)
            add(form, text, len);
        text += len + 1;
    }
    return true;
}

void form_fini(struct form *form)
{
    for (size_t i = 0; i < form->n; i++) {
        free(form->fields[i].name);
        free(form->fields[i].value);
    }
    free(form->fields);
    *form = FORM_NULL;
}

const char *form_get(const struct form *form, const char *name)
{
    for (size_t i = form->n; i--;)
        if (!strcmp(form->fields[i].name, name))
            return form->fields[i].value;
    return NULL;
}

size_t form_top(const char *name)
{
    return strcspn(name, "[");
}

bool form_has(const struct form *form, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < form->n; i++)
        if (form_top(form->fields[i].name) == n && !memcmp(form->fields[i].name, name, n))
            return true;
    return false;
}

struct json *form_object(const struct form *form, const char *name)
{
    struct json *object = js_object();
    size_t n = strlen(name);

    for (size_t i = 0; i < form->n; i++) {
        const char *field = form->fields[i].name;
        size_t len = strlen(field);

        if (len > n + 2 && !memcmp(field, name, n) && field[n] == '[' &&
            field[len - 1] == ']') {
            _free_ char *member = mem_copy(field + n + 1, len - n - 2);

            js_set_text(object, member, form->fields[i].value);
        }
    }
    return object;
}
