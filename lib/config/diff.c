/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* diff - what differs between two configurations: one line each, `path: before -> after`
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/config/tables.h"
#include "lib/config/value.h"

static void diff_section(const struct section *section, const char *path,
                         const void *before, const void *after, struct buf *out);

static size_t count(const struct field *field, const void *base)
{
    return *(const size_t *)(const void *)((const char *)base + field->count_offset);
}

static const char *array(const struct field *field, const void *base)
{
    return *(char *const *)(const void *)((const char *)base + field->offset);
}

static void show_options(const struct field *field, const void *base, struct buf *out)
{
    char **const *at = (char **const *)(const void *)((const char *)base + field->offset);

    for (size_t i = 0; i < count(field, base); i++)
        buf_format(out, "%s%s: %s", i ? ", " : "", at[0][i], at[1][i]);
}

static void show_list(const struct field *field, const void *base, struct buf *out)
{
    const char *list = array(field, base);

    for (size_t i = 0; i < count(field, base); i++) {
        buf_text(out, i ? ", " : "");
        if (field->type == FIELD_TYPES || field->type == FIELD_WORDS ||
            field->type == FIELD_NAMES) {
            buf_text(out, ((char *const *)(const void *)list)[i]);
            continue;
        }
        if (field->type == FIELD_PRICES) {
            price_show((const struct config_price *)(const void *)list + i, out);
            continue;
        }
        const struct config_secret *secret =
            (const struct config_secret *)(const void *)list + i;
        if (field->type == FIELD_NAMED_SECRETS)
            buf_format(out, "%s: ", secret->use);
        secret_show(secret, out);
    }
}

static void show(const struct field *field, const void *base, struct buf *out)
{
    if (value_is_single(field))
        value_show(field, base, out);
    else if (field->type == FIELD_OPTIONS)
        show_options(field, base, out);
    else
        show_list(field, base, out);
}

static void diff_value(const struct field *field, const char *path, const void *before,
                       const void *after, struct buf *out)
{
    struct buf old = BUF_NULL, new = BUF_NULL;

    show(field, before, &old);
    show(field, after, &new);
    if (old.len != new.len || strcmp(buf_str(&old), buf_str(&new)) != 0)
        buf_format(out, "%s: %s -> %s\n", path, old.len ? buf_str(&old) : "(none)",
                   new.len ? buf_str(&new) : "(none)");
    buf_fini(&old);
    buf_fini(&new);
}

/* What an item is called: its name, or the value of its section's key. */
static const char *label(const struct section *section, const void *item)
{
    if (section->name_offset != SECTION_NONE)
        return *(char *const *)(const void *)((const char *)item + section->name_offset);
    for (const struct field *field = section->fields; field->name; field++)
        if (strcmp(field->name, section->key) == 0)
            return *(char *const *)(const void *)((const char *)item + field->offset);
    return "";
}

static const void *find(const struct field *field, const void *base, const char *name)
{
    for (size_t i = 0; i < count(field, base); i++) {
        const char *item = array(field, base) + i * field->section->size;
        if (strcmp(label(field->section, item), name) == 0)
            return item;
    }
    return NULL;
}

static void diff_items(const struct field *field, const char *path, const void *before,
                       const void *after, struct buf *out)
{
    for (size_t i = 0; i < count(field, before); i++) {
        const char *item = array(field, before) + i * field->section->size;
        const void *now = find(field, after, label(field->section, item));
        _free_ char *inner = mem_format("%s.%s", path, label(field->section, item));
        if (now)
            diff_section(field->section, inner, item, now, out);
        else
            buf_format(out, "%s: removed\n", inner);
    }
    for (size_t i = 0; i < count(field, after); i++) {
        const char *item = array(field, after) + i * field->section->size;
        if (!find(field, before, label(field->section, item)))
            buf_format(out, "%s.%s: added\n", path, label(field->section, item));
    }
}

static void diff_section(const struct section *section, const char *path,
                         const void *before, const void *after, struct buf *out)
{
    for (const struct field *field = section->fields; field->name; field++) {
        _free_ char *inner = mem_format("%s%s%s", path, *path ? "." : "", field->name);
        if (field->type == FIELD_SECTION)
            diff_section(field->section, inner, before, after, out);
        else if (field->section)
            diff_items(field, inner, before, after, out);
        else
            diff_value(field, inner, before, after, out);
    }
}

void config_diff(const struct config *before, const struct config *after, struct buf *out)
{
    diff_section(&config_section, "", before, after, out);
}
