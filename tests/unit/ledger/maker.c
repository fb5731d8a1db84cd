/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/ledger/maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"
#include "lib/store/views.h"
#include "proto/attrs.h"
#include "proto/control.h"

struct maker {
    struct store *store;
    const struct store_ops *honest;
    struct store_ops ops;
    struct views *views;
    struct ledger *ledger;
    char dir[64];
    struct buf body;
    uint64_t number;
    uint32_t index, crc, flags;
    uint64_t requests, facts, outcomes;
    uint32_t events;
    bool views_stopped;
    uint64_t views_end; /* 0: none */
};

static enum maker_harm harm; /* the store's functions are handed no maker */
static uint64_t harmed;
static const struct store_ops *honest;
static struct maker *growing; /* seals its open block when the log's range is asked for */

static int fetch(struct store *store, uint64_t number, size_t limit, struct buf *out,
                 struct store_extent *ret_bad)
{
    if (number == harmed && harm == HARM_MISSING)
        return STORE_NOT_FOUND;
    int rc = honest->fetch(store, number, limit, out, ret_bad);
    if (rc == STORE_OK && number == harmed && harm == HARM_REPLACED &&
        out->len > sizeof(struct block)) {
        struct block *b = (struct block *)(void *)out->bytes;
        b->timestamp_us++; /* a block much like it, and sealed */
        block_seal(b, out->len);
    }
    if (rc == STORE_OK && number == harmed && harm == HARM_FLIPPED)
        out->bytes[out->len - 1] ^= 0x10;
    return rc;
}

static void range(struct store *store, uint64_t *ret_first, uint64_t *ret_last)
{
    honest->range(store, ret_first, ret_last);
    if (harm == HARM_ENDS && *ret_last > harmed)
        *ret_last = harmed;
    struct maker *m = growing;
    growing = NULL;
    if (m)
        maker_seal(m); /* behind the range that was told */
}

static void begin(struct maker *m)
{
    buf_clear(&m->body);
    buf_add(&m->body, NULL, sizeof(struct block));
    m->index = 0;
    m->flags = 0;
    m->events = 0;
}

struct maker *maker_new(bool with_views)
{
    struct store_options options = {.memory = true, .segment_size = 64 << 20};
    struct maker *m = mem_alloc(sizeof(*m));
    char error[256];

    m->store = store_open(&options, error, sizeof(error));
    honest = m->honest = m->store->ops;
    harm = HARM_NONE;
    harmed = 0;
    m->ops = *honest;
    m->ops.fetch = fetch;
    m->ops.range = range;
    m->store->ops = &m->ops;
    if (with_views) {
        snprintf(m->dir, sizeof(m->dir), "/tmp/test_ledger.XXXXXX");
        m->views =
            mkdtemp(m->dir) ? views_open(m->dir, false, error, sizeof(error)) : NULL;
        if (!m->views)
            abort();
    }
    m->number = 1;
    begin(m);
    return m;
}

struct maker *maker_new_in(const char *dir)
{
    _free_ char *log = mem_format("%s/log", dir);
    struct store_options options = {.dir = log, .segment_size = 16 << 20};
    struct maker *m = mem_alloc(sizeof(*m));
    char error[256] = "mkdir";

    harm = HARM_NONE;
    m->store = mkdir(log, 0700) == 0 ? store_open(&options, error, sizeof(error)) : NULL;
    m->views = m->store ? views_open(log, false, error, sizeof(error)) : NULL;
    if (!m->views) {
        fprintf(stderr, "%s: %s\n", log, error);
        abort();
    }
    m->honest = m->store->ops;
    m->number = 1;
    begin(m);
    return m;
}

void maker_free(struct maker *m)
{
    _free_ char *file = mem_format("%s/views.mdb", m->dir),
                *lock = mem_format("%s/views.mdb-lock", m->dir);

    ledger_close(m->ledger);
    views_close(m->views);
    m->store->ops = m->honest;
    store_close(m->store);
    if (*m->dir) {
        unlink(file);
        unlink(lock);
        rmdir(m->dir);
    }
    buf_fini(&m->body);
    free(m);
}

struct ledger *maker_ledger(struct maker *m)
{
    if (!m->ledger)
        m->ledger = ledger_over(m->store, m->views);
    return m->ledger;
}

struct position maker_record(struct maker *m, const struct record_parts *parts)
{
    struct position at = {m->number, m->index++};

    if (record_add(&m->body, parts) < 0)
        abort();
    m->requests += parts->kind == RECORD_REQUEST;
    m->facts += parts->kind == RECORD_FACT;
    m->outcomes += parts->kind == RECORD_OUTCOME;
    m->events += parts->kind < RECORD_BATCH;
    return at;
}

struct position maker_request(struct maker *m, uint8_t name, const char *type,
                              const char *integration, const char *key)
{
    uint8_t id[16];

    memset(id, name, 16);
    return maker_record(
        m, &(struct record_parts){.kind = RECORD_REQUEST,
                                  .type = type,
                                  .id = id,
                                  .key = key,
                                  .integration =
                                      integration ? integration_hash(integration) : 0,
                                  .flags = RECORD_JSON,
                                  .data = "{\"amount\":5}",
                                  .data_len = 12});
}

struct position maker_fact(struct maker *m, uint8_t name, const char *type,
                           enum record_status status)
{
    uint8_t id[16];

    memset(id, name, 16);
    return maker_record(m, &(struct record_parts){.kind = RECORD_FACT,
                                                  .type = type,
                                                  .id = id,
                                                  .status = status,
                                                  .error_class = status == STATUS_FAILED
                                                                     ? CLASS_unverified
                                                                     : CLASS_none});
}

struct position maker_outcome(struct maker *m, uint8_t name, struct position request,
                              uint8_t request_name, enum record_class error_class,
                              const char *error_msg)
{
    struct buf attrs = BUF_NULL;
    uint8_t id[16], cause[16];

    memset(id, name, 16);
    memset(cause, request_name, 16);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, error_msg);
    attrs_int(&attrs, ATTR_COST, 2900);
    attrs_text(&attrs, ATTR_CURRENCY, "USD");
    struct position at = maker_record(
        m, &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .type = error_class ? "payment.charge.failed"
                                                      : "payment.charge.succeeded",
                                  .id = id,
                                  .cause = cause,
                                  .settles = request,
                                  .attempt = 2,
                                  .status = error_class ? STATUS_FAILED : STATUS_SUCCESS,
                                  .error_class = error_class,
                                  .attrs = attrs.bytes,
                                  .attr_len = attrs.len,
                                  .data = "ok",
                                  .data_len = 2});
    buf_fini(&attrs);
    return at;
}

struct position maker_free_outcome(struct maker *m, uint8_t name, struct position request,
                                   uint8_t request_name, const char *integration,
                                   enum record_class error_class)
{
    uint8_t id[16], cause[16];

    memset(id, name, 16);
    memset(cause, request_name, 16);
    return maker_record(
        m, &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .type = "payment.charge.ended",
                                  .id = id,
                                  .cause = cause,
                                  .settles = request,
                                  .attempt = 1,
                                  .integration = integration_hash(integration),
                                  .status = error_class ? STATUS_FAILED : STATUS_SUCCESS,
                                  .error_class = error_class});
}

struct position maker_ack(struct maker *m, const char *group, struct position first,
                          uint32_t count, enum record_class error_class)
{
    struct control_ack c = {.group = integration_hash(group),
                            .block = first.block,
                            .first = first.index,
                            .count = count,
                            .result = error_class ? STATUS_FAILED : STATUS_SUCCESS};

    return maker_record(m, &(struct record_parts){.kind = RECORD_ACK,
                                                  .error_class = error_class,
                                                  .data = &c,
                                                  .data_len = sizeof(c)});
}

struct position maker_retry(struct maker *m, const char *group, struct position at,
                            uint32_t attempts, const char *error_msg)
{
    struct control_retry c = {.group = integration_hash(group),
                              .block = at.block,
                              .index = at.index,
                              .attempts = attempts};
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, error_msg);
    struct position own = maker_record(m, &(struct record_parts){.kind = RECORD_RETRY,
                                                                 .data = &c,
                                                                 .data_len = sizeof(c),
                                                                 .attrs = attrs.bytes,
                                                                 .attr_len = attrs.len});
    buf_fini(&attrs);
    return own;
}

struct position maker_integration(struct maker *m, const char *name, const char *service)
{
    _free_ char *json =
        service
            ? mem_format("{\"name\":\"%s\",\"connector\":\"payment\",\"service\":\"%s\"}",
                         name, service)
            : mem_format("{\"name\":\"%s\",\"connector\":\"payment\"}", name);

    return maker_record(m, &(struct record_parts){.kind = RECORD_INTEGRATION,
                                                  .integration = integration_hash(name),
                                                  .data = json,
                                                  .data_len = strlen(json)});
}

struct position maker_group(struct maker *m, const char *name, const char *type,
                            bool removed)
{
    _free_ char *json = mem_format("{\"name\":\"%s\",\"types\":[\"%s\"],\"removed\":%s}",
                                   name, type, removed ? "true" : "false");

    return maker_record(m, &(struct record_parts){.kind = RECORD_NOTE,
                                                  .type = "signalbox.group",
                                                  .data = json,
                                                  .data_len = strlen(json)});
}

void maker_segment(struct maker *m)
{
    m->flags |= BLOCK_OPENS_SEGMENT;
}

void maker_checkpoint(struct maker *m)
{
    m->flags |= BLOCK_CHECKPOINT;
}

void maker_seal_lying(struct maker *m, int requests, int facts, int outcomes)
{
    struct block *b = (struct block *)(void *)m->body.bytes;

    m->requests += (uint64_t)requests;
    m->facts += (uint64_t)facts;
    m->outcomes += (uint64_t)outcomes;
    b->number = m->number++;
    b->term = 1;
    b->prev_crc = m->crc;
    b->timestamp_us = b->number * 1000000;
    b->count = m->index;
    b->events = m->events;
    b->flags = m->flags;
    b->requests_total = m->requests;
    b->facts_total = m->facts;
    b->outcomes_total = m->outcomes;
    block_seal(b, m->body.len);
    m->crc = b->crc;
    const struct block *const one[] = {b};
    if (store_append(m->store, one, 1) != STORE_OK)
        abort();
    if (m->views && !m->views_stopped && (!m->views_end || b->number < m->views_end) &&
        (views_apply(m->views, b) || views_flush(m->views)))
        abort();
    begin(m);
}

void maker_seal(struct maker *m)
{
    maker_seal_lying(m, 0, 0, 0);
}

void maker_harm(struct maker *m, enum maker_harm what, uint64_t block)
{
    (void)m;
    harm = what;
    harmed = block;
}

void maker_grow_when_asked(struct maker *m)
{
    growing = m;
}

void maker_stop_views(struct maker *m)
{
    m->views_stopped = true;
}

void maker_stop_views_at(struct maker *m, uint64_t block)
{
    m->views_end = block;
}

void maker_rebuild_views(struct maker *m)
{
    uint64_t last = 0;

    if (views_rebuild(m->views, m->store, &last) || last + 1 != m->number)
        abort();
}

struct ledger *maker_ledger_without_views(struct maker *m)
{
    return ledger_over(m->store, NULL);
}

void maker_foreign_views(struct maker *m)
{
    struct block b = {.timestamp_us = 1};

    for (b.number = 1; m->views && b.number < m->number; b.number++) {
        b.prev_crc = b.crc;
        block_seal(&b, sizeof(b));
        if (views_apply(m->views, &b))
            abort();
    }
    if (m->views && views_flush(m->views))
        abort();
}

void maker_trim(struct maker *m, uint64_t keep_from)
{
    store_trim(m->store, keep_from);
}

const char *maker_id(uint8_t name)
{
    static char text[ID_TEXT_SIZE];
    uint8_t id[16];

    memset(id, name, 16);
    id_format(id, text);
    return text;
}
