/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The picture of the flow: a column for everybody who takes part, an arrow for everything
 * that goes from one to another, in time from top to bottom. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/document/blocks.h"

enum {
    LANES_MAX = 8, /* more take no part in the picture */
    HEAD_HEIGHT = 34,
    STEP = 40,     /* from one arrow to the next */
    LETTER = 7,    /* the width of one in the arrows' labels, at most */
    GAP_MIN = 220, /* from one column to the next */
    HEAD_WIDTH = 170,
    MARGIN = 10,
};

struct lanes {
    const char *names[LANES_MAX];
    int x[LANES_MAX]; /* of the middle */
    size_t n;
};

static size_t lane(struct lanes *lanes, const char *name)
{
    size_t i = 0;

    while (i < lanes->n && strcmp(lanes->names[i], name) != 0)
        i++;
    if (i == lanes->n && lanes->n < LANES_MAX)
        lanes->names[lanes->n++] = name;
    return i < LANES_MAX ? i : LANES_MAX - 1;
}

static int between(size_t a, size_t b)
{
    return a < b ? (int)(b - a) : (int)(a - b);
}

/* Every label has room between its columns. */
static void place(struct lanes *lanes, const struct page_block *flow)
{
    int gap = GAP_MIN;

    for (size_t i = 0; i < flow->n; i++) {
        const struct arrow *a = &flow->arrows[i];
        size_t from = lane(lanes, a->from), to = lane(lanes, a->to);
        int room = (int)strlen(a->what) * LETTER + 3 * MARGIN;
        if (from != to && room / between(from, to) > gap)
            gap = room / between(from, to);
    }
    for (size_t i = 0; i < lanes->n; i++)
        lanes->x[i] = MARGIN + HEAD_WIDTH / 2 + (int)i * gap;
}

static void draw_lane(const struct lanes *lanes, size_t i, int height, struct buf *out)
{
    int x = lanes->x[i];

    buf_format(out,
               "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#b8c2cc\" "
               "stroke-dasharray=\"2 4\"/>\n",
               x, HEAD_HEIGHT, x, height);
    buf_format(out,
               "<rect x=\"%d\" y=\"1\" width=\"%d\" height=\"%d\" rx=\"5\" "
               "fill=\"#f3f6f9\" stroke=\"#0b5c8f\"/>\n",
               x - HEAD_WIDTH / 2, HEAD_WIDTH, HEAD_HEIGHT - 2);
    buf_format(out,
               "<text x=\"%d\" y=\"22\" text-anchor=\"middle\" font-size=\"13\" "
               "font-weight=\"600\">",
               x);
    html_escape(lanes->names[i], strlen(lanes->names[i]), out);
    buf_text(out, "</text>\n");
}

static void draw_arrow(struct lanes *lanes, const struct arrow *a, int y, struct buf *out)
{
    int from = lanes->x[lane(lanes, a->from)], to = lanes->x[lane(lanes, a->to)],
        back = from < to ? -8 : 8;

    buf_format(out,
               "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" stroke=\"#1b2530\" "
               "stroke-width=\"1.3\"%s/>\n",
               from, y, to, y, a->is_answer ? " stroke-dasharray=\"6 4\"" : "");
    buf_format(out, "<path d=\"M%d %d l%d -4 v8 z\" fill=\"#1b2530\"/>\n", to, y, back);
    buf_format(out,
               "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"11.5\" "
               "font-family=\"ui-monospace,Menlo,Consolas,monospace\">",
               (from + to) / 2, y - 6);
    html_escape(a->what, strlen(a->what), out);
    buf_text(out, "</text>\n");
}

void flow_svg(const struct page_block *flow, struct buf *out)
{
    struct lanes lanes = {.n = 0};
    int height = HEAD_HEIGHT + (int)(flow->n + 1) * STEP - STEP / 3;

    place(&lanes, flow);
    if (lanes.n == 0)
        return;
    int width = lanes.x[lanes.n - 1] + HEAD_WIDTH / 2 + MARGIN;
    buf_format(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
               "viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"The flow of events\" "
               "fill=\"#1b2530\" font-family=\"system-ui,sans-serif\">\n",
               width, height, width, height);
    for (size_t i = 0; i < lanes.n; i++)
        draw_lane(&lanes, i, height, out);
    for (size_t i = 0; i < flow->n; i++)
        draw_arrow(&lanes, &flow->arrows[i], HEAD_HEIGHT + (int)(i + 1) * STEP, out);
    buf_text(out, "</svg>\n");
}
