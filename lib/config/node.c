/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/node.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/mem.h"
#include "lib/config/config.h"

/* --- problems --- */

void problem_add(struct problems *problems, struct mark mark, const char *format, ...)
{
    va_list args;
    char *text = NULL;

    problems->n++;
    if (problems->n > CONFIG_ERRORS_MAX)
        return;
    if (problems->n > problems->cap) {
        problems->cap = problems->cap ? problems->cap * 2 : 8;
        problems->list =
            mem_resize(problems->list, problems->cap * sizeof(*problems->list));
    }
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    problems->list[problems->n - 1] = (struct problem){mark, text};
}

static int by_place(const void *left, const void *right)
{
    const struct problem *a = left, *b = right;

    if (a->mark.line != b->mark.line)
        return a->mark.line < b->mark.line ? -1 : 1;
    if (a->mark.col != b->mark.col)
        return a->mark.col < b->mark.col ? -1 : 1;
    return strcmp(a->text, b->text);
}

void problems_write(struct problems *problems, const char *file, struct buf *out)
{
    size_t kept = problems->n < CONFIG_ERRORS_MAX ? problems->n : CONFIG_ERRORS_MAX;

    if (kept > 1)
        qsort(problems->list, kept, sizeof(*problems->list), by_place);
    for (size_t i = 0; i < kept; i++) {
        const struct problem *p = &problems->list[i];
        buf_format(out, "%s:%u:%u: %s\n", file, p->mark.line, p->mark.col, p->text);
    }
    if (problems->n > kept)
        buf_format(out, "%s: and %zu more errors\n", file, problems->n - kept);
}

void problems_fini(struct problems *problems)
{
    size_t kept = problems->n < CONFIG_ERRORS_MAX ? problems->n : CONFIG_ERRORS_MAX;

    for (size_t i = 0; i < kept; i++)
        free(problems->list[i].text);
    free(problems->list);
    *problems = (struct problems){0};
}

/* --- the tree --- */

const char *node_kind_name(enum node_kind kind)
{
    static const char *const names[] = {"a value", "a list", "a mapping"};

    return names[kind];
}

struct node *node_member(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (struct node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

void node_free(struct node *node)
{
    if (!node)
        return;
    for (struct node *child = node->first; child;) {
        struct node *next = child->next;
        node_free(child);
        child = next;
    }
    free(node->text);
    free(node->key);
    free(node);
}

/* What is being built: the innermost open collection, and the key that waits for its
 * value. */
struct building {
    struct node *root, *open;
    unsigned depth;
    char *key;
    struct mark key_mark;
    struct problems *problems;
};

static struct mark mark_of(const yaml_mark_t *mark)
{
    return (struct mark){(unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static bool refuse(struct building *b, struct mark mark, const char *text)
{
    problem_add(b->problems, mark, "%s", text);
    return false;
}

/* Hang a new node into the open collection. */
static struct node *hang(struct building *b, enum node_kind kind, struct mark mark)
{
    struct node *node = mem_alloc(sizeof(*node));

    *node = (struct node){.kind = kind, .mark = mark, .parent = b->open};
    if (!b->open) {
        b->root = node;
        return node;
    }
    if (b->open->kind == NODE_MAP) {
        if (node_member(b->open, b->key))
            problem_add(b->problems, b->key_mark, "the key `%s` stands here twice",
                        b->key);
        node->key = b->key;
        node->key_mark = b->key_mark;
        b->key = NULL;
    }
    if (b->open->last)
        b->open->last->next = node;
    else
        b->open->first = node;
    b->open->last = node;
    b->open->n++;
    return node;
}

static bool wants_key(const struct building *b)
{
    return b->open && b->open->kind == NODE_MAP && !b->key;
}

static const char too_many[] = "too many entries; expected at most 4096 in one place";

static bool is_full(const struct building *b)
{
    return b->open && b->open->n == NODE_MEMBERS_MAX;
}

static bool take_collection(struct building *b, enum node_kind kind,
                            const yaml_event_t *event)
{
    struct mark mark = mark_of(&event->start_mark);

    if (wants_key(b))
        return refuse(b, mark, "a key must be a text");
    if (b->depth == NODE_DEPTH_MAX)
        return refuse(b, mark, "nested too deep; expected at most 16 levels");
    if (is_full(b))
        return refuse(b, mark, too_many);
    b->open = hang(b, kind, mark);
    b->depth++;
    return true;
}

static bool take_scalar(struct building *b, const yaml_event_t *event)
{
    struct mark mark = mark_of(&event->start_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (memchr(text, 0, len))
        return refuse(b, mark, "a NUL character is not allowed in a text");
    if (wants_key(b)) {
        b->key = mem_copy(text, len);
        b->key_mark = mark;
        return true;
    }
    if (is_full(b))
        return refuse(b, mark, too_many);
    struct node *node = hang(b, NODE_SCALAR, mark);
    node->text = mem_copy(text, len);
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return true;
}

static bool close_collection(struct building *b)
{
    b->open = b->open->parent;
    b->depth--;
    return true;
}

static bool has_extras(const yaml_char_t *anchor, const yaml_char_t *tag)
{
    return anchor || tag;
}

/* One event; false ends the reading. */
static bool take(struct building *b, const yaml_event_t *event)
{
    static const char extras[] =
        "anchors and tags are not allowed here; write the value itself";
    struct mark mark = mark_of(&event->start_mark);

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(b, mark, "aliases are not allowed here; write the value itself");
    case YAML_DOCUMENT_START_EVENT:
        return b->root ? refuse(b, mark, "a second document; expected one") : true;
    case YAML_SCALAR_EVENT:
        if (has_extras(event->data.scalar.anchor, event->data.scalar.tag))
            return refuse(b, mark, extras);
        return take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        if (has_extras(event->data.sequence_start.anchor, event->data.sequence_start.tag))
            return refuse(b, mark, extras);
        return take_collection(b, NODE_LIST, event);
    case YAML_MAPPING_START_EVENT:
        if (has_extras(event->data.mapping_start.anchor, event->data.mapping_start.tag))
            return refuse(b, mark, extras);
        return take_collection(b, NODE_MAP, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(b);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

/* Length of the UTF-8 character at s, 0 when it is not one, or a control character. */
static size_t character(const unsigned char *s, size_t n)
{
    size_t len = s[0] < 0x80   ? 1
                 : s[0] < 0xc2 ? 0
                 : s[0] < 0xe0 ? 2
                 : s[0] < 0xf0 ? 3
                               : 4;

    if (s[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len == 1 && s[0] < ' ' && !strchr("\t\r\n", s[0]) ? 0 : s[0] ? len : 0;
}

/* libyaml gives no line for these, so they are found before it reads. */
static bool is_text(const char *text, size_t n, struct problems *problems)
{
    struct mark mark = {1, 1};

    for (size_t i = 0; i < n;) {
        size_t len = character((const unsigned char *)text + i, n - i);
        if (!len) {
            problem_add(problems, mark,
                        "byte 0x%02x is not UTF-8 text; expected a file in UTF-8",
                        (unsigned char)text[i]);
            return false;
        }
        mark.col++;
        if (text[i] == '\n')
            mark = (struct mark){mark.line + 1, 1};
        i += len;
    }
    return true;
}

static void syntax(const yaml_parser_t *parser, struct problems *problems)
{
    if (parser->error == YAML_MEMORY_ERROR)
        mem_exhausted(0); /* it does not say of how much */
    const char *what = parser->problem ? parser->problem : "it cannot be read";
    struct mark mark = mark_of(&parser->problem_mark);

    if (parser->context)
        problem_add(problems, mark, "this is not YAML: %s, %s", parser->context, what);
    else
        problem_add(problems, mark, "this is not YAML: %s", what);
}

static bool read_all(yaml_parser_t *parser, struct building *b)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            syntax(parser, b->problems);
            return false;
        }
        bool good = take(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (!good)
            return false;
    }
    return true;
}

static struct node *empty_map(void)
{
    struct node *node = mem_alloc(sizeof(*node));

    *node = (struct node){.kind = NODE_MAP, .mark = {1, 1}};
    return node;
}

struct node *node_parse(const char *text, size_t n, struct problems *problems)
{
    struct building b = {.problems = problems};
    yaml_parser_t parser;

    if (!is_text(text, n, problems))
        return NULL;
    if (!yaml_parser_initialize(&parser))
        mem_exhausted(0);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    bool good = read_all(&parser, &b);
    yaml_parser_delete(&parser);
    free(b.key);
    if (good)
        return b.root ? b.root : empty_map();
    node_free(b.root);
    return NULL;
}
