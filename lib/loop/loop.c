/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum {
    EVENTS_PER_WAIT = 64,
    SIGNALS_MAX = 65,
    NOT_SET = -1,
};

/* A source that is removed while its turn's events are being handed out may still stand
 * in that list: it stays on the chain with fn NULL until the end of the turn. */
struct loop_source {
    struct loop *loop;
    int fd;
    loop_fd_fn fn;
    void *user;
    struct loop_source *next;
};

struct loop_timer {
    struct loop *loop;
    loop_timer_fn fn;
    void *user;
    uint64_t due_us;
    uint64_t order; /* of setting: equal due times fire in it */
    long place;     /* in the heap, NOT_SET when stopped */
};

struct hook {
    loop_prepare_fn fn; /* NULL: removed */
    void *user;
};

struct loop {
    int epoll_fd;
    bool is_stopped, is_again, is_dispatching, is_virtual, has_dead;
    int status;
    struct loop_source *sources;
    struct loop_timer **heap;
    size_t timers, timers_cap;
    uint64_t order;
    struct hook *hooks;
    size_t hooks_len;
    uint64_t wall_us, steady_us; /* when virtual */
    int signal_fd;
    struct loop_source *signal_source;
    sigset_t signals;
    struct {
        loop_signal_fn fn;
        void *user;
    } on_signal[SIGNALS_MAX];
};

struct loop *loop_new(void)
{
    struct loop *loop = mem_alloc(sizeof(*loop));

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    assert(loop->epoll_fd >= 0);
    loop->signal_fd = -1;
    sigemptyset(&loop->signals);
    return loop;
}

/* Free the sources that were removed, or all of them. */
static void sweep(struct loop *loop, bool all)
{
    struct loop_source **at = &loop->sources;

    while (*at) {
        struct loop_source *source = *at;
        if (all || !source->fn) {
            *at = source->next;
            free(source);
        } else {
            at = &source->next;
        }
    }
    loop->has_dead = false;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    for (size_t i = 0; i < loop->timers; i++)
        loop->heap[i]->place = NOT_SET;
    sweep(loop, true);
    if (loop->signal_fd >= 0) {
        close(loop->signal_fd);
        pthread_sigmask(SIG_UNBLOCK, &loop->signals, NULL);
    }
    close(loop->epoll_fd);
    free(loop->heap);
    free(loop->hooks);
    free(loop);
}

/* --- the timer heap: smallest (due, order) at the root --- */

static bool earlier(const struct loop_timer *a, const struct loop_timer *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void put(struct loop *loop, struct loop_timer *timer, size_t place)
{
    loop->heap[place] = timer;
    timer->place = (long)place;
}

static void sift(struct loop *loop, struct loop_timer *timer, size_t place)
{
    while (place > 0 && earlier(timer, loop->heap[(place - 1) / 2])) {
        put(loop, loop->heap[(place - 1) / 2], place);
        place = (place - 1) / 2;
    }
    for (size_t child; (child = 2 * place + 1) < loop->timers; place = child) {
        if (child + 1 < loop->timers && earlier(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!earlier(loop->heap[child], timer))
            break;
        put(loop, loop->heap[child], place);
    }
    put(loop, timer, place);
}

struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn fn, void *user)
{
    struct loop_timer *timer = mem_alloc(sizeof(*timer));

    *timer = (struct loop_timer){.loop = loop, .fn = fn, .user = user, .place = NOT_SET};
    return timer;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer)
        loop_timer_stop(timer);
    free(timer);
}

void loop_timer_in(struct loop_timer *timer, uint64_t us)
{
    struct loop *loop = timer->loop;
    uint64_t now_us = loop_steady_us(loop);

    loop_timer_stop(timer);
    if (loop->timers == loop->timers_cap) {
        loop->timers_cap = loop->timers_cap ? 2 * loop->timers_cap : 16;
        loop->heap =
            mem_resize(loop->heap, loop->timers_cap * sizeof(struct loop_timer *));
    }
    timer->due_us = us > UINT64_MAX - now_us ? UINT64_MAX : now_us + us;
    timer->order = ++loop->order;
    loop->timers++;
    sift(loop, timer, loop->timers - 1);
}

void loop_timer_stop(struct loop_timer *timer)
{
    struct loop *loop = timer->loop;

    if (timer->place == NOT_SET)
        return;
    size_t place = (size_t)timer->place;
    struct loop_timer *last = loop->heap[--loop->timers];
    timer->place = NOT_SET;
    if (last != timer)
        sift(loop, last, place);
}

bool loop_timer_is_set(const struct loop_timer *timer)
{
    return timer->place != NOT_SET;
}

/* Fire what is due, but not what is set while firing: a timer that sets itself to 0 must
 * not starve the descriptors. */
static void fire_due(struct loop *loop)
{
    uint64_t now_us = loop_steady_us(loop), last_order = loop->order;

    while (loop->timers && loop->heap[0]->due_us <= now_us &&
           loop->heap[0]->order <= last_order) {
        struct loop_timer *timer = loop->heap[0];
        loop_timer_stop(timer);
        timer->fn(timer->user); /* may free the timer */
    }
}

/* --- descriptors --- */

struct loop_source *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn,
                               void *user)
{
    struct loop_source *source = mem_alloc(sizeof(*source));
    struct epoll_event event = {.events = events, .data.ptr = source};

    *source = (struct loop_source){loop, fd, fn, user, loop->sources};
    loop->sources = source;
    int refused = epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    assert(!refused);
    (void)refused;
    return source;
}

void loop_rewatch(struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int refused = epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);

    assert(!refused);
    (void)refused;
}

void loop_unwatch(struct loop_source *source)
{
    if (!source)
        return;
    struct loop *loop = source->loop;
    int refused = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    assert(!refused); /* closed before it was unwatched */
    (void)refused;
    source->fn = NULL;
    loop->has_dead = true;
    if (!loop->is_dispatching)
        sweep(loop, false);
}

/* --- signals --- */

static void take_signals(void *user, uint32_t events)
{
    struct loop *loop = user;
    struct signalfd_siginfo info;

    (void)events;
    while (read(loop->signal_fd, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo < SIGNALS_MAX && loop->on_signal[info.ssi_signo].fn)
            loop->on_signal[info.ssi_signo].fn(loop->on_signal[info.ssi_signo].user,
                                               (int)info.ssi_signo);
}

void loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user)
{
    assert(signal > 0 && signal < SIGNALS_MAX);
    loop->on_signal[signal].fn = fn;
    loop->on_signal[signal].user = user;
    sigaddset(&loop->signals, signal);
    pthread_sigmask(SIG_BLOCK, &loop->signals, NULL);
    int fd = signalfd(loop->signal_fd, &loop->signals, SFD_NONBLOCK | SFD_CLOEXEC);
    assert(fd >= 0);
    if (loop->signal_fd < 0) {
        loop->signal_fd = fd;
        loop->signal_source = loop_watch(loop, fd, EPOLLIN, take_signals, loop);
    }
}

/* --- hooks --- */

void loop_prepare(struct loop *loop, loop_prepare_fn fn, void *user)
{
    loop->hooks = mem_resize(loop->hooks, (loop->hooks_len + 1) * sizeof(*loop->hooks));
    loop->hooks[loop->hooks_len++] = (struct hook){fn, user};
}

void loop_unprepare(struct loop *loop, loop_prepare_fn fn, const void *user)
{
    for (size_t i = 0; i < loop->hooks_len; i++)
        if (loop->hooks[i].fn == fn && loop->hooks[i].user == user)
            loop->hooks[i].fn = NULL;
}

void loop_again(struct loop *loop)
{
    loop->is_again = true;
}

/* A hook may add or remove hooks: walk by index, drop the removed ones after. */
static void run_hooks(struct loop *loop)
{
    size_t kept = 0;

    loop->is_again = false;
    for (size_t i = 0; i < loop->hooks_len; i++)
        if (loop->hooks[i].fn && loop->hooks[i].fn(loop->hooks[i].user))
            loop->is_again = true;
    for (size_t i = 0; i < loop->hooks_len; i++)
        if (loop->hooks[i].fn)
            loop->hooks[kept++] = loop->hooks[i];
    loop->hooks_len = kept;
}

/* --- turning --- */

/* Milliseconds to wait, rounded up so that a timer is due when the wait ends. */
static int wait_ms(const struct loop *loop, int timeout_ms)
{
    if (loop->is_again || loop->is_stopped)
        return 0;
    if (!loop->timers || loop->is_virtual)
        return timeout_ms;
    uint64_t now_us = clock_steady_us(), due_us = loop->heap[0]->due_us;
    uint64_t ms = due_us <= now_us ? 0 : (due_us - now_us - 1) / 1000 + 1;
    if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
        return timeout_ms;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void loop_turn(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_WAIT];

    run_hooks(loop);
    int n =
        epoll_wait(loop->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(loop, timeout_ms));
    assert(n >= 0 || errno == EINTR);
    loop->is_dispatching = true;
    for (int i = 0; i < n; i++) {
        struct loop_source *source = events[i].data.ptr;
        if (source->fn)
            source->fn(source->user, events[i].events);
    }
    loop->is_dispatching = false;
    if (loop->has_dead)
        sweep(loop, false);
    fire_due(loop);
}

int loop_run(struct loop *loop)
{
    while (!loop->is_stopped)
        loop_turn(loop, -1);
    loop->is_stopped = false;
    return loop->status;
}

void loop_stop(struct loop *loop, int status)
{
    loop->is_stopped = true;
    loop->status = status;
}

/* --- time --- */

uint64_t loop_wall_us(const struct loop *loop)
{
    return loop->is_virtual ? loop->wall_us : clock_wall_us();
}

uint64_t loop_steady_us(const struct loop *loop)
{
    return loop->is_virtual ? loop->steady_us : clock_steady_us();
}

void loop_virtual(struct loop *loop, uint64_t wall_us, uint64_t steady_us)
{
    loop->is_virtual = true;
    loop->wall_us = wall_us;
    loop->steady_us = steady_us;
}

void loop_advance(struct loop *loop, uint64_t us)
{
    assert(loop->is_virtual);
    for (uint64_t target_us = loop->steady_us + us;;) {
        uint64_t next_us = target_us;

        fire_due(loop);
        if (loop->steady_us == target_us)
            return;
        if (loop->timers && loop->heap[0]->due_us < next_us)
            next_us = loop->heap[0]->due_us;
        if (next_us <= loop->steady_us) /* set to 0 while firing: the next microsecond */
            next_us = loop->steady_us + 1;
        loop->wall_us += next_us - loop->steady_us;
        loop->steady_us = next_us;
    }
}
