/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* JSON that is checked and cut without building values, against the parser that builds
 * them: both take the same texts, and see the same values in them. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/scan.h"
#include "lib/base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void compare(const struct json *value, struct slice_text part);

static void compare_members(const struct json *object, struct slice_text part)
{
    void *cursor = NULL;
    const char *name;
    const struct json *member;
    while ((member = js_next(object, &cursor, &name))) {
        struct slice_text inner;
        assert(slice_member(part, name, &inner));
        assert(inner.text >= part.text && inner.text + inner.len <= part.text + part.len);
        compare(member, inner);
    }
}

static void compare_elements(const struct json *array, struct slice_text part)
{
    struct slice_text inner;
    size_t at = 0, i = 0;
    for (; slice_element(part, &at, &inner); i++) {
        assert(inner.text >= part.text && inner.text + inner.len <= part.text + part.len);
        compare(js_at(array, i), inner);
    }
    assert(i == js_count(array));
}

static void compare_text(const struct json *value, struct slice_text part)
{
    struct buf text = BUF_NULL;
    assert(slice_add_text(part, &text) == js_is_text(value));
    assert(strcmp(buf_str(&text), js_text(value, NULL, "")) == 0);
    buf_fini(&text);
}

static void compare(const struct json *value, struct slice_text part)
{
    int64_t number = 0;
    compare_text(value, part);
    assert(slice_int(part, &number) == js_is_int(value));
    assert(number == js_int(value, NULL, 0));
    if (js_is_object(value))
        compare_members(value, part);
    if (js_is_array(value))
        compare_elements(value, part);
}

/* Without the blanks around it: a value that was cut out has none. */
static struct slice_text trim(const char *text, size_t n)
{
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    while (n > 0 && strchr(" \t\r\n", *text))
        text++, n--;
    return (struct slice_text){text, n};
}

static void compare_path(const struct json *value, struct slice_text all,
                         const char *path)
{
    struct slice_text part = {"", 0};
    const struct json *found = js_get(value, path);
    assert(slice_get(all, path, &part) == (found != NULL));
    if (found)
        compare(found, part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const paths[] = {"data", "a.b", "data.0", "1.a", "data.id.", "0"};
    const char *text = (const char *)data;
    struct json *value = js_parse(text, n, (char[64]){0}, 64);

    assert(scan_check(text, n) == (value != NULL));
    if (value) {
        compare(value, trim(text, n));
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
            compare_path(value, (struct slice_text){text, n}, paths[i]);
    }
    js_free(value);
    return 0;
}
