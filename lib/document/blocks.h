/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* blocks - what a page is made of, for those who write it out */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;

enum block_kind { BLOCK_HEADING, BLOCK_TEXT, BLOCK_ITEM, BLOCK_TABLE, BLOCK_FLOW };
struct arrow {
    char *from, *to, *what;
    bool is_answer;
};
struct page_block {
    enum block_kind kind;
    unsigned level; /* of a heading */
    char *text;     /* of a heading, a text, an item */
    char **cells;   /* of a table: its head, then row by row */
    char **links;   /* where a cell leads; NULL: nowhere */
    size_t columns; /* of a table */
    size_t n;       /* cells; arrows */
    struct arrow *arrows;
};
struct page {
    char *title;
    struct page_block *blocks;
    size_t n;
};

/* The part of *text up to the next change between prose and code; moves *text behind it
 * and *ret_is_code tells what it is. False at the end. Start with *in_code false. */
bool blocks_span(const char **text, bool *in_code, const char **ret_span, size_t *ret_len,
                 bool *ret_is_code);
/* The picture as an SVG element. */
void flow_svg(const struct page_block *flow, struct buf *out);
/* Text as it may stand in HTML and in attributes. */
void html_escape(const char *text, size_t n, struct buf *out);
