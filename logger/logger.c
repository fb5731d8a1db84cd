/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "logger/logger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/kill.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"
#include "lib/store/store.h"
#include "lib/wire/wire.h"
#include "logger/committer.h"
#include "logger/housekeeper.h"
#include "proto/attrs.h"
#include "proto/block.h"

enum {
    ROOM_US =
        500000, /* how often the room is looked at, to tell a broker that waits for it */
    AGAIN_US = 5000, /* the peer's pipe was full: try again */
};

struct logger {
    struct loop *loop;
    struct wire *wire;
    struct wire_socket *socket;
    struct store *store;
    struct committer *committer;
    struct housekeeper *housekeeper;
    struct loop_source *answers;
    struct loop_timer *room_timer, *again_timer;
    struct wire_peer broker; /* the one that fenced last */
    bool has_broker, was_full, has_held;
    struct committer_answer held; /* could not be sent yet */
    struct buf frame;
    int data_lock, run_lock;
};

/* --- out --- */

/* Returns what wire_send says. */
static int send_answer(struct logger *logger, const struct committer_answer *answer)
{
    struct buf *frame = &logger->frame;

    buf_clear(frame);
    message_begin(frame, answer->type, answer->ref);
    if (answer->type == MSG_STALE) {
        buf_add(frame, &answer->head.term, sizeof(answer->head.term));
    } else if (answer->type == MSG_REFUSED) {
        struct buf map = BUF_NULL;
        attrs_begin(&map);
        attrs_named_text(&map, "code", error_info(ERR_bad_frame)->name);
        attrs_named_text(&map, "detail", answer->detail);
        buf_add(frame, map.bytes, map.len);
        buf_fini(&map);
    } else {
        buf_add(frame, &answer->head, sizeof(answer->head));
    }
    message_end(frame);
    return wire_send(logger->socket, &answer->peer, frame->bytes, frame->len);
}

static void note_answer(struct logger *logger, const struct committer_answer *answer)
{
    if (answer->type == MSG_FENCED) {
        logger->broker = answer->peer;
        logger->has_broker = true;
        log_say(LINK_UP, "from=broker term=%llu block=%llu",
                (unsigned long long)answer->ref, (unsigned long long)answer->head.number);
    }
    if (answer->type != MSG_STALE && answer->type != MSG_REFUSED)
        logger->was_full = answer->head.is_full;
}

/* Send what the committer has to say. A peer that is gone fences again and learns it
 * then. */
static void send_answers(struct logger *logger)
{
    while (logger->has_held || committer_take(logger->committer, &logger->held)) {
        logger->has_held = send_answer(logger, &logger->held) == WIRE_AGAIN;
        if (logger->has_held) {
            loop_timer_in(logger->again_timer, AGAIN_US);
            loop_rewatch(logger->answers, 0);
            return;
        }
        if (logger->held.type == MSG_COMMITTED)
            KILL_POINT(logger_answered);
        note_answer(logger, &logger->held);
    }
    loop_rewatch(logger->answers, EPOLLIN);
}

static void on_answers(void *user, uint32_t events)
{
    (void)events;
    send_answers(user);
}

static void on_again(void *user)
{
    send_answers(user);
}

/* While intake is refused no block comes that could carry the news back: say it unasked.
 */
static void on_room(void *user)
{
    struct logger *logger = user;
    struct committer_answer news = {.type = MSG_COMMITTED, .peer = logger->broker};

    store_head(logger->store, &news.head);
    news.ref = news.head.number;
    if (logger->has_broker && news.head.is_full != logger->was_full &&
        send_answer(logger, &news) == WIRE_SENT)
        logger->was_full = news.head.is_full;
    loop_timer_in(logger->room_timer, ROOM_US);
}

/* --- in --- */

static void refuse(struct logger *logger, const struct wire_peer *peer, uint64_t ref,
                   const char *why)
{
    struct committer_answer answer = {.peer = *peer, .type = MSG_REFUSED, .ref = ref};

    log_say(BUS_GARBAGE, "ref=%llu %s", (unsigned long long)ref, why);
    strncpy(answer.detail, why, sizeof(answer.detail) - 1);
    (void)send_answer(logger,
                      &answer); /* whoever sends such a thing may miss the answer */
}

static void take_block(struct logger *logger, const struct wire_peer *peer,
                       const struct message *m)
{
    const char *why = NULL;
    const struct block *block = block_check(message_body(m), m->body_len, &why);

    if (block && block->number != m->ref)
        why = "ref is not the block's number";
    if (!block || block->number != m->ref) {
        refuse(logger, peer, m->ref, why);
        return;
    }
    struct block *copy = mem_copy(block, block->len);
    if (committer_push(logger->committer, peer, &copy))
        return;
    struct committer_answer answer = {.peer = *peer, .type = MSG_FULL, .ref = m->ref};
    store_head(logger->store, &answer.head);
    (void)send_answer(logger, &answer); /* not heard: the broker fences again */
    free(copy);
}

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    struct logger *logger = user;
    const char *why = NULL;
    const struct message *m = message_check(frame, n, &why);
    uint64_t term, keep_from;

    if (!m) {
        refuse(logger, peer, 0, why);
    } else if (m->type == MSG_APPEND) {
        take_block(logger, peer, m);
    } else if (m->type == MSG_FENCE && m->body_len == sizeof(term)) {
        memcpy(&term, message_body(m), sizeof(term));
        committer_fence(logger->committer, peer, term);
    } else if (m->type == MSG_KEEP && m->body_len == sizeof(keep_from)) {
        memcpy(&keep_from, message_body(m), sizeof(keep_from));
        housekeeper_keep(logger->housekeeper, keep_from);
    } else {
        refuse(logger, peer, m->ref, "not a message for the logger");
    }
}

/* --- life --- */

/* In the committer's thread. */
static void on_commit(void *user)
{
    struct logger *logger = user;

    housekeeper_poke(logger->housekeeper);
}

static int open_store(struct logger *logger, const struct config *config, char *error,
                      size_t error_size)
{
    _free_ char *dir = config_log_dir(config);
    const struct store_options options = {.dir = dir,
                                          .segment_size = config->log.segment_size,
                                          .reserve_bytes = config->log.reserve};
    uint64_t began = clock_steady_us();
    struct log_head head;

    logger->store = store_open(&options, error, error_size);
    if (!logger->store)
        return -1;
    store_head(logger->store, &head);
    log_say(RECOVERED, "block=%llu term=%llu ms=%llu", (unsigned long long)head.number,
            (unsigned long long)head.term,
            (unsigned long long)(clock_steady_us() - began) / 1000);
    const struct retention retention = {.age_us = config->log.retain_age_us,
                                        .size = config->log.retain_size};
    logger->housekeeper = housekeeper_start(logger->store, dir, &retention);
    logger->committer = committer_start(logger->store, on_commit, logger);
    return 0;
}

static int open_socket(struct logger *logger, const struct config *config, char *error,
                       size_t error_size)
{
    _free_ char *endpoint = config_logger_endpoint(config);

    logger->wire = wire_new(logger->loop);
    logger->socket = wire_open(logger->wire,
                               &(struct wire_options){.kind = WIRE_ROUTER,
                                                      .endpoint = endpoint,
                                                      .bind = true,
                                                      .check_uid = true,
                                                      .on_frame = on_frame,
                                                      .user = logger},
                               error, error_size);
    return logger->socket ? 0 : -1;
}

/* Two loggers on one directory would be two writers; on one socket path the second would
 * steal it unseen. */
static int take_locks(struct logger *logger, const struct config *config, char *error,
                      size_t error_size)
{
    logger->data_lock = service_lock(config->data, "signalbox-logger", error, error_size);
    if (logger->data_lock >= 0)
        logger->run_lock =
            service_lock(config->run, "signalbox-logger-socket", error, error_size);
    return logger->run_lock >= 0 ? 0 : -1;
}

int logger_start(struct service_run *run, char *error, size_t error_size)
{
    struct logger *logger = mem_alloc(sizeof(*logger));

    run->state = logger;
    logger->loop = run->loop;
    logger->data_lock = logger->run_lock = -1;
    if (take_locks(logger, run->config, error, error_size) ||
        open_store(logger, run->config, error, error_size) ||
        open_socket(logger, run->config, error, error_size)) {
        logger_finish(run);
        return -1;
    }
    logger->answers = loop_watch(logger->loop, committer_fd(logger->committer), EPOLLIN,
                                 on_answers, logger);
    logger->room_timer = loop_timer_new(logger->loop, on_room, logger);
    logger->again_timer = loop_timer_new(logger->loop, on_again, logger);
    loop_timer_in(logger->room_timer, ROOM_US);
    service_ready(run);
    return 0;
}

/* What came is committed by logger_finish; who did not hear of it asks the next logger.
 */
void logger_stop(struct service_run *run)
{
    loop_stop(run->loop, 0);
}

void logger_finish(struct service_run *run)
{
    struct logger *logger = run->state;

    loop_unwatch(logger->answers);
    loop_timer_free(logger->room_timer);
    loop_timer_free(logger->again_timer);
    if (logger->wire)
        wire_free(logger->wire);
    committer_stop(logger->committer);
    housekeeper_stop(logger->housekeeper);
    store_close(logger->store);
    buf_fini(&logger->frame);
    if (logger->run_lock >= 0)
        close(logger->run_lock);
    if (logger->data_lock >= 0)
        close(logger->data_lock);
    free(logger);
    run->state = NULL;
}
