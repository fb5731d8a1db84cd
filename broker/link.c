/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/link.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/wire.h"

enum {
    ANSWER_US =
        1000000,      /* nothing heard of a block or a fence for so long: fence again */
    FULL_US = 200000, /* a block was not taken for lack of room: offer it again after */
};

struct link {
    struct loop *loop;
    struct wire_socket *socket;
    struct link_options options;
    struct loop_timer *timer;
    uint64_t sent, committed; /* block numbers */
    bool is_fenced, was_fenced;
};

static int send_number(struct link *link, enum message_type type, uint64_t number)
{
    struct {
        struct message m;
        uint64_t number;
    } frame = {{.magic = MESSAGE_MAGIC,
                .version = MESSAGE_VERSION,
                .type = (uint8_t)type,
                .body_len = 8},
               number};

    return wire_send(link->socket, NULL, &frame, sizeof(frame));
}

static void fence(struct link *link)
{
    link->is_fenced = false;
    (void)send_number(
        link, MSG_FENCE,
        link->options.term); /* not connected yet: the timer sends it again */
    loop_timer_in(link->timer, link->was_fenced ? ANSWER_US : ANSWER_US / 5);
}

static void on_timer(void *user)
{
    struct link *link = user;

    if (link->is_fenced && link->sent > link->committed)
        log_say(LINK_DOWN, "to=logger no answer for a block; fencing again");
    if (!link->is_fenced || link->sent > link->committed)
        fence(link);
}

static void note_committed(struct link *link, const struct log_head *head)
{
    link->committed = head->number;
    if (link->sent > link->committed)
        loop_timer_in(link->timer, ANSWER_US);
    else
        loop_timer_stop(link->timer);
}

static void on_fenced(struct link *link, const struct log_head *head)
{
    if (link->is_fenced)
        return;
    link->is_fenced = link->was_fenced = true;
    link->committed = head->number;
    loop_timer_stop(link->timer);
    log_say(LINK_UP, "to=logger block=%llu", (unsigned long long)head->number);
    link->options.on_fenced(link->options.user, head);
}

static void on_stale(struct link *link, uint64_t term)
{
    if (link->was_fenced) {
        link->options.on_stale(link->options.user, term);
        return;
    }
    link->options.term = term + 1;
    fence(link);
}

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    struct link *link = user;
    const char *why;
    const struct message *m = message_check(frame, n, &why);

    (void)peer;
    if (!m) {
        log_say(BUS_GARBAGE, "from=logger %s", why);
        return;
    }
    const struct log_head *head = m->body_len >= sizeof(*head) ? message_body(m) : NULL;
    if (m->type == MSG_FENCED && head) {
        on_fenced(link, head);
    } else if (m->type == MSG_COMMITTED && head && link->is_fenced) {
        note_committed(link, head);
        link->options.on_committed(link->options.user, head);
    } else if (m->type == MSG_FULL && head && link->is_fenced) {
        log_say(LOG_FULL, "spare=%llu", (unsigned long long)head->spare_bytes);
        link->options.on_committed(link->options.user, head);
        link->is_fenced = false;
        loop_timer_in(link->timer, FULL_US);
    } else if (m->type == MSG_STALE && m->body_len >= 8) {
        uint64_t term;
        memcpy(&term, message_body(m), sizeof(term));
        on_stale(link, term);
    } else if (m->type == MSG_REFUSED) {
        log_say(FATAL, "the logger refused a frame of ours");
    }
}

struct link *link_new(struct loop *loop, struct wire *wire,
                      const struct link_options *options, char *error, size_t error_size)
{
    struct link *link = mem_alloc(sizeof(*link));
    struct wire_options socket = {.kind = WIRE_DEALER,
                                  .endpoint = options->endpoint,
                                  .hwm = 64,
                                  .on_frame = on_frame,
                                  .user = link};

    link->loop = loop;
    link->options = *options;
    link->socket = wire_open(wire, &socket, error, error_size);
    if (!link->socket) {
        free(link);
        return NULL;
    }
    link->timer = loop_timer_new(loop, on_timer, link);
    fence(link);
    return link;
}

void link_free(struct link *link)
{
    if (!link)
        return;
    loop_timer_free(link->timer);
    wire_close(link->socket);
    free(link);
}

static void release(void *frame, void *hint)
{
    (void)frame;
    block_ref_drop(hint);
}

void link_append(struct link *link, struct block_ref *block)
{
    const struct block *b = block->block;

    *block->frame = (struct message){.magic = MESSAGE_MAGIC,
                                     .version = MESSAGE_VERSION,
                                     .type = MSG_APPEND,
                                     .body_len = b->len,
                                     .count = b->count,
                                     .ref = b->number};
    link->sent = b->number;
    if (!link->is_fenced)
        return; /* sent again when it is */
    wire_send_owned(link->socket, NULL, block->frame, sizeof(struct message) + b->len,
                    release, block_ref_hold(block));
    if (!loop_timer_is_set(link->timer))
        loop_timer_in(link->timer, ANSWER_US);
}

uint64_t link_term(const struct link *link)
{
    return link->options.term;
}

void link_keep(struct link *link, uint64_t keep_from)
{
    if (link->is_fenced)
        (void)send_number(link, MSG_KEEP,
                          keep_from); /* lost: said again with the next change */
}
