/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* HTML that needs nothing else: its style is in it, it has no script, and it prints on
 * paper as it stands on a screen. */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/document/blocks.h"
#include "lib/document/page.h"

static const char style[] =
    ":root{--ink:#1b2530;--soft:#5b6875;--line:#d5dce3;--head:#f3f6f9;--mark:#0b5c8f}"
    "*{box-sizing:border-box}"
    "body{font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "color:var(--ink);max-width:68rem;margin:2.5rem auto;padding:0 1.5rem;"
    "background:#fff}"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 1rem;padding-bottom:.6rem;"
    "border-bottom:3px solid var(--mark)}"
    "h2{font-size:1.3rem;margin:2.6rem 0 .6rem;padding-bottom:.25rem;"
    "border-bottom:1px solid var(--line)}"
    "h3{font-size:1.02rem;margin:1.5rem 0 .4rem;color:var(--mark)}"
    "p,ul{margin:.55rem 0;max-width:54rem}ul{padding-left:1.3rem}"
    "nav{font-size:.9rem;color:var(--soft);margin:.2rem 0 1.4rem}"
    "nav a{color:var(--mark);text-decoration:none;margin-right:1.1rem;"
    "white-space:nowrap}"
    "a{color:var(--mark)}"
    "table{border-collapse:collapse;width:100%;margin:.8rem 0 1.3rem;font-size:.88rem}"
    "th{background:var(--head);text-align:left;font-weight:600}"
    "th,td{border:1px solid var(--line);padding:.4rem .6rem;vertical-align:top;"
    "min-width:6.6rem}td:last-child{min-width:9.5rem}"
    "code{font:.92em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "background:var(--head);padding:.05em .3em;border-radius:3px;"
    "overflow-wrap:break-word}"
    "svg{display:block;max-width:100%;height:auto;margin:1rem 0 1.4rem}"
    "@media print{body{margin:0;max-width:none;font-size:10pt;padding:0}nav{display:none}"
    "h2,h3{break-after:avoid}tr,svg{break-inside:avoid}thead{display:table-header-group}"
    "@page{margin:18mm 15mm}}";

void html_escape(const char *text, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = text[i] == '&'    ? "&amp;"
                           : text[i] == '<'  ? "&lt;"
                           : text[i] == '>'  ? "&gt;"
                           : text[i] == '"'  ? "&quot;"
                           : text[i] == '\'' ? "&#39;"
                                             : NULL;
        if (name)
            buf_text(out, name);
        else
            buf_add(out, text + i, 1);
    }
}

/* A name may be broken behind its dots and dashes, and nowhere else. */
static void code(const char *text, size_t n, struct buf *out)
{
    buf_text(out, "<code>");
    for (size_t i = 0; i < n; i++) {
        html_escape(text + i, 1, out);
        if (strchr("._/", text[i]) && i + 1 < n)
            buf_text(out, "<wbr>");
    }
    buf_text(out, "</code>");
}

static void inline_text(const char *text, struct buf *out)
{
    bool in_code = false, is_code;
    const char *span;
    size_t n;

    while (blocks_span(&text, &in_code, &span, &n, &is_code))
        (is_code ? code : html_escape)(span, n, out);
}

static void element(const char *name, const char *text, struct buf *out)
{
    buf_format(out, "<%s>", name);
    inline_text(text, out);
    buf_format(out, "</%s>\n", name);
}

static void cell(const struct page_block *block, size_t i, struct buf *out)
{
    if (block->links[i]) {
        buf_text(out, "<a href=\"");
        html_escape(block->links[i], strlen(block->links[i]), out);
        buf_text(out, "\">");
    }
    inline_text(block->cells[i], out);
    if (block->links[i])
        buf_text(out, "</a>");
}

static void table(const struct page_block *block, struct buf *out)
{
    buf_text(out, "<table>\n<thead><tr>");
    for (size_t i = 0; i < block->n; i++) {
        bool is_head = i < block->columns;
        if (!is_head && i % block->columns == 0)
            buf_text(out, "<tr>");
        buf_text(out, is_head ? "<th>" : "<td>");
        cell(block, i, out);
        buf_text(out, is_head ? "</th>" : "</td>");
        if (i % block->columns == block->columns - 1)
            buf_text(out, is_head ? "</tr></thead>\n<tbody>\n" : "</tr>\n");
    }
    buf_text(out, "</tbody>\n</table>\n");
}

static void heading(unsigned level, unsigned number, const char *text, struct buf *out)
{
    if (level == 2)
        buf_format(out, "<h2 id=\"s%u\">", number);
    else
        buf_format(out, "<h%u>", level);
    inline_text(text, out);
    buf_format(out, "</h%u>\n", level);
}

static void contents(const struct page *page, struct buf *out)
{
    unsigned number = 0;

    buf_text(out, "<nav>");
    for (size_t i = 0; i < page->n; i++)
        if (page->blocks[i].kind == BLOCK_HEADING && page->blocks[i].level == 2) {
            buf_format(out, "<a href=\"#s%u\">", ++number);
            inline_text(page->blocks[i].text, out);
            buf_text(out, "</a>");
        }
    buf_text(out, "</nav>\n");
}

static void blocks(const struct page *page, struct buf *out)
{
    unsigned number = 0;

    for (size_t i = 0; i < page->n; i++) {
        const struct page_block *b = &page->blocks[i];
        bool is_item = b->kind == BLOCK_ITEM;
        if (is_item && (i == 0 || b[-1].kind != BLOCK_ITEM))
            buf_text(out, "<ul>\n");
        if (b->kind == BLOCK_HEADING)
            heading(b->level, b->level == 2 ? ++number : 0, b->text, out);
        if (b->kind == BLOCK_TEXT || is_item)
            element(is_item ? "li" : "p", b->text, out);
        if (b->kind == BLOCK_TABLE && b->n > b->columns)
            table(b, out);
        if (b->kind == BLOCK_FLOW)
            flow_svg(b, out);
        if (is_item && (i + 1 == page->n || b[1].kind != BLOCK_ITEM))
            buf_text(out, "</ul>\n");
    }
}

void page_html(const struct page *page, struct buf *out)
{
    buf_text(out,
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, "
             "initial-scale=1\">\n<title>");
    html_escape(page->title, strlen(page->title), out);
    buf_format(out, "</title>\n<style>%s</style>\n</head>\n<body>\n", style);
    element("h1", page->title, out);
    contents(page, out);
    blocks(page, out);
    buf_text(out, "</body>\n</html>\n");
}
