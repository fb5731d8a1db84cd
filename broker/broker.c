/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core.h"
#include "broker/link.h"
#include "broker/live.h"
#include "broker/settings.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/kill.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/process.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"
#include "lib/store/store.h"
#include "lib/store/views.h"
#include "lib/wire/wire.h"

enum {
    VIEWS_POLL_US = 1000000,
    KEEP_POLLS = 5, /* the logger is told what to keep at every so many of these */
    GONE_MAX =
        256, /* peers found unreachable in one turn; more are found at the next send */
};

struct broker {
    struct service_run *run;
    uint8_t boot[16];
    struct wire *wire;
    struct core *core;
    struct link *link;
    struct live *live;
    struct wire_socket *bus;
    struct store *store;
    struct views *views;
    struct loop_timer *tick, *poll;
    uint64_t gone[GONE_MAX];
    size_t n_gone;
    unsigned polls;
    bool is_stopping;
};

/* --- peers: a ROUTER's routing id, packed --- */

static uint64_t pack(const struct wire_peer *peer)
{
    uint64_t name = (uint64_t)peer->id_len << 56;

    for (unsigned i = 0; i < peer->id_len && i < 7; i++)
        name |= (uint64_t)peer->id[i] << (8 * i);
    return name;
}

static struct wire_peer unpack(uint64_t name)
{
    struct wire_peer peer = {.id_len = (uint8_t)(name >> 56)};

    for (unsigned i = 0; i < peer.id_len && i < 7; i++)
        peer.id[i] = (uint8_t)(name >> (8 * i));
    return peer;
}

/* --- the core's actions --- */

static void do_send(void *user, uint64_t name, const void *frame, size_t n)
{
    struct broker *broker = user;
    struct wire_peer peer = unpack(name);

    /* A peer that cannot be reached, or does not empty its pipe, loses its session; the
     * core hears of it after the input in hand. */
    if (wire_send(broker->bus, &peer, frame, n) != WIRE_SENT && broker->n_gone < GONE_MAX)
        broker->gone[broker->n_gone++] = name;
}

static void do_append(void *user, struct block_ref *block)
{
    struct broker *broker = user;

    KILL_POINT(broker_sends_block);
    link_append(broker->link, block);
    KILL_POINT(broker_sent_block);
}

static struct block_ref *do_read(void *user, uint64_t number)
{
    struct broker *broker = user;
    struct buf bytes = BUF_NULL;
    struct block_ref *ref = NULL;

    int result = store_read(broker->store, number, &bytes);
    if (result == STORE_OK)
        ref = block_ref_copy((const struct block *)bytes.bytes);
    else
        log_say(LOG_BROKEN, "block=%llu %s", (unsigned long long)number,
                result == STORE_NOT_FOUND ? "it is not in the log"
                                          : store_error(broker->store));
    buf_fini(&bytes);
    return ref;
}

static struct views *views(struct broker *broker)
{
    char error[256];

    if (!broker->views) {
        _free_ char *dir = config_log_dir(broker->run->config);
        broker->views = views_open(dir, /* read_only= */ true, error, sizeof(error));
    }
    return broker->views;
}

static bool do_find_key(void *user, const uint8_t key[16], struct core_key *ret)
{
    struct broker *broker = user;
    struct views_idempotency found;

    if (!views(broker) ||
        !views_find_key(broker->views, key, loop_wall_us(broker->run->loop), &found))
        return false;
    *ret = (struct core_key){.body_hash = found.body_hash,
                             .expires_us = found.expires_us,
                             .position = {found.block, found.index}};
    memcpy(ret->id, found.id, 16);
    return true;
}

static void do_live(void *user, const struct block *block)
{
    struct broker *broker = user;

    live_block(broker->live, block);
}

static bool do_alive(void *user, uint64_t pid)
{
    (void)user;
    return process_is_alive(pid);
}

static void do_say(void *user, int id, const char *text)
{
    (void)user;
    log_write((enum log_id)id, "%s", text);
}

static const struct core_ops ops = {.send = do_send,
                                    .append = do_append,
                                    .read = do_read,
                                    .find_key = do_find_key,
                                    .live = do_live,
                                    .alive = do_alive,
                                    .say = do_say};

/* --- the core's inputs --- */

static void set_time(struct broker *broker)
{
    core_time(broker->core, loop_wall_us(broker->run->loop),
              loop_steady_us(broker->run->loop));
}

static void on_bus(void *user, const struct wire_peer *peer, const void *frame, size_t n)
{
    struct broker *broker = user;

    KILL_POINT(broker_took_frame);
    set_time(broker);
    struct core_sender sender = {.peer = pack(peer),
                                 .pid = peer->pid > 0 ? (uint64_t)peer->pid : 0};
    const struct config_peer *remote =
        peer->key[0] ? config_peer_of_key(broker->run->config, peer->key) : NULL;
    if (peer->key[0] && !remote) { /* its entry is gone since it connected */
        core_stranger(broker->core, "its key is in no entry of bus.peers any more");
        core_gone(broker->core, sender.peer);
        return;
    }
    sender.name = remote ? remote->name : NULL;
    core_frame(broker->core, &sender, frame, n);
}

/* --- who comes from other hosts --- */

static bool is_known(struct broker *broker, const char *key, const char *address,
                     bool must_observe)
{
    const struct config_peer *peer = config_peer_of_key(broker->run->config, key);
    char text[200];

    if (peer && (peer->observe || !must_observe))
        return true;
    set_time(broker);
    snprintf(text, sizeof(text), "address=%s key=\"%s\" %s", address, key,
             peer ? "it may not observe" : "its key is in no entry of bus.peers");
    core_stranger(broker->core, text);
    return false;
}

static bool admit_to_bus(void *user, const char *key, const char *address)
{
    return is_known(user, key, address, /* must_observe= */ false);
}

static bool admit_to_live(void *user, const char *key, const char *address)
{
    return is_known(user, key, address, /* must_observe= */ true);
}

static void on_kept_out(void *user, const char *why)
{
    struct broker *broker = user;

    set_time(broker);
    core_stranger(broker->core, why);
}

/* Before every wait: what no input is left to say. */
static bool settle_turn(void *user)
{
    struct broker *broker = user;

    if (!broker->core)
        return false;
    set_time(broker);
    while (broker->n_gone > 0)
        core_gone(broker->core, broker->gone[--broker->n_gone]);
    core_flush(broker->core);
    uint64_t due = core_next_due(broker->core), now = loop_steady_us(broker->run->loop);
    loop_timer_in(broker->tick, due > now ? due - now : 0);
    return false;
}

static void on_tick(void *user)
{
    struct broker *broker = user;

    set_time(broker);
    core_tick(broker->core);
}

static void on_poll(void *user)
{
    struct broker *broker = user;

    if (views(broker))
        core_views(broker->core, views_applied(broker->views));
    uint64_t keep_from = core_keep_from(broker->core, NULL), first, last;
    store_range(broker->store, &first, &last);
    set_time(broker);
    core_trimmed(broker->core, first);
    if (++broker->polls % KEEP_POLLS == 0 && keep_from)
        link_keep(broker->link, keep_from);
    loop_timer_in(broker->poll, VIEWS_POLL_US);
}

static void on_committed(void *user, const struct log_head *head)
{
    struct broker *broker = user;

    KILL_POINT(broker_heard_commit);
    set_time(broker);
    core_committed(broker->core, head);
    KILL_POINT(broker_applied_commit);
}

/* --- recovery --- */

struct replay {
    struct broker *broker;
    uint64_t from, to, keys_from;
    const char *why;
    uint64_t bad_block;
};

static bool replay_block(void *user, uint64_t number, const struct block *block,
                         const char *why)
{
    struct replay *replay = user;

    if (number > replay->to)
        return false;
    replay->bad_block = number;
    replay->why = why;
    if (!block)
        return false;
    if (number >= replay->to / 2)
        KILL_POINT(broker_replays);
    if (number < replay->from)
        core_replay_keys(replay->broker->core, block);
    else
        core_replay(replay->broker->core, block, &replay->why);
    return !replay->why;
}

static bool is_checkpoint(void *user, uint64_t number, const struct block *block,
                          const char *why)
{
    uint64_t *found = user;

    (void)why;
    if (!block || !(block->flags & BLOCK_CHECKPOINT))
        return true;
    *found = number;
    return false;
}

/* From the checkpoint at `from` to the end. NULL, or what is wrong. */
static const char *replay_from(struct broker *broker, uint64_t from, uint64_t to)
{
    struct replay replay = {.broker = broker, .from = from, .to = to};
    uint64_t first, last, applied = views(broker) ? views_applied(broker->views) : 0;

    store_range(broker->store, &first, &last);
    core_views(broker->core, applied);
    replay.keys_from = applied + 1 > first ? applied + 1 : first;
    store_scan(broker->store, replay.keys_from < from ? replay.keys_from : from,
               /* verify= */ true, replay_block, &replay);
    if (replay.why)
        return replay.why;
    return core_applied(broker->core) == to || core_in_checkpoint(broker->core)
               ? NULL
               : "the log ends before its head";
}

static bool recover(struct broker *broker, const struct log_head *head, char *error,
                    size_t error_size)
{
    uint64_t from = head->number ? store_find_checkpoint(broker->store) : 0;
    uint64_t began = loop_steady_us(broker->run->loop);

    while (head->number) {
        broker->core = core_new(&ops, broker, broker->boot);
        set_time(broker);
        const char *why = replay_from(broker, from, head->number);
        if (why) {
            snprintf(error, error_size, "replay from block %llu: %s",
                     (unsigned long long)from, why);
            return false;
        }
        if (!core_in_checkpoint(broker->core))
            break;
        core_free(broker->core); /* the newest checkpoint was cut short: start from the
                                    one before */
        uint64_t before = 0;
        store_scan_back(broker->store, from - 1, false, is_checkpoint, &before);
        from = before;
    }
    if (!head->number)
        broker->core = core_new(&ops, broker, broker->boot);
    log_say(RECOVERED, "from_block=%llu to_block=%llu took_ms=%llu",
            (unsigned long long)from, (unsigned long long)head->number,
            (unsigned long long)(loop_steady_us(broker->run->loop) - began) / 1000);
    return true;
}

/* --- the process --- */

static void configure(struct broker *broker, const struct config *config)
{
    settings_apply(broker->core, config, broker->run->secrets,
                   loop_wall_us(broker->run->loop) | 1);
}

static void fatal(struct broker *broker, const char *why)
{
    log_say(FATAL, "%s", why);
    loop_stop(broker->run->loop, 74);
}

static bool open_sockets(struct broker *broker, char *error, size_t error_size)
{
    const struct config *config = broker->run->config;
    _free_ char *bus = config_bus_endpoint(config);
    _free_ char *live = config_live_endpoint(config);
    _free_ char *bus_tcp = config_bus_listen(config);
    _free_ char *live_tcp = config_live_listen(config);
    const char *secret_key = secrets_get(broker->run->secrets, "curve");
    struct wire_options options = {.kind = WIRE_ROUTER,
                                   .endpoint = bus,
                                   .bind = true,
                                   .check_uid = true,
                                   .hwm = 1024,
                                   .on_frame = on_bus,
                                   .admit = admit_to_bus,
                                   .on_failed = on_kept_out,
                                   .user = broker};

    broker->live = live_new(broker->wire,
                            &(struct live_options){.endpoint = live,
                                                   .tcp_endpoint = live_tcp,
                                                   .secret_key = secret_key,
                                                   .admit = admit_to_live,
                                                   .on_failed = on_kept_out,
                                                   .user = broker},
                            error, error_size);
    if (broker->live)
        broker->bus = wire_open(broker->wire, &options, error, error_size);
    if (broker->bus && bus_tcp &&
        wire_listen(broker->bus, bus_tcp, &(struct wire_curve){.secret_key = secret_key},
                    error, error_size))
        return false;
    return broker->bus != NULL;
}

static void first_fence(struct broker *broker, const struct log_head *head)
{
    _free_ char *dir = config_log_dir(broker->run->config);
    char error[512];

    broker->store = store_open_reader(dir, error, sizeof(error));
    if (!broker->store || !recover(broker, head, error, sizeof(error)) ||
        !open_sockets(broker, error, sizeof(error))) {
        fatal(broker, error);
        return;
    }
    KILL_POINT(broker_recovered);
    set_time(broker);
    core_start(broker->core, link_term(broker->link), head);
    configure(broker, broker->run->config);
    loop_timer_in(broker->poll, VIEWS_POLL_US);
    service_ready(broker->run);
}

static void on_fenced(void *user, const struct log_head *head)
{
    struct broker *broker = user;

    if (!broker->bus) {
        first_fence(broker, head);
        return;
    }
    set_time(broker);
    if (!core_relink(broker->core, head))
        fatal(broker, "the logger's log ends before what it said was committed");
}

static void on_stale(void *user, uint64_t term)
{
    struct broker *broker = user;

    (void)term;
    fatal(broker, "another broker has taken over the log");
}

static void broker_free(struct broker *broker)
{
    wire_close(broker->bus);
    live_free(broker->live);
    link_free(broker->link);
    core_free(broker->core);
    views_close(broker->views);
    store_close(broker->store);
    loop_timer_free(broker->tick);
    loop_timer_free(broker->poll);
    wire_free(broker->wire);
    free(broker);
}

int broker_start(struct service_run *run, char *error, size_t error_size)
{
    struct broker *broker = mem_alloc(sizeof(*broker));
    _free_ char *endpoint = config_logger_endpoint(run->config);
    _free_ char *dir = config_log_dir(run->config);

    run->state = broker;
    broker->run = run;
    id_random(broker->boot, sizeof(broker->boot));
    if (service_lock(run->config->run, "broker", error, error_size) < 0)
        return 1;
    struct store *store = store_open_reader(dir, error, error_size);
    struct log_head head = {0};
    if (store)
        store_head(store, &head);
    store_close(store);
    broker->wire = wire_new(run->loop);
    broker->tick = loop_timer_new(run->loop, on_tick, broker);
    broker->poll = loop_timer_new(run->loop, on_poll, broker);
    struct link_options options = {.endpoint = endpoint,
                                   .term = head.term + 1,
                                   .on_fenced = on_fenced,
                                   .on_committed = on_committed,
                                   .on_stale = on_stale,
                                   .user = broker};
    broker->link = link_new(run->loop, broker->wire, &options, error, error_size);
    if (!broker->link)
        return 1;
    loop_prepare(run->loop, settle_turn, broker);
    return 0;
}

void broker_stop(struct service_run *run)
{
    struct broker *broker = run->state;

    /* What is staged and not committed was not answered; its senders send it again. */
    loop_stop(run->loop, 0);
    run->state = NULL;
    broker_free(broker);
}

void broker_reload(struct service_run *run, const struct config *config)
{
    struct broker *broker = run->state;

    if (broker->bus)
        configure(broker, config);
}
