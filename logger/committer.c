/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "logger/committer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/kill.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/store/store.h"

enum {
    GROUP_MAX = 256,        /* blocks in one transaction */
    GROUP_BYTES = 16 << 20, /* and their bytes, a block more or less */
};

/* A block, or a fence when `block` is NULL. */
struct item {
    struct item *next;
    struct wire_peer peer;
    struct block *block;
    uint64_t term;
};

struct answer {
    struct answer *next;
    struct committer_answer answer;
};

struct committer {
    struct store *store;
    void (*on_commit)(void *user);
    void *user;
    pthread_t thread;
    pthread_mutex_t lock; /* all that follows */
    pthread_cond_t wake;
    struct item *items, **items_end;
    struct answer *answers, **answers_end;
    size_t bytes;
    int event_fd;
    bool is_stopping;
};

/* --- the loop's side --- */

static void push(struct committer *committer, const struct item *from)
{
    struct item *item = mem_copy(from, sizeof(*from));

    *committer->items_end = item;
    committer->items_end = &item->next;
    pthread_cond_signal(&committer->wake);
}

bool committer_push(struct committer *committer, const struct wire_peer *peer,
                    struct block **block)
{
    pthread_mutex_lock(&committer->lock);
    bool fits = committer->bytes + (*block)->len <= COMMITTER_BYTES_MAX;
    if (fits) {
        committer->bytes += (*block)->len;
        push(committer, &(struct item){.peer = *peer, .block = *block});
        *block = NULL;
    }
    pthread_mutex_unlock(&committer->lock);
    return fits;
}

void committer_fence(struct committer *committer, const struct wire_peer *peer,
                     uint64_t term)
{
    pthread_mutex_lock(&committer->lock);
    push(committer, &(struct item){.peer = *peer, .term = term});
    pthread_mutex_unlock(&committer->lock);
}

int committer_fd(const struct committer *committer)
{
    return committer->event_fd;
}

bool committer_take(struct committer *committer, struct committer_answer *ret_answer)
{
    uint64_t count;

    pthread_mutex_lock(&committer->lock);
    struct answer *first = committer->answers;
    if (first) {
        committer->answers = first->next;
        if (!first->next)
            committer->answers_end = &committer->answers;
    } else if (read(committer->event_fd, &count, sizeof(count)) < 0) {
        /* it was not set: nothing to take back */
    }
    pthread_mutex_unlock(&committer->lock);
    if (first)
        *ret_answer = first->answer;
    free(first);
    return first != NULL;
}

/* --- the thread's side --- */

static void answer(struct committer *committer, const struct wire_peer *peer,
                   enum message_type type, uint64_t ref)
{
    static const uint64_t one = 1;
    struct answer *a = mem_alloc(sizeof(*a));

    a->answer = (struct committer_answer){.peer = *peer, .type = type, .ref = ref};
    store_head(committer->store, &a->answer.head);
    if (type == MSG_REFUSED)
        snprintf(a->answer.detail, sizeof(a->answer.detail), "%s",
                 store_error(committer->store));
    pthread_mutex_lock(&committer->lock);
    *committer->answers_end = a;
    committer->answers_end = &a->next;
    pthread_mutex_unlock(&committer->lock);
    ssize_t written = write(committer->event_fd, &one, sizeof(one));
    (void)written; /* an eventfd that is already set is readable too */
}

/* The disk can no longer be trusted, and what was written may or may not be there. The
 * next process looks. */
static void die(struct committer *committer)
{
    log_say(FATAL, "%s", store_error(committer->store));
    _exit(COMMITTER_EXIT);
}

static void do_fence(struct committer *committer, const struct item *item)
{
    bool is_stale = store_fence(committer->store, item->term) == STORE_STALE;
    KILL_POINT(logger_fenced);

    answer(committer, &item->peer, is_stale ? MSG_STALE : MSG_FENCED, item->term);
}

/* One block was not taken: say why. */
static void refuse(struct committer *committer, const struct item *item, int result)
{
    struct log_head head;

    store_head(committer->store, &head);
    /* A block before it was not taken or was lost with a connection: both must come
     * again. */
    bool is_ahead = result == STORE_FOREIGN && item->block->number > head.number + 1;
    if (result == STORE_FULL)
        log_say(LOG_FULL, "block=%llu %s", (unsigned long long)item->block->number,
                store_error(committer->store));
    else if (result == STORE_DAMAGED)
        log_say(LOG_BROKEN, "%s", store_error(committer->store));
    answer(committer, &item->peer,
           result == STORE_FULL || is_ahead ? MSG_FULL
           : result == STORE_STALE          ? MSG_STALE
                                            : MSG_REFUSED,
           item->block->number);
}

static void tell_segment(struct committer *committer, uint64_t room_before,
                         const struct log_head *head)
{
    if (head->segment_room > room_before)
        log_say(LOG_SEGMENT, "block=%llu room=%llu", (unsigned long long)head->number,
                (unsigned long long)head->segment_room);
    committer->on_commit(committer->user);
}

/* Commit blocks together. When one of them will not do, each for itself, so that the good
 * ones before it are in. */
static void commit(struct committer *committer, struct item *const *items, size_t n)
{
    const struct block *blocks[GROUP_MAX];
    struct log_head before, after;

    for (size_t i = 0; i < n; i++)
        blocks[i] = items[i]->block;
    store_head(committer->store, &before);
    KILL_POINT(logger_took_blocks);
    int result = store_append(committer->store, blocks, n);
    if (result == STORE_FAILED)
        die(committer);
    if (result == STORE_OK) {
        KILL_POINT(logger_committed);
        store_head(committer->store, &after);
        for (size_t i = 0; i < n; i++) /* COMMITTED speaks for all blocks before it */
            if (i + 1 == n || !wire_same_peer(&items[i]->peer, &items[i + 1]->peer))
                answer(committer, &items[i]->peer, MSG_COMMITTED,
                       items[i]->block->number);
        tell_segment(committer, before.segment_room, &after);
    } else if (n == 1) {
        refuse(committer, items[0], result);
    } else {
        for (size_t i = 0; i < n; i++)
            commit(committer, items + i, 1);
    }
}

/* Take the next fence, or the blocks up to the next fence. Waits; 0 when asked to stop
 * and nothing is left. */
static size_t take_group(struct committer *committer, struct item **group)
{
    size_t n = 0, bytes = 0;

    pthread_mutex_lock(&committer->lock);
    while (!committer->items && !committer->is_stopping)
        pthread_cond_wait(&committer->wake, &committer->lock);
    while (committer->items && n < GROUP_MAX && bytes < GROUP_BYTES) {
        struct item *item = committer->items;
        if (!item->block && n)
            break;
        committer->items = item->next;
        group[n++] = item;
        if (!item->block)
            break;
        bytes += item->block->len;
    }
    if (!committer->items)
        committer->items_end = &committer->items;
    committer->bytes -= bytes;
    pthread_mutex_unlock(&committer->lock);
    return n;
}

static void *run(void *user)
{
    struct committer *committer = user;
    struct item *group[GROUP_MAX];

    for (size_t n; (n = take_group(committer, group)) > 0;) {
        if (group[0]->block)
            commit(committer, group, n);
        else
            do_fence(committer, group[0]);
        for (size_t i = 0; i < n; i++) {
            free(group[i]->block);
            free(group[i]);
        }
    }
    return NULL;
}

/* --- life --- */

struct committer *committer_start(struct store *store, void (*on_commit)(void *user),
                                  void *user)
{
    struct committer *committer = mem_alloc(sizeof(*committer));

    committer->store = store;
    committer->on_commit = on_commit;
    committer->user = user;
    committer->items_end = &committer->items;
    committer->answers_end = &committer->answers;
    pthread_mutex_init(&committer->lock, NULL);
    pthread_cond_init(&committer->wake, NULL);
    committer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = committer->event_fd < 0
                    ? errno
                    : pthread_create(&committer->thread, NULL, run, committer);
    if (error) {
        log_say(FATAL, "cannot start the committer's thread: %s", strerror(error));
        abort();
    }
    return committer;
}

void committer_stop(struct committer *committer)
{
    struct committer_answer ignored;

    if (!committer)
        return;
    pthread_mutex_lock(&committer->lock);
    committer->is_stopping = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    while (committer_take(committer, &ignored))
        ;
    close(committer->event_fd);
    pthread_cond_destroy(&committer->wake);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}
