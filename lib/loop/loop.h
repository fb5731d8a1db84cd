/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* loop - one epoll loop per process, one thread of ours
 *
 * Descriptors, timers, signals, and "prepare" hooks: functions run before every wait, for
 * sources whose descriptor is edge-like (ZeroMQ's: after any send or receive, events may
 * be pending with no new wake-up).  A prepare hook that says "more" makes the next wait
 * return at once. Time comes from the loop, so that tests can run on a virtual clock. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source; /* a watched descriptor */
struct loop_timer;

typedef void (*loop_fd_fn)(void *user,
                           uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP */
typedef void (*loop_timer_fn)(void *user);
typedef bool (*loop_prepare_fn)(void *user); /* true: there is more to do, do not sleep */
typedef void (*loop_signal_fn)(void *user, int signal);

struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* Run until loop_stop. Returns what loop_stop was given. */
int loop_run(struct loop *loop);
/* One turn: wait at most timeout_ms (-1 for ever), run what is due. */
void loop_turn(struct loop *loop, int timeout_ms);
void loop_stop(struct loop *loop, int status);

/* Level-triggered. Aborts when epoll refuses (a program error). The callback may remove
 * any source. */
struct loop_source *loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn,
                               void *user);
void loop_rewatch(struct loop_source *source, uint32_t events);
/* Must come before the descriptor is closed. NULL is fine. */
void loop_unwatch(struct loop_source *source);

/* A timer is made stopped; set it as often as wanted. Due times are on the steady clock,
 * one shot. */
struct loop_timer *loop_timer_new(struct loop *loop, loop_timer_fn fn, void *user);
void loop_timer_free(struct loop_timer *timer);
void loop_timer_in(struct loop_timer *timer,
                   uint64_t us); /* from now; replaces what was set */
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);

/* Run before every wait, in the order of registration. */
void loop_prepare(struct loop *loop, loop_prepare_fn fn, void *user);
/* Take a hook out; allowed at any time. */
void loop_unprepare(struct loop *loop, loop_prepare_fn fn, const void *user);
/* Called in a hook: do not sleep in the wait that follows (as if the hook had said
 * "more"). */
void loop_again(struct loop *loop);
/* Take a signal through the loop. It is blocked in the process from here on, and in
 * children until they unblock it; call this before threads are made. */
void loop_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user);

/* Microseconds: the wall clock (read each call) and the steady clock. Virtual when set
 * so. */
uint64_t loop_wall_us(const struct loop *loop);
uint64_t loop_steady_us(const struct loop *loop);
/* Tests: from here time stands at these values and moves only by loop_advance, which
 * fires due timers. */
void loop_virtual(struct loop *loop, uint64_t wall_us, uint64_t steady_us);
void loop_advance(struct loop *loop, uint64_t us);
