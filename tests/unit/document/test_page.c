/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is written of a page, as Markdown and as HTML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/document/page.h"

static void is_in(struct buf *text, const char *part)
{
    if (!strstr(buf_str(text), part))
        fail_msg("expected %s in\n%s", part, buf_str(text));
}

static void is_not_in(struct buf *text, const char *part)
{
    if (strstr(buf_str(text), part))
        fail_msg("did not expect %s in\n%s", part, buf_str(text));
}

static struct page *page_of(const char *text)
{
    struct page *page = page_new("T");

    page_text(page, "%s", text);
    return page;
}

/* Text from anywhere is text, in both. */
static void nothing_in_a_text_is_markup_but_code(void **state)
{
    static const struct {
        const char *text, *markdown, *html;
    } cases[] = {
        {"plain", "\nplain\n", "<p>plain</p>"},
        {"a `b.c` d", "a `b.c` d", "a <code>b.<wbr>c</code> d"},
        {"`x|y`", "`x\\|y`", "<code>x|y</code>"},
        {"<b>&", "\\<b>&", "&lt;b&gt;&amp;"},
        {"*so* [x](y)", "\\*so\\* \\[x](y)", "*so* [x](y)"},
        {"sk_test_ and _a_", "sk_test\\_ and \\_a\\_", "sk_test_ and _a_"},
        {"one ` alone", "one \\` alone", "one ` alone"},
        {"`a` and ` more", "`a` and \\` more", "<code>a</code> and ` more"},
        {"\"q\" 'r'", "\"q\" 'r'", "&quot;q&quot; &#39;r&#39;"},
        {"a|b", "a\\|b", "a|b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct page *page = page_of(cases[i].text);
        struct buf markdown = BUF_NULL, html = BUF_NULL;
        page_markdown(page, &markdown);
        page_html(page, &html);
        is_in(&markdown, cases[i].markdown);
        is_in(&html, cases[i].html);
        page_free(page);
        buf_fini(&markdown);
        buf_fini(&html);
    }
}

static struct page *rich_page(void)
{
    static const char *const columns[] = {"A", "B", NULL}, *const none[] = {"Gone", NULL};
    static const struct page_arrow arrows[] = {{"app", "box", "ask <it>", false},
                                               {"box", "app", "answer", true}};
    struct page *page = page_new("Title");

    page_heading(page, 2, "Two");
    page_item(page, "one");
    page_item(page, "more");
    page_table(page, columns);
    page_cell(page, "%d", 1);
    page_link(page, "x.md", "X");
    page_table(page, none);
    page_flow(page, arrows, 2);
    return page;
}

static void a_page_as_markdown_is_this(void **state)
{
    struct page *page = rich_page();
    struct buf out = BUF_NULL;

    (void)state;
    page_markdown(page, &out);
    assert_string_equal(buf_str(&out), "# Title\n\n## Two\n\n- one\n- more\n\n"
                                       "| A | B |\n| --- | --- |\n| 1 | [X](x.md) |\n\n"
                                       "```text\napp --- ask <it> ---> box\n"
                                       "box - - answer - -> app\n```\n");
    page_free(page);
    buf_fini(&out);
}

static void a_page_as_html_needs_nothing_else_and_has_no_script(void **state)
{
    struct page *page = rich_page();
    struct buf out = BUF_NULL;

    (void)state;
    page_html(page, &out);
    is_in(&out, "<h2 id=\"s1\">Two</h2>");
    is_in(&out, "<a href=\"#s1\">Two</a>");
    is_in(&out, "<ul>\n<li>one</li>\n<li>more</li>\n</ul>");
    is_in(&out, "<td><a href=\"x.md\">X</a></td></tr>");
    is_in(&out, "ask &lt;it&gt;</text>");
    is_in(&out, "stroke-dasharray=\"6 4\"");
    is_in(&out, "@media print");
    is_not_in(&out, "Gone");
    is_not_in(&out, "<script");
    is_not_in(&out, "src=");
    is_not_in(&out, "<link");
    page_free(page);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_a_text_is_markup_but_code),
        cmocka_unit_test(a_page_as_markdown_is_this),
        cmocka_unit_test(a_page_as_html_needs_nothing_else_and_has_no_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
