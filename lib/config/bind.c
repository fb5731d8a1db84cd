/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/bind.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/config/node.h"
#include "lib/config/tables.h"
#include "lib/config/value.h"

enum { FIELDS_MAX = 32 }; /* of one section, for suggestions */

struct binding {
    struct value_places places;
    const struct config *config;
    struct problems *problems;
};

static void bind_section(struct binding *b, const struct section *section,
                         struct node *map, struct mark mark, void *base);

static void *array_at(const struct field *field, void *base)
{
    return *(void **)(void *)((char *)base + field->offset);
}

static size_t *count_at(const struct field *field, void *base)
{
    return (size_t *)(void *)((char *)base + field->count_offset);
}

/* Where to point when something about a node is wrong: at its key when it has one and no
 * value. */
static bool is_kind(struct binding *b, const struct node *node, enum node_kind kind,
                    const char *expected)
{
    bool is_empty =
        node->kind == NODE_SCALAR && node->is_plain &&
        (!*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);

    if (is_empty)
        problem_add(b->problems, node->key ? node->key_mark : node->mark,
                    "there is no value; expected %s", expected);
    else if (node->kind != kind)
        problem_add(b->problems, node->mark, "this is %s; expected %s",
                    node_kind_name(node->kind), expected);
    return !is_empty && node->kind == kind;
}

/* --- single values --- */

static void bind_single(struct binding *b, const struct field *field, struct node *node,
                        void *base)
{
    struct buf expected = BUF_NULL;
    const char *near = NULL;

    value_describe(field, &expected);
    if (!is_kind(b, node, NODE_SCALAR, buf_str(&expected))) {
        buf_fini(&expected);
        return;
    }
    buf_clear(&expected);
    if (!value_read(field, node->text, &b->places, base, &expected)) {
        if (field->choices)
            near = text_nearest(node->text, field->choices);
        problem_add(b->problems, node->mark, "`%s` does not fit; expected %s%s%s%s",
                    field->name, buf_str(&expected), near ? "; did you mean `" : "",
                    near ? near : "", near ? "`?" : "");
    }
    buf_fini(&expected);
}

static void set_default(struct binding *b, const struct field *field, void *base)
{
    struct buf expected = BUF_NULL;

    if (field->fallback &&
        !value_read(field, field->fallback, &b->places, base, &expected))
        abort(); /* the table is wrong */
    buf_fini(&expected);
}

/* --- lists and mappings of values --- */

static void bind_types(struct binding *b, const struct field *field, struct node *node,
                       void *base)
{
    static const char expected[] =
        "an event type or a pattern such as payment.*.succeeded";
    char **list = mem_array(node->n + 1, sizeof(*list));
    size_t n = 0;

    for (struct node *item = node->first; item; item = item->next) {
        if (!is_kind(b, item, NODE_SCALAR, expected))
            continue;
        if (text_is_pattern(item->text))
            list[n++] = mem_text(item->text);
        else
            problem_add(b->problems, item->mark, "this is no event type; expected %s",
                        expected);
    }
    *(char ***)(void *)((char *)base + field->offset) = list;
    *count_at(field, base) = n;
}

static void bind_names(struct binding *b, const struct field *field, struct node *node,
                       void *base)
{
    static const char expected[] = "a name";
    char **list = mem_array(node->n + 1, sizeof(*list));
    size_t n = 0;

    for (struct node *item = node->first; item; item = item->next) {
        if (!is_kind(b, item, NODE_SCALAR, expected))
            continue;
        if (text_is_name(item->text))
            list[n++] = mem_text(item->text);
        else
            problem_add(
                b->problems, item->mark,
                "this is no name; expected 1 to 64 of a-z 0-9 _ -, first a letter");
    }
    *(char ***)(void *)((char *)base + field->offset) = list;
    *count_at(field, base) = n;
}

static void bind_words(struct binding *b, const struct field *field, struct node *node,
                       void *base)
{
    char **list = mem_array(node->n + 1, sizeof(*list));
    size_t n = 0;

    for (struct node *item = node->first; item; item = item->next) {
        if (is_kind(b, item, NODE_SCALAR, "a word (there is no shell)"))
            list[n++] = mem_text(item->text);
    }
    *(char ***)(void *)((char *)base + field->offset) = list;
    *count_at(field, base) = n;
}

static void bind_secret(struct binding *b, struct node *item, const char *use,
                        struct config_secret *list, size_t *n)
{
    static const char expected[] =
        "vault:NAME or file:PATH (a secret itself never stands in this file)";

    if (!is_kind(b, item, NODE_SCALAR, expected))
        return;
    if (secret_read(item->text, use, &b->places, &list[*n]))
        ++*n;
    else
        problem_add(b->problems, item->mark,
                    "this is no reference to a secret; expected %s", expected);
}

static void bind_secrets(struct binding *b, const struct field *field, struct node *node,
                         void *base)
{
    struct config_secret *list = mem_array(node->n + 1, sizeof(*list));
    size_t n = 0;

    for (struct node *item = node->first; item; item = item->next) {
        if (item->key && !text_is_name(item->key))
            problem_add(b->problems, item->key_mark,
                        "`%s` is not a name a secret can have", item->key);
        else
            bind_secret(b, item, item->key ? item->key : "webhook", list, &n);
    }
    *(struct config_secret **)(void *)((char *)base + field->offset) = list;
    *count_at(field, base) = n;
}

static void bind_one_secret(struct binding *b, const struct field *field,
                            struct node *node, void *base)
{
    struct config_secret *list = mem_array(1, sizeof(*list));

    bind_secret(b, node, "webhook", list, count_at(field, base));
    *(struct config_secret **)(void *)((char *)base + field->offset) = list;
}

/* A list for an operation: its price changed, or will. */
static void bind_price(struct binding *b, struct node *item, const char *operation,
                       struct config_price *list, size_t *n)
{
    static const char expected[] =
        "a price such as 0.30 USD or 0.30 USD since 2026-07-01";

    if (!is_kind(b, item, NODE_SCALAR, expected))
        return;
    if (price_read(item->text, operation, &list[*n]))
        ++*n;
    else
        problem_add(b->problems, item->mark, "this is no price; expected %s", expected);
}

static void bind_prices(struct binding *b, const struct field *field, struct node *node,
                        void *base)
{
    size_t room = 1, n = 0;

    for (struct node *item = node->first; item; item = item->next)
        room += item->kind == NODE_LIST ? item->n : 1;
    struct config_price *list = mem_array(room, sizeof(*list));
    for (struct node *item = node->first; item; item = item->next) {
        if (!text_is_name(item->key))
            problem_add(b->problems, item->key_mark,
                        "`%s` is not a name an operation can have", item->key);
        else if (item->kind != NODE_LIST)
            bind_price(b, item, item->key, list, &n);
        else
            for (struct node *one = item->first; one; one = one->next)
                bind_price(b, one, item->key, list, &n);
    }
    *(struct config_price **)(void *)((char *)base + field->offset) = list;
    *count_at(field, base) = n;
}

static void bind_options(struct binding *b, const struct field *field, struct node *node,
                         void *base)
{
    char **names = mem_array(node->n + 1, sizeof(*names));
    char **values = mem_array(node->n + 1, sizeof(*values));
    size_t n = 0;

    for (struct node *item = node->first; item; item = item->next) {
        if (!is_kind(b, item, NODE_SCALAR, "a single value"))
            continue;
        if (!text_is_name(item->key)) {
            problem_add(b->problems, item->key_mark,
                        "`%s` is not a name an option can have", item->key);
            continue;
        }
        names[n] = mem_text(item->key);
        values[n++] = mem_text(item->text);
    }
    char ***at = (char ***)(void *)((char *)base + field->offset);
    at[0] = names;
    at[1] = values;
    *count_at(field, base) = n;
}

/* --- lists and mappings of sections --- */

static void bind_items(struct binding *b, const struct field *field, struct node *node,
                       void *base)
{
    const struct section *section = field->section;
    char *list = mem_array(node->n + 1, section->size);
    size_t n = 0;

    *(void **)(void *)((char *)base + field->offset) = list;
    for (struct node *item = node->first; item; item = item->next) {
        if (!is_kind(b, item, NODE_MAP, "a mapping"))
            continue;
        char *at = list + n++ * section->size;
        struct mark mark = item->key ? item->key_mark : item->mark;
        *(int *)(void *)(at + section->line_offset) = (int)mark.line;
        if (item->key && !text_is_name(item->key))
            problem_add(
                b->problems, mark,
                "`%s` is not a name %s can have; expected 1 to 64 of a-z 0-9 _ -, "
                "first a letter",
                item->key, section->what);
        if (section->name_offset != SECTION_NONE)
            *(char **)(void *)(at + section->name_offset) = mem_text(item->key);
        bind_section(b, section, item, mark, at);
    }
    *count_at(field, base) = n;
}

/* --- what a type needs: the kind of node, and who reads it --- */

static const struct {
    enum node_kind kind;
    const char *expected;
    void (*bind)(struct binding *, const struct field *, struct node *, void *base);
} several[FIELD_TYPE_COUNT] = {
    [FIELD_TYPES] = {NODE_LIST, "a list of event types", bind_types},
    [FIELD_NAMES] = {NODE_LIST, "a list of names", bind_names},
    [FIELD_WORDS] = {NODE_LIST, "a list: the program and its arguments", bind_words},
    [FIELD_SECRET] = {NODE_SCALAR, "vault:NAME or file:PATH", bind_one_secret},
    [FIELD_SECRETS] = {NODE_LIST, "a list of vault:NAME or file:PATH", bind_secrets},
    [FIELD_NAMED_SECRETS] = {NODE_MAP, "a mapping such as { api_key: vault:NAME }",
                             bind_secrets},
    [FIELD_PRICES] = {NODE_MAP, "a mapping such as { charge: 0.30 USD }", bind_prices},
    [FIELD_OPTIONS] = {NODE_MAP, "a mapping from option to value", bind_options},
    [FIELD_ITEMS] = {NODE_LIST, "a list of mappings", bind_items},
    [FIELD_NAMED_ITEMS] = {NODE_MAP, "a mapping by name", bind_items},
    [FIELD_SECTION] = {NODE_MAP, "a mapping", NULL},
};

static bool is_missing(const struct field *field, void *base)
{
    if (!field->is_required || value_is_single(field))
        return false;
    return *count_at(field, base) == 0;
}

static bool has_required(const struct section *section)
{
    for (const struct field *field = section->fields; field->name; field++)
        if (field->is_required)
            return true;
    return false;
}

static void bind_field(struct binding *b, const struct field *field, struct node *node,
                       struct mark mark, void *base)
{
    size_t before = b->problems->n;

    if (field->type == FIELD_SECTION) {
        if (node && !is_kind(b, node, NODE_MAP, several[field->type].expected))
            node = NULL;
        if (node ||
            !has_required(field->section)) /* `why` is absent as a whole, or complete */
            bind_section(b, field->section, node, node ? node->key_mark : mark, base);
        return;
    }
    if (value_is_single(field))
        set_default(b, field, base);
    if (!node) {
        if (field->is_required)
            problem_add(b->problems, mark, "`%s` is missing: %s", field->name,
                        field->sentence);
        return;
    }
    if (value_is_single(field))
        bind_single(b, field, node, base);
    else if (is_kind(b, node, several[field->type].kind, several[field->type].expected))
        several[field->type].bind(b, field, node, base);
    if (b->problems->n == before && is_missing(field, base))
        problem_add(b->problems, node->mark, "`%s` is empty; expected at least one",
                    field->name);
}

/* Keys of the mapping that no field claimed. */
static void refuse_unknown(struct binding *b, const struct section *section,
                           const struct node *map)
{
    const char *names[FIELDS_MAX + 1] = {NULL};
    size_t n = 0;

    for (const struct field *field = section->fields; field->name && n < FIELDS_MAX;
         field++)
        names[n++] = field->name;
    for (const struct node *child = map->first; child; child = child->next) {
        if (child->is_known)
            continue;
        const char *near = text_nearest(child->key, names);
        if (near)
            problem_add(b->problems, child->key_mark,
                        "%s has no key `%s`; did you mean `%s`?", section->what,
                        child->key, near);
        else
            problem_add(b->problems, child->key_mark, "%s has no key `%s`", section->what,
                        child->key);
    }
}

/* `map` may be NULL: defaults. `mark` is where a missing key is reported. */
static void bind_section(struct binding *b, const struct section *section,
                         struct node *map, struct mark mark, void *base)
{
    for (const struct field *field = section->fields; field->name; field++) {
        struct node *node = node_member(map, field->name);
        bind_field(b, field, node, mark, base);
        if (field->type == FIELD_PATH && base == b->config && !b->places.data)
            b->places.data = b->config->data; /* the first field: others refer to it */
    }
    if (!map)
        return;
    for (struct node *child = map->first; child; child = child->next)
        for (const struct field *field = section->fields; field->name; field++)
            child->is_known |= strcmp(child->key, field->name) == 0;
    refuse_unknown(b, section, map);
}

void bind_config(struct node *root, const char *here, struct config *config,
                 struct problems *problems)
{
    struct binding b = {.places = {.here = here}, .config = config, .problems = problems};

    if (!is_kind(&b, root, NODE_MAP, "a mapping")) {
        bind_section(&b, &config_section, NULL, root->mark, config);
        return;
    }
    bind_section(&b, &config_section, root, root->mark, config);
}

/* --- free --- */

static void free_section(const struct section *section, void *base);

static void free_several(const struct field *field, void *base)
{
    char *list = array_at(field, base);
    size_t n = *count_at(field, base);

    for (size_t i = 0; list && i < n; i++) {
        if (field->type == FIELD_TYPES || field->type == FIELD_WORDS ||
            field->type == FIELD_NAMES)
            free(((char **)(void *)list)[i]);
        else if (field->type == FIELD_SECRET || field->type == FIELD_SECRETS ||
                 field->type == FIELD_NAMED_SECRETS)
            secret_free((struct config_secret *)(void *)list + i);
        else if (field->type == FIELD_PRICES)
            free(((struct config_price *)(void *)list)[i].operation);
        else
            free_section(field->section, list + i * field->section->size);
    }
    free(list);
}

static void free_options(const struct field *field, void *base)
{
    char ***at = (char ***)(void *)((char *)base + field->offset);

    for (size_t i = 0; i < *count_at(field, base); i++) {
        free(at[0][i]);
        free(at[1][i]);
    }
    free(at[0]);
    free(at[1]);
}

static void free_section(const struct section *section, void *base)
{
    for (const struct field *field = section->fields; field->name; field++) {
        if (value_is_single(field))
            value_free(field, base);
        else if (field->type == FIELD_SECTION)
            free_section(field->section, base);
        else if (field->type == FIELD_OPTIONS)
            free_options(field, base);
        else
            free_several(field, base);
    }
    if (section->size && section->name_offset != SECTION_NONE)
        free(*(char **)(void *)((char *)base + section->name_offset));
}

void bind_free(struct config *config)
{
    free_section(&config_section, config);
}
