/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The JSON part of include/signalbox/connector.h: struct sb_json is struct json under its
 * public name. */
#include <stdlib.h>
#include <string.h>

#include "include/signalbox/connector.h"
#include "lib/base/json.h"

static const struct json *at(const struct sb_json *json, const char *path)
{
    return json ? js_get((const struct json *)json, path) : NULL;
}

const struct sb_json *sb_at(const struct sb_json *json, const char *path)
{
    return (const struct sb_json *)at(json, path);
}

bool sb_has(const struct sb_json *json, const char *path)
{
    const struct json *found = at(json, path);

    return found && !js_is_null(found);
}

const char *sb_text(const struct sb_json *json, const char *path)
{
    return js_text(at(json, path), "", NULL);
}

bool sb_int(const struct sb_json *json, const char *path, int64_t *ret)
{
    const struct json *found = at(json, path);

    if (!js_is_int(found))
        return false;
    *ret = js_int(found, "", 0);
    return true;
}

bool sb_number(const struct sb_json *json, const char *path, double *ret)
{
    const struct json *found = at(json, path);

    if (!js_is_number(found))
        return false;
    *ret = js_number(found, "", 0);
    return true;
}

bool sb_bool(const struct sb_json *json, const char *path, bool *ret)
{
    const struct json *found = at(json, path);

    if (!js_is_bool(found))
        return false;
    *ret = js_bool(found, "", false);
    return true;
}

size_t sb_count(const struct sb_json *json, const char *path)
{
    return js_count(at(json, path));
}

bool sb_is_object(const struct sb_json *json, const char *path)
{
    return js_is_object(at(json, path));
}

const struct sb_json *sb_member(const struct sb_json *object, size_t index,
                                const char **ret_name)
{
    const struct json *value = NULL;
    const char *name = NULL;
    void *cursor = NULL;

    if (index >= js_count(at(object, "")) || !js_is_object(at(object, "")))
        return NULL;
    for (size_t i = 0; i <= index; i++)
        value = js_next(at(object, ""), &cursor, &name);
    if (ret_name)
        *ret_name = name;
    return (const struct sb_json *)value;
}

const struct sb_json *sb_element(const struct sb_json *array, size_t index)
{
    return (const struct sb_json *)js_at(at(array, ""), index);
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

const char *sb_stranger(const struct sb_json *json, const char *const *names)
{
    const struct json *object = at(json, "");
    void *cursor = NULL;
    const char *name;

    if (!js_is_object(object))
        return NULL;
    while (js_next(object, &cursor, &name))
        if (!is_one_of(name, names))
            return name;
    return NULL;
}

/* --- writers --- */

static bool is_index(const char *segment)
{
    return *segment && strspn(segment, "0123456789") == strcspn(segment, ".");
}

/* Put `value` (taken over) under one name or index of a container. */
static bool place(struct json *container, const char *name, struct json *value)
{
    if (js_is_object(container)) {
        js_set(container, name, value);
        return true;
    }
    if (js_is_array(container) && is_index(name) &&
        strtoul(name, NULL, 10) == js_count(container)) {
        js_push(container, value);
        return true;
    }
    js_free(value);
    return false;
}

/* Walk to the container of the path's last segment, making what is missing. Takes `value`
 * over. */
static bool put(struct sb_json *json, const char *path, struct json *value)
{
    struct json *container = (struct json *)json;
    char name[128];

    for (;;) {
        size_t n = strcspn(path, ".");
        if (!container || !value || n == 0 || n >= sizeof(name)) {
            js_free(value);
            return false;
        }
        memcpy(name, path, n);
        name[n] = 0;
        if (!path[n])
            return place(container, name, value);
        path += n + 1;
        if (!js_get(container, name) &&
            !place(container, name, is_index(path) ? js_array() : js_object())) {
            js_free(value);
            return false;
        }
        container = (struct json *)(uintptr_t)js_get(
            container, name); /* a part of what we may change */
    }
}

bool sb_put_text(struct sb_json *json, const char *path, const char *text)
{
    return !text || put(json, path, js_from_text(text, strlen(text)));
}

bool sb_put_int(struct sb_json *json, const char *path, int64_t number)
{
    return put(json, path, js_from_int(number));
}

bool sb_put_bool(struct sb_json *json, const char *path, bool value)
{
    return put(json, path, js_from_bool(value));
}

bool sb_put_number(struct sb_json *json, const char *path, const char *text)
{
    return !text || put(json, path, js_from_number(text));
}

bool sb_put(struct sb_json *json, const char *path, const struct sb_json *value)
{
    return !value || put(json, path, js_copy((const struct json *)value));
}

struct sb_json *sb_object(struct sb_json *json, const char *path)
{
    struct json *object = js_object();

    return put(json, path, object) ? (struct sb_json *)object : NULL;
}

struct sb_json *sb_append(struct sb_json *json, const char *path)
{
    if (json && !at(json, path) && !put(json, path, js_array()))
        return NULL;
    struct json *array =
        (struct json *)(uintptr_t)at(json, path); /* a part of what we may change */
    if (!js_is_array(array))
        return NULL;
    struct json *element = js_object();
    js_push(array, element);
    return (struct sb_json *)element;
}
