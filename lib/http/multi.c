/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/multi.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"

/* libcurl is asked this often whether a timeout of its own slipped by. */
enum { TICK_US = 1000000 };

struct multi {
    struct loop *loop;
    CURLM *curl;
    struct loop_timer *timer, *tick;
    unsigned n; /* handles */
    multi_fn fn;
    void *user;
};

static void drain(struct multi *multi)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi->curl, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* gone once the handle is removed */
        multi_remove(multi, easy);
        multi->fn(multi->user, easy, code);
    }
}

static void act(struct multi *multi, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(multi->curl, fd, what, &running);
    drain(multi);
}

struct socket {
    struct multi *multi;
    curl_socket_t fd;
    struct loop_source *source;
};

static void socket_ready(void *user, uint32_t events)
{
    const struct socket *s = user;
    int what = 0;

    if (events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    act(s->multi, s->fd, what);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                        void *assigned)
{
    struct multi *multi = user;
    struct socket *s = assigned;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            loop_unwatch(s->source);
            free(s);
            curl_multi_assign(multi->curl, fd, NULL);
        }
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (!s) {
        s = mem_alloc(sizeof(*s));
        *s = (struct socket){.multi = multi, .fd = fd};
        s->source = loop_watch(multi->loop, fd, events, socket_ready, s);
        curl_multi_assign(multi->curl, fd, s);
    } else {
        loop_rewatch(s->source, events);
    }
    return 0;
}

static int set_timer(CURLM *curl, long timeout_ms, void *user)
{
    struct multi *multi = user;

    (void)curl;
    if (timeout_ms < 0)
        loop_timer_stop(multi->timer);
    else /* 0 too: libcurl must not be called from its own callback */
        loop_timer_in(multi->timer, (uint64_t)timeout_ms * 1000);
    return 0;
}

static void timer_due(void *user)
{
    act(user, CURL_SOCKET_TIMEOUT, 0);
}

static void tick_due(void *user)
{
    struct multi *multi = user;

    act(multi, CURL_SOCKET_TIMEOUT, 0);
    if (multi->n)
        loop_timer_in(multi->tick, TICK_US);
}

void multi_add(struct multi *multi, CURL *easy)
{
    curl_multi_add_handle(multi->curl, easy);
    multi->n++;
    if (!loop_timer_is_set(multi->tick))
        loop_timer_in(multi->tick, TICK_US);
}

void multi_remove(struct multi *multi, CURL *easy)
{
    curl_multi_remove_handle(multi->curl, easy);
    multi->n--;
}

struct multi *multi_new(struct loop *loop, long connections_max, multi_fn fn, void *user)
{
    struct multi *multi = mem_alloc(sizeof(*multi));

    *multi =
        (struct multi){.loop = loop, .curl = curl_multi_init(), .fn = fn, .user = user};
    if (!multi->curl)
        mem_exhausted(0);
    multi->timer = loop_timer_new(loop, timer_due, multi);
    multi->tick = loop_timer_new(loop, tick_due, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(multi->curl, CURLMOPT_MAX_HOST_CONNECTIONS, connections_max);
    curl_multi_setopt(multi->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections_max);
    curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, connections_max);
    return multi;
}

void multi_free(struct multi *multi)
{
    if (!multi)
        return;
    curl_multi_cleanup(multi->curl);
    loop_timer_free(multi->timer);
    loop_timer_free(multi->tick);
    free(multi);
}
