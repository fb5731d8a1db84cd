/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* producer - a broker's half of the link to the logger, and nothing else: load, and the
 * truth about what was said
 *
 *   producer ENDPOINT [--size BYTES]
 *
 * Fences, appends with a window of blocks, and writes one line `number crc` for each
 * block that the logger said is committed, before it uses that room. After FULL, or
 * silence, it fences again and sends what is open once more. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/loop/loop.h"
#include "lib/wire/wire.h"
#include "tests/unit/store/chain.h"

enum { WINDOW = 16, SILENCE_US = 300000 };

struct producer {
    struct wire_socket *socket;
    struct loop_timer *timer;
    struct chain chain;
    struct block *open[WINDOW]; /* not yet committed, ascending */
    size_t n_open, size;
    uint64_t term;
    bool is_fenced;
};

static void send_frame(struct producer *p, enum message_type type, uint64_t ref,
                       const void *body, size_t n)
{
    _cleanup_(buf_fini) struct buf frame = BUF_NULL;

    message_begin(&frame, type, ref);
    buf_add(&frame, body, n);
    message_end(&frame);
    (void)wire_send(p->socket, NULL, frame.bytes, frame.len); /* silence is noticed */
}

static void fence(void *user)
{
    struct producer *p = user;

    p->is_fenced = false;
    send_frame(p, MSG_FENCE, 0, &p->term, sizeof(p->term));
    loop_timer_in(p->timer, SILENCE_US);
}

static void send_block(struct producer *p, const struct block *block)
{
    send_frame(p, MSG_APPEND, block->number, block, block->len);
}

static void fill_window(struct producer *p)
{
    while (p->n_open < WINDOW) {
        struct block *block =
            chain_next(&p->chain, p->size ? p->size : 300 + (size_t)rand() % 20000, 0);
        p->open[p->n_open++] = block;
        send_block(p, block);
    }
}

static void settle(struct producer *p, uint64_t number)
{
    char line[64];
    size_t done = 0;

    for (; done < p->n_open && p->open[done]->number <= number; done++) {
        int n = snprintf(line, sizeof(line), "%llu %08x\n",
                         (unsigned long long)p->open[done]->number, p->open[done]->crc);
        if (write(STDOUT_FILENO, line, (size_t)n) < 0)
            exit(1);
        free(p->open[done]);
    }
    p->n_open -= done;
    memmove(p->open, p->open + done, p->n_open * sizeof(*p->open));
}

static void on_fenced(struct producer *p, const struct log_head *head)
{
    if (p->is_fenced)
        return;
    p->is_fenced = true;
    if (!p->chain.number) {
        p->chain = chain_behind(head);
        p->chain.term = p->term;
    }
    settle(p, head->number);
    for (size_t i = 0; i < p->n_open; i++)
        send_block(p, p->open[i]);
    fill_window(p);
    loop_timer_in(p->timer, SILENCE_US);
}

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    struct producer *p = user;
    const char *why;
    const struct message *m = message_check(frame, n, &why);

    (void)peer;
    if (!m || m->type == MSG_REFUSED || (m->type == MSG_STALE && p->chain.number)) {
        fprintf(stderr, "unexpected: %s\n", m ? message_name(m->type) : why);
        exit(1);
    }
    if (m->type == MSG_STALE) {
        memcpy(&p->term, message_body(m), sizeof(p->term));
        p->term++;
        fence(p);
    } else if (m->type == MSG_FENCED) {
        on_fenced(p, message_body(m));
    } else if (m->type == MSG_FULL && p->is_fenced) {
        p->is_fenced = false; /* the timer fences */
        loop_timer_in(p->timer, SILENCE_US / 10);
    } else if (m->type == MSG_COMMITTED && p->is_fenced) {
        settle(p, ((const struct log_head *)message_body(m))->number);
        fill_window(p);
        loop_timer_in(p->timer, SILENCE_US);
    }
}

int main(int argc, char **argv)
{
    struct producer p = {.term = 1};
    char error[256];

    if (argc < 2)
        return 2;
    if (argc == 4 && strcmp(argv[2], "--size") == 0)
        p.size = strtoul(argv[3], NULL, 10);
    srand((unsigned)getpid());
    struct loop *loop = loop_new();
    struct wire *wire = wire_new(loop);
    const struct wire_options options = {
        .kind = WIRE_DEALER, .endpoint = argv[1], .on_frame = on_frame, .user = &p};
    p.timer = loop_timer_new(loop, fence, &p);
    p.socket = wire_open(wire, &options, error, sizeof(error));
    if (!p.socket) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    fence(&p);
    return loop_run(loop);
}
