/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "logger/housekeeper.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/store/store.h"
#include "lib/store/views.h"
#include "logger/committer.h"
#include "logger/sealer.h"

enum {
    ROUND_MS = 1000, /* how often the disk is looked at when nothing happens */
    STEP_MS =
        50, /* between steps of writing ahead: with steps of 4 MiB, 80 MiB a second */
    GATHER_MS = 20, /* from the first commit until the views are brought up to it */
    APPLY_MS = 200, /* spent on the views before the disk is looked at again */
    EXPIRE_MS = 10000,
    RETAIN_MS = 5000,
    SEGMENTS_MAX = 4096,     /* looked at for log.retain_size, the oldest ones */
    EXPIRE_MAX = 2000,       /* keys at a time: 40,000 a second where so many end */
    IO_LOWEST = 2 << 13 | 7, /* best effort, last in line: idle might never come */
};

struct housekeeper {
    struct store *store;
    char *dir;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_poked, is_stopping;
    uint64_t keep_from; /* as the broker said; 0 = not yet */
    /* the thread's own */
    struct views *views;
    struct sealer *sealer;
    uint64_t next; /* the first block the views have not */
    uint64_t apply_until_us, expire_at_us, prepare_at_us, retain_at_us, seal_at_us;
    struct retention retention;
    bool is_full, is_damaged, has_gap, has_rebuilt;
};

/* --- views --- */

static void open_views(struct housekeeper *h)
{
    char error[512];

    h->views = views_open(h->dir, /* read_only= */ false, error, sizeof(error));
    if (!h->views) {
        log_say(VIEWS_OFF, "%s", error);
        return;
    }
    h->next = views_applied(h->views) + 1;
}

/* Without views questions are slower; the log does not need them. */
static void give_up_views(struct housekeeper *h, const char *why)
{
    log_say(VIEWS_OFF, "block=%llu %s", (unsigned long long)h->next, why);
    views_close(h->views);
    h->views = NULL;
}

static bool apply(void *user, uint64_t number, const struct block *block, const char *why)
{
    struct housekeeper *h = user;

    if (!block) {
        log_say(LOG_BROKEN, "%s", why);
        h->is_damaged = true;
        return false;
    }
    int result = views_apply(h->views, block);
    h->has_gap = result == VIEWS_GAP;
    if (result != VIEWS_OK && result != VIEWS_GAP)
        h->is_damaged = true;
    if (result != VIEWS_OK)
        return false;
    h->next = number + 1;
    return clock_steady_us() < h->apply_until_us;
}

/* The views know another log than this one: begin them anew. */
static void rebuild_views(struct housekeeper *h)
{
    if (h->has_rebuilt || views_clear(h->views) != VIEWS_OK) {
        give_up_views(h, h->has_rebuilt ? "the log's chain is broken here"
                                        : "they cannot be cleared");
        return;
    }
    h->has_gap = false;
    h->has_rebuilt = true;
    h->next = 1;
}

/* Bring the views forward for a while. True when there is more to do. */
static bool update_views(struct housekeeper *h)
{
    struct log_head head;

    store_head(h->store, &head);
    if (!h->views || h->next == head.number + 1)
        return false;
    if (h->next > head.number + 1) {
        rebuild_views(h);
        return true;
    }
    h->apply_until_us = clock_steady_us() + APPLY_MS * 1000;
    store_scan(h->store, h->next, /* verify= */ false, apply, h);
    if (h->has_gap)
        rebuild_views(h);
    else if (h->is_damaged)
        give_up_views(h, "a block cannot be applied");
    else if (views_flush(h->views) != VIEWS_OK)
        give_up_views(h, "they cannot be written");
    return h->views && h->next <= head.number;
}

static void expire(struct housekeeper *h)
{
    uint64_t now = clock_steady_us();

    if (!h->views || now < h->expire_at_us)
        return;
    int result = views_expire(h->views, clock_wall_us(), EXPIRE_MAX);
    h->expire_at_us = now + (result == VIEWS_MORE ? STEP_MS : EXPIRE_MS) * 1000;
    if (result == VIEWS_FAILED)
        give_up_views(h, "keys cannot be removed");
}

/* --- the disk --- */

/* Tell the operator when the room ends, once, and when it is back. */
static void watch_room(struct housekeeper *h, const char *why)
{
    struct log_head head;

    store_head(h->store, &head);
    if (!h->is_full && head.is_full)
        log_say(LOG_FULL, "spare_bytes=%llu %s", (unsigned long long)head.spare_bytes,
                why);
    else if (h->is_full && !head.is_full)
        log_say(LOG_ROOM, "spare_bytes=%llu", (unsigned long long)head.spare_bytes);
    h->is_full = head.is_full;
}

/* Returns how long until the disk wants to be looked at again. */
static unsigned prepare(struct housekeeper *h)
{
    int result = store_prepare(h->store);

    if (result == STORE_FAILED) {
        log_say(FATAL, "%s", store_error(h->store));
        _exit(COMMITTER_EXIT);
    }
    watch_room(h, result == STORE_FULL ? store_error(h->store) : "");
    return result == STORE_MORE ? STEP_MS : ROUND_MS;
}

/* --- retention --- */

/* The first block to stay so that the segments are at most `size` bytes together; the
 * newest one always stays. */
static uint64_t keep_by_size(struct housekeeper *h)
{
    struct store_segment *segments = mem_array(SEGMENTS_MAX, sizeof(*segments));
    size_t n = store_segments(h->store, segments, SEGMENTS_MAX), first = 0;
    uint64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += segments[i].bytes;
    while (first + 1 < n && total > h->retention.size)
        total -= segments[first++].bytes;
    uint64_t keep = n ? segments[first].first : 0;
    free(segments);
    return keep;
}

static void retain(struct housekeeper *h)
{
    uint64_t now = clock_steady_us(), wall = clock_wall_us(), wanted = 0;

    pthread_mutex_lock(&h->lock);
    uint64_t keep_from = h->keep_from;
    pthread_mutex_unlock(&h->lock);
    if (keep_from == 0 || now < h->retain_at_us)
        return;
    h->retain_at_us = now + RETAIN_MS * 1000;
    if (h->retention.age_us && h->retention.age_us < wall)
        wanted = store_find_time(h->store, wall - h->retention.age_us);
    if (h->retention.size) {
        uint64_t by_size = keep_by_size(h);
        wanted = by_size > wanted ? by_size : wanted;
    }
    if (h->views && h->next < keep_from)
        keep_from = h->next;
    if (wanted < keep_from)
        keep_from = wanted;
    if (sealer_done(h->sealer) + 1 < keep_from) {
        keep_from = sealer_done(h->sealer) + 1;
        h->retain_at_us = now + STEP_MS * 1000;
    }
    int gone = keep_from > 1 ? store_trim(h->store, keep_from) : 0;
    if (gone > 0)
        log_say(LOG_TRIMMED, "segments=%d below_block=%llu", gone,
                (unsigned long long)keep_from);
    uint64_t first, last;
    store_range(h->store, &first, &last);
    if (h->views && first > 1 && views_trim(h->views, first, EXPIRE_MAX) == VIEWS_FAILED)
        give_up_views(h, "rows cannot be removed");
}

/* --- seals --- */

/* Returns how long until there may be something to seal. */
static unsigned seal(struct housekeeper *h)
{
    return sealer_step(h->sealer) ? STEP_MS : ROUND_MS;
}

/* --- the thread --- */

/* Wait so long, or until something was committed. False: stop. */
static bool wait_ms(struct housekeeper *h, unsigned ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&h->lock);
    while (!h->is_poked && !h->is_stopping)
        if (pthread_cond_timedwait(&h->wake, &h->lock, &until))
            break;
    h->is_poked = false;
    bool goes_on = !h->is_stopping;
    pthread_mutex_unlock(&h->lock);
    return goes_on;
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void *run(void *user)
{
    struct housekeeper *h = user;
    const struct timespec gather = {.tv_nsec = GATHER_MS * 1000000L};
    bool goes_on = true;

    (void)syscall(SYS_ioprio_set, /* this thread */ 1, 0, IO_LOWEST); /* a wish */
    open_views(h);
    h->sealer = sealer_new(h->store, h->dir);
    while (goes_on) {
        bool has_more = update_views(h);
        expire(h);
        retain(h);
        uint64_t now = clock_steady_us();
        if (now >= h->prepare_at_us)
            h->prepare_at_us = clock_steady_us() + prepare(h) * 1000ULL;
        if (now >= h->seal_at_us)
            h->seal_at_us = clock_steady_us() + seal(h) * 1000ULL;
        now = clock_steady_us();
        uint64_t due = soonest(soonest(h->prepare_at_us, h->seal_at_us),
                               h->views ? h->expire_at_us : UINT64_MAX);
        uint64_t left = due > now ? (due - now) / 1000 + 1 : 0;
        goes_on = wait_ms(h, has_more ? 0 : (unsigned)left);
        if (goes_on && !has_more)
            nanosleep(&gather, NULL);
    }
    (void)update_views(h); /* what was committed last, if it is not much */
    views_close(h->views);
    sealer_free(h->sealer);
    return NULL;
}

/* --- life --- */

struct housekeeper *housekeeper_start(struct store *store, const char *dir,
                                      const struct retention *retention)
{
    struct housekeeper *h = mem_alloc(sizeof(*h));
    pthread_condattr_t steady;

    h->store = store;
    h->dir = mem_text(dir);
    h->retention = *retention;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &steady);
    pthread_condattr_destroy(&steady);
    int error = pthread_create(&h->thread, NULL, run, h);
    if (error) {
        log_say(FATAL, "cannot start the housekeeper's thread: %s", strerror(error));
        abort();
    }
    return h;
}

void housekeeper_stop(struct housekeeper *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->is_stopping = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    free(h->dir);
    free(h);
}

void housekeeper_poke(struct housekeeper *h)
{
    pthread_mutex_lock(&h->lock);
    h->is_poked = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}

void housekeeper_keep(struct housekeeper *h, uint64_t keep_from)
{
    pthread_mutex_lock(&h->lock);
    h->keep_from = keep_from;
    h->is_poked = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
}
