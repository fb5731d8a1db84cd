/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Markdown as GitHub reads it: tables with pipes, the picture as a block of text. */
#include <ctype.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/document/blocks.h"
#include "lib/document/page.h"

static bool is_word(char c)
{
    return isalnum((unsigned char)c) != 0;
}

/* What would be markup gets a backslash; an underscore inside a word is none. */
static void escape(const char *text, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        bool is_inside =
            i > 0 && i + 1 < n && is_word(text[i - 1]) && is_word(text[i + 1]);
        if (strchr("\\`*<[|", text[i]) || (text[i] == '_' && !is_inside))
            buf_text(out, "\\");
        buf_add(out, text[i] == '\n' ? " " : text + i, 1);
    }
}

/* Code is as it is, but a pipe would end a table's cell. */
static void code(const char *text, size_t n, struct buf *out)
{
    buf_text(out, "`");
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '|')
            buf_text(out, "\\");
        buf_add(out, text + i, 1);
    }
    buf_text(out, "`");
}

static void inline_text(const char *text, struct buf *out)
{
    bool in_code = false, is_code;
    const char *span;
    size_t n;

    while (blocks_span(&text, &in_code, &span, &n, &is_code))
        (is_code ? code : escape)(span, n, out);
}

static void cell(const struct page_block *block, size_t i, struct buf *out)
{
    if (block->links[i])
        buf_text(out, "[");
    inline_text(block->cells[i], out);
    if (block->links[i])
        buf_format(out, "](%s)", block->links[i]);
}

static void table(const struct page_block *block, struct buf *out)
{
    for (size_t i = 0; i < block->n; i++) {
        buf_text(out, i % block->columns ? " " : "| ");
        cell(block, i, out);
        buf_text(out, " |");
        if (i % block->columns == block->columns - 1)
            buf_text(out, "\n");
        if (i == block->columns - 1) {
            for (size_t c = 0; c < block->columns; c++)
                buf_text(out, c ? " --- |" : "| --- |");
            buf_text(out, "\n");
        }
    }
    buf_text(out, "\n");
}

static void flow(const struct page_block *block, struct buf *out)
{
    size_t width = 0;

    for (size_t i = 0; i < block->n; i++)
        if (strlen(block->arrows[i].from) > width)
            width = strlen(block->arrows[i].from);
    buf_text(out, "```text\n");
    for (size_t i = 0; i < block->n; i++) {
        const struct arrow *a = &block->arrows[i];
        buf_format(out, "%*s %s %s %s %s\n", (int)width, a->from,
                   a->is_answer ? "- -" : "---", a->what, a->is_answer ? "- ->" : "--->",
                   a->to);
    }
    buf_text(out, "```\n\n");
}

static void heading(unsigned level, const char *text, struct buf *out)
{
    buf_format(out, "%.*s ", (int)level, "######");
    inline_text(text, out);
    buf_text(out, "\n\n");
}

void page_markdown(const struct page *page, struct buf *out)
{
    heading(1, page->title, out);
    for (size_t i = 0; i < page->n; i++) {
        const struct page_block *b = &page->blocks[i];
        bool is_last = i + 1 == page->n || b[1].kind != BLOCK_ITEM;
        if (b->kind == BLOCK_HEADING)
            heading(b->level, b->text, out);
        if (b->kind == BLOCK_TABLE && b->n > b->columns)
            table(b, out);
        if (b->kind == BLOCK_FLOW)
            flow(b, out);
        if (b->kind != BLOCK_TEXT && b->kind != BLOCK_ITEM)
            continue;
        buf_text(out, b->kind == BLOCK_ITEM ? "- " : "");
        inline_text(b->text, out);
        buf_text(out, b->kind == BLOCK_ITEM && !is_last ? "\n" : "\n\n");
    }
    out->len -= out->len && out->bytes[out->len - 1] == '\n' ? 1 : 0; /* one is enough */
    out->bytes[out->len] = 0;
}
