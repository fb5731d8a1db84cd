/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/courier.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

struct errand {
    struct courier *courier;
    struct errand *prev, *next;
    void *about;
    CURL *easy;
    pthread_t thread;
    bool has_thread, is_told; /* the loop's */
    atomic_bool is_dropped;   /* set by the loop */
    bool is_leaving;          /* the thread's: its result is known */
    uint64_t leave_us;        /* the thread's: no longer than this, then */
    bool is_known, is_over;   /* the thread's, under the lock */
    CURLcode code;            /* valid once is_known */
};

struct courier {
    struct loop *loop;
    struct courier_events events;
    struct loop_source *source;
    int event_fd;
    pthread_mutex_t lock;
    struct errand *all; /* the loop's */
};

/* --- the thread's side --- */

static void tell(struct errand *errand, CURLcode code, bool is_over)
{
    static const uint64_t one = 1;
    struct courier *courier = errand->courier;

    pthread_mutex_lock(&courier->lock);
    if (!errand->is_known)
        errand->code = code;
    errand->is_known = true;
    errand->is_over = is_over;
    if (write(courier->event_fd, &one, sizeof(one)) < 0)
        abort(); /* a counter of 64 bits does not fill up */
    pthread_mutex_unlock(&courier->lock);
}

void errand_leaves(struct errand *errand, bool is_known)
{
    if (errand->is_leaving)
        return;
    errand->is_leaving = true;
    errand->leave_us = clock_steady_us() + COURIER_GOODBYE_US;
    if (is_known)
        tell(errand, CURLE_OK, /* is_over= */ false);
}

/* libcurl asks about once a second, also while it waits. */
static int progress(void *user, curl_off_t down, curl_off_t downloaded, curl_off_t up,
                    curl_off_t uploaded)
{
    const struct errand *errand = user;

    (void)down, (void)downloaded, (void)up, (void)uploaded;
    return atomic_load(&errand->is_dropped) ||
           (errand->is_leaving && errand->leave_us <= clock_steady_us());
}

static void *run(void *user)
{
    struct errand *errand = user;

    tell(errand, curl_easy_perform(errand->easy), /* is_over= */ true);
    return NULL;
}

/* --- the loop's side --- */

static void leave(struct errand *errand)
{
    struct courier *courier = errand->courier;

    if (errand->has_thread)
        pthread_join(errand->thread, NULL);
    *(errand->prev ? &errand->prev->next : &courier->all) = errand->next;
    if (errand->next)
        errand->next->prev = errand->prev;
    courier->events.on_over(courier->events.user, errand->about);
    free(errand);
}

static void look_at(struct errand *errand)
{
    struct courier *courier = errand->courier;

    pthread_mutex_lock(&courier->lock);
    bool is_known = errand->is_known, is_over = errand->is_over;
    pthread_mutex_unlock(&courier->lock);
    if (is_known && !errand->is_told && !atomic_load(&errand->is_dropped)) {
        errand->is_told = true;
        courier->events.on_known(courier->events.user, errand->about, errand->code);
    }
    if (is_over)
        leave(errand);
}

static void on_event(void *user, uint32_t events)
{
    struct courier *courier = user;
    uint64_t count;

    (void)events;
    if (read(courier->event_fd, &count, sizeof(count)) < 0)
        return; /* it was not set */
    for (struct errand *errand = courier->all, *next; errand; errand = next) {
        next = errand->next; /* on_known adds at the front, and drops without freeing */
        look_at(errand);
    }
}

struct errand *courier_errand(struct courier *courier, CURL *easy, void *about)
{
    struct errand *errand = mem_alloc(sizeof(*errand));

    errand->courier = courier;
    errand->about = about;
    errand->easy = easy;
    errand->next = courier->all;
    if (errand->next)
        errand->next->prev = errand;
    courier->all = errand;
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, errand);
    return errand;
}

void errand_start(struct errand *errand)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, COURIER_STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    errand->has_thread = pthread_create(&errand->thread, &attributes, run, errand) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!errand->has_thread) /* told from the loop, as any other end */
        tell(errand, CURLE_OUT_OF_MEMORY, /* is_over= */ true);
}

void errand_drop(struct errand *errand)
{
    atomic_store(&errand->is_dropped, true);
}

struct courier *courier_new(struct loop *loop, const struct courier_events *events)
{
    struct courier *courier = mem_alloc(sizeof(*courier));

    courier->loop = loop;
    courier->events = *events;
    courier->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (courier->event_fd < 0 || pthread_mutex_init(&courier->lock, NULL) != 0)
        abort();
    courier->source = loop_watch(loop, courier->event_fd, EPOLLIN, on_event, courier);
    return courier;
}

void courier_free(struct courier *courier)
{
    if (!courier)
        return;
    for (struct errand *errand = courier->all; errand; errand = errand->next)
        errand_drop(errand);
    while (courier->all)
        leave(courier->all);
    loop_unwatch(courier->source);
    close(courier->event_fd);
    pthread_mutex_destroy(&courier->lock);
    free(courier);
}
