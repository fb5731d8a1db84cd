/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* page - a document as blocks in their order, whatever it is written as
 *
 * Texts are formatted like printf.  What stands between two backticks is code; nothing
 * else in a text is markup, so names and reasons from anywhere may be put in. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct page;

enum { PAGE_COLUMNS_MAX = 8 };

/* One arrow of the picture of the flow: who sends what to whom. Texts are copied. */
struct page_arrow {
    const char *from, *to;
    const char *what; /* on the arrow */
    bool is_answer;   /* drawn dashed: an outcome on its way back */
};

struct page *page_new(const char *title);
void page_free(struct page *page);
/* level 2 or 3. */
void page_heading(struct page *page, unsigned level, const char *text);
void page_text(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* An entry of a list; entries that follow each other are one list. */
void page_item(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A table with these columns (at most PAGE_COLUMNS_MAX, ended by NULL); cells follow with
 * page_cell, row by row. One without a row is not written. */
void page_table(struct page *page, const char *const *columns);
void page_cell(struct page *page, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A cell that leads to another file beside this one. */
void page_link(struct page *page, const char *target, const char *text);
/* The picture of the flow. */
void page_flow(struct page *page, const struct page_arrow *arrows, size_t n);

/* Append the page. */
void page_markdown(const struct page *page, struct buf *out);
/* A whole HTML document: no script, nothing from elsewhere. */
void page_html(const struct page *page, struct buf *out);
