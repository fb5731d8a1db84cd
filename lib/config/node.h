/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* node - a YAML file as a tree that remembers where everything stands
 *
 * The part of YAML that a configuration needs: mappings with text keys, lists, scalars.
 * Anchors, aliases, tags, several documents and repeated keys are refused: each is a way
 * to write a file that does not mean what it shows. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct mark {
    unsigned line, col; /* from 1; columns count characters */
};

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };
enum { NODE_DEPTH_MAX = 16, NODE_MEMBERS_MAX = 4096 /* of one list or mapping */ };

struct node {
    enum node_kind kind;
    struct mark mark;
    char *text;    /* of a scalar */
    bool is_plain; /* a scalar without quotes */
    char *key;     /* of a mapping's member */
    struct mark key_mark;
    bool is_known; /* of a mapping's member: the tables know the key */
    size_t n;      /* members */
    struct node *parent, *first, *last, *next;
};

/* What is wrong with a file, in the file's order. */
struct problem {
    struct mark mark;
    char *text;
};
struct problems {
    struct problem *list;
    size_t n, cap;
};

/* Note something; what comes after CONFIG_ERRORS_MAX is counted only. */
void problem_add(struct problems *problems, struct mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Write all of them, one `file:line:col: text` a line, sorted by place. */
void problems_write(struct problems *problems, const char *file, struct buf *out);
void problems_fini(struct problems *problems);

/* The tree of a whole text, or NULL with at least one problem. An empty file is an empty
 * mapping. Repeated keys are problems that do not end the reading. */
struct node *node_parse(const char *text, size_t n, struct problems *problems);
void node_free(struct node *node);
/* The member of that key; NULL when absent or when `map` is no mapping. */
struct node *node_member(const struct node *map, const char *key);
/* "a mapping", "a list", "a value". */
const char *node_kind_name(enum node_kind kind);
