/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/json.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

static const json_t *in(const struct json *value)
{
    return (const json_t *)value;
}

static json_t *own(struct json *value)
{
    return (json_t *)value;
}

static struct json *out(json_t *value)
{
    return (struct json *)value;
}

/* jansson ends at a NUL between values, and would not see what stands behind it. */
static bool has_nul(const char *text, size_t n, char *error, size_t error_size)
{
    const char *nul = n ? memchr(text, 0, n) : NULL;
    int line = 1, column = 1;

    if (!nul)
        return false;
    for (const char *c = text; c < nul; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    snprintf(error, error_size, "%d:%d: a NUL is not JSON", line, column);
    return true;
}

struct json *js_parse(const char *text, size_t n, char *error, size_t error_size)
{
    json_error_t e;
    if (has_nul(text, n, error, error_size))
        return NULL;
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

    if (!value && error_size)
        snprintf(error, error_size, "%d:%d: %s", e.line, e.column,
                 json_error_code(&e) == json_error_null_character
                     ? "a text may not hold \\u0000"
                     : e.text);
    return out(value);
}

static void wipe_and_free(void *memory)
{
    if (memory)
        explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void js_checked(void)
{
    json_set_alloc_funcs(mem_raw, free);
}

void js_wipe(bool is_secret)
{
    json_malloc_t get;
    json_free_t give;

    json_get_alloc_funcs(&get, &give);
    json_set_alloc_funcs(get, is_secret ? wipe_and_free : free);
}

void js_free(struct json *value)
{
    json_decref(own(value));
}

/* The element a path's segment names: digits only. */
static const json_t *element(const json_t *array, const char *index)
{
    size_t digits = strspn(index, "0123456789");

    if (digits == 0 || index[digits] || digits > 9)
        return NULL;
    return json_array_get(array, strtoul(index, NULL, 10));
}

const struct json *js_get(const struct json *value, const char *path)
{
    const json_t *at = in(value);
    char name[128];

    while (at && path && *path) {
        size_t n = strcspn(path, ".");
        if (n >= sizeof(name))
            return NULL;
        memcpy(name, path, n);
        name[n] = 0;
        at = json_is_array(at) ? element(at, name) : json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return (const struct json *)at;
}

const char *js_text(const struct json *value, const char *path, const char *otherwise)
{
    const json_t *found = in(js_get(value, path));

    return json_is_string(found) ? json_string_value(found) : otherwise;
}

int64_t js_int(const struct json *value, const char *path, int64_t otherwise)
{
    const json_t *found = in(js_get(value, path));

    return json_is_integer(found) ? json_integer_value(found) : otherwise;
}

double js_number(const struct json *value, const char *path, double otherwise)
{
    const json_t *found = in(js_get(value, path));

    return json_is_number(found) ? json_number_value(found) : otherwise;
}

bool js_bool(const struct json *value, const char *path, bool otherwise)
{
    const json_t *found = in(js_get(value, path));

    return json_is_boolean(found) ? json_is_true(found) : otherwise;
}

bool js_is_object(const struct json *value)
{
    return json_is_object(in(value));
}

bool js_is_array(const struct json *value)
{
    return json_is_array(in(value));
}

bool js_is_text(const struct json *value)
{
    return json_is_string(in(value));
}

bool js_is_int(const struct json *value)
{
    return json_is_integer(in(value));
}

bool js_is_number(const struct json *value)
{
    return json_is_number(in(value));
}

bool js_is_bool(const struct json *value)
{
    return json_is_boolean(in(value));
}

bool js_is_null(const struct json *value)
{
    return json_is_null(in(value));
}

size_t js_count(const struct json *value)
{
    return json_is_array(in(value)) ? json_array_size(in(value)) : json_object_size(in(value));
}

const struct json *js_at(const struct json *array, size_t index)
{
    return (const struct json *)json_array_get(in(array), index);
}

const struct json *js_next(const struct json *object, void **cursor, const char **ret_name)
{
    json_t *o = (json_t *)(uintptr_t)object;

    *cursor = *cursor ? json_object_iter_next(o, *cursor) : json_object_iter(o);
    if (!*cursor)
        return NULL;
    *ret_name = json_object_iter_key(*cursor);
    return out(json_object_iter_value(*cursor));
}

static struct json *made(json_t *value)
{
    if (!value)
        abort();
    return out(value);
}

struct json *js_object(void)
{
    return made(json_object());
}

struct json *js_array(void)
{
    return made(json_array());
}

struct json *js_null(void)
{
    return made(json_null());
}

struct json *js_from_text(const char *text, size_t n)
{
    return out(json_stringn(text, n));
}

struct json *js_from_int(int64_t number)
{
    return made(json_integer(number));
}

struct json *js_from_bool(bool value)
{
    return made(json_boolean(value));
}

struct json *js_from_number(const char *text)
{
    char error[JSON_ERROR_TEXT_LENGTH + 32];
    struct json *value = js_parse(text, strlen(text), error, sizeof(error));

    if (js_is_number(value))
        return value;
    js_free(value);
    return NULL;
}

struct json *js_copy(const struct json *value)
{
    return out(json_deep_copy(in(value)));
}

struct json *js_set(struct json *object, const char *name, struct json *member)
{
    json_object_set_new(own(object), name, own(member));
    return object;
}

struct json *js_set_text(struct json *object, const char *name, const char *text)
{
    return text ? js_set(object, name, js_from_text(text, strlen(text))) : object;
}

struct json *js_set_int(struct json *object, const char *name, int64_t number)
{
    return js_set(object, name, js_from_int(number));
}

struct json *js_set_bool(struct json *object, const char *name, bool value)
{
    return js_set(object, name, js_from_bool(value));
}

struct json *js_push(struct json *array, struct json *element)
{
    json_array_append_new(own(array), own(element));
    return array;
}

static int append(const char *text, size_t n, void *to)
{
    buf_add(to, text, n);
    return 0;
}

/* Does every real number read back the same from 15 digits?  jansson's 17 are always exact, but make
 * 0.69999999999999996 of 0.7. */
static bool is_short(const json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    char text[32];

    if (json_is_real(value)) {
        snprintf(text, sizeof(text), "%.15g", json_real_value(value));
        return strtod(text, NULL) == json_real_value(value);
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
        if (!is_short(member))
            return false;
    json_array_foreach(value, i, member)
        if (!is_short(member))
            return false;
    return true;
}

void js_write(const struct json *value, int indent, struct buf *to)
{
    size_t flags = JSON_ENCODE_ANY | (indent ? JSON_INDENT((size_t)indent) : JSON_COMPACT);

    if (is_short(in(value)))
        flags |= JSON_REAL_PRECISION(15);

    json_dump_callback(in(value), append, to, flags);
}
