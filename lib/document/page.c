/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/document/page.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/document/blocks.h"

struct page *page_new(const char *title)
{
    struct page *page = mem_alloc(sizeof(*page));

    page->title = mem_text(title);
    return page;
}

static void block_fini(struct page_block *block)
{
    for (size_t i = 0; block->cells && i < block->n; i++) {
        free(block->cells[i]);
        free(block->links[i]);
    }
    for (size_t i = 0; block->arrows && i < block->n; i++) {
        free(block->arrows[i].from);
        free(block->arrows[i].to);
        free(block->arrows[i].what);
    }
    free(block->cells);
    free(block->links);
    free(block->arrows);
    free(block->text);
}

void page_free(struct page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < page->n; i++)
        block_fini(&page->blocks[i]);
    free(page->blocks);
    free(page->title);
    free(page);
}

static struct page_block *add(struct page *page, enum block_kind kind)
{
    page->blocks = mem_resize(page->blocks, (page->n + 1) * sizeof(*page->blocks));
    page->blocks[page->n] = (struct page_block){.kind = kind};
    return &page->blocks[page->n++];
}

__attribute__((format(printf, 1, 0))) static char *format_text(const char *format,
                                                               va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = mem_alloc((size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, args);
    return text;
}

void page_heading(struct page *page, unsigned level, const char *text)
{
    struct page_block *block = add(page, BLOCK_HEADING);

    block->level = level;
    block->text = mem_text(text);
}

void page_text(struct page *page, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(page, BLOCK_TEXT)->text = format_text(format, args);
    va_end(args);
}

void page_item(struct page *page, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(page, BLOCK_ITEM)->text = format_text(format, args);
    va_end(args);
}

static void add_cell(struct page_block *table, char *text, char *link)
{
    table->cells = mem_resize(table->cells, (table->n + 1) * sizeof(*table->cells));
    table->links = mem_resize(table->links, (table->n + 1) * sizeof(*table->links));
    table->cells[table->n] = text;
    table->links[table->n++] = link;
}

void page_table(struct page *page, const char *const *columns)
{
    struct page_block *table = add(page, BLOCK_TABLE);

    for (; columns[table->columns]; table->columns++)
        add_cell(table, mem_text(columns[table->columns]), NULL);
}

void page_cell(struct page *page, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_cell(&page->blocks[page->n - 1], format_text(format, args), NULL);
    va_end(args);
}

void page_link(struct page *page, const char *target, const char *text)
{
    add_cell(&page->blocks[page->n - 1], mem_text(text), mem_text(target));
}

void page_flow(struct page *page, const struct page_arrow *arrows, size_t n)
{
    struct page_block *flow = add(page, BLOCK_FLOW);

    flow->arrows = mem_array(n, sizeof(*flow->arrows));
    flow->n = n;
    for (size_t i = 0; i < n; i++)
        flow->arrows[i] = (struct arrow){.from = mem_text(arrows[i].from),
                                         .to = mem_text(arrows[i].to),
                                         .what = mem_text(arrows[i].what),
                                         .is_answer = arrows[i].is_answer};
}

/* A backtick without a second one is one. */
bool blocks_span(const char **text, bool *in_code, const char **ret_span, size_t *ret_len,
                 bool *ret_is_code)
{
    const char *at = *text;

    if (!*at)
        return false;
    if (*at == '`' && (*in_code || strchr(at + 1, '`'))) {
        *in_code = !*in_code;
        *text = ++at;
        if (!*at)
            return false;
    }
    size_t n = strcspn(at + (*at == '`' && !*in_code ? 1 : 0), "`") +
               (*at == '`' && !*in_code ? 1 : 0);
    *ret_span = at;
    *ret_len = n;
    *ret_is_code = *in_code;
    *text = at + n;
    return true;
}
