/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* write - a call's result as records: an outcome with its facts, or a retry */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/call_state.h"
#include "lib/sdk/provider.h"
#include "lib/sdk/veil.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const char requested[] = ".requested";

void call_veil(const struct integration *integration, struct veil *veil)
{
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);

    for (const struct sb_secret *s = tables.secrets; s && s->name; s++)
        veil_add(veil, integration->secret
                           ? integration->secret(integration->secret_user, s->name)
                           : NULL);
}

void call_redact(const struct integration *integration, char *text, size_t n)
{
    struct veil veil = {0};

    if (!n)
        return;
    call_veil(integration, &veil);
    veil_cover(&veil, text, n);
    veil_fini(&veil);
}

/* The access token too, which is no secret of the integration but as good as one. */
static void redact(const struct call *call, char *text, size_t n)
{
    struct veil veil = {0};

    if (!n)
        return;
    call_veil(call->integration, &veil);
    veil_add(&veil, call->token);
    veil_cover(&veil, text, n);
    veil_fini(&veil);
}

static void outcome_type(const struct call *call, char ret_type[RECORD_TYPE_MAX + 1])
{
    const char *type = call->event.type;
    size_t n = strlen(type), tail = sizeof(requested) - 1;
    const char *end = call->result == CALL_SUCCESS ? ".succeeded" : ".failed";

    if (call->webhook && call->result == CALL_SUCCESS) {
        snprintf(ret_type, RECORD_TYPE_MAX + 1, "%s", call->webhook->becomes);
        return;
    }
    if (n > tail && strcmp(type + n - tail, requested) == 0)
        n -= tail;
    if (n > RECORD_TYPE_MAX - strlen(end))
        n = RECORD_TYPE_MAX - strlen(end);
    snprintf(ret_type, RECORD_TYPE_MAX + 1, "%.*s%s", (int)n, type, end);
}

static void outcome_attrs(const struct call *call, struct buf *attrs)
{
    const struct sb_outcome *o = &call->outcome;

    attrs_begin(attrs);
    attrs_text(attrs, ATTR_TRACEPARENT, call->event.traceparent);
    if (call->result == CALL_FAILED)
        attrs_text(attrs, ATTR_ERROR_MSG, o->message);
    if (call->result != CALL_SUCCESS)
        return;
    if (o->has_cost) {
        attrs_int(attrs, ATTR_COST, o->cost);
        attrs_text(attrs, ATTR_CURRENCY, o->currency);
        attrs_text(attrs, ATTR_COST_KIND,
                   o->cost_kind == SB_ACTUAL ? "actual" : "estimated");
    }
    attrs_text(attrs, ATTR_CURSOR, o->cursor);
    if (o->more)
        attrs_bool(attrs, ATTR_MORE, true);
}

static void write_outcome(struct call *call, uint64_t now_us, struct buf *out)
{
    const struct record *r = call->event.record;
    struct buf attrs = BUF_NULL, data = BUF_NULL;
    char type[RECORD_TYPE_MAX + 1];
    uint8_t id[16];

    outcome_type(call, type);
    outcome_attrs(call, &attrs);
    if (call->outcome.data)
        js_write(call->outcome.data, 0, &data);
    redact(call, (char *)data.bytes, data.len);
    id_new(now_us, id);
    struct record_parts parts = {
        .kind = RECORD_OUTCOME,
        .status = call->result == CALL_SUCCESS ? STATUS_SUCCESS : STATUS_FAILED,
        .error_class = call->class,
        .flags = data.len ? RECORD_JSON : 0,
        .attempt = (uint8_t)(call->event.attempt < 255 ? call->event.attempt : 255),
        .type = type,
        .id = id,
        .cause = r->id,
        .time_us = now_us,
        .settles = call->event.position,
        .integration = integration_hash(call->integration->name),
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = data.bytes,
        .data_len = data.len,
    };
    if (record_add(out, &parts) <
        0) { /* the data is what can be too large; the effect took place all the same */
        static const char note[] = "{\"left_out\":\"the outcome's data was over 1 MiB\"}";
        parts.data = note;
        parts.data_len = sizeof(note) - 1;
        record_add(out, &parts);
    }
    buf_fini(&attrs);
    buf_fini(&data);
}

static bool write_fact(struct call *call, const struct call_fact *fact,
                       const uint8_t id[16], uint64_t now_us, struct buf *out)
{
    struct buf data = BUF_NULL, attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_TRACEPARENT, call->event.traceparent);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, fact->event_id);
    if (fact->data)
        js_write(fact->data, 0, &data);
    else
        buf_add(&data, fact->text.bytes, fact->text.len);
    redact(call, (char *)data.bytes, data.len);
    bool has_attrs = call->event.traceparent || fact->event_id;
    struct record_parts parts = {
        .kind = RECORD_FACT,
        .flags = data.len ? RECORD_JSON : 0,
        .type = fact->type,
        .id = id,
        .cause = call->event.record->id,
        .key = fact->key,
        .time_us = now_us,
        .integration = integration_hash(call->integration->name),
        .attrs = has_attrs ? attrs.bytes : NULL,
        .attr_len = has_attrs ? attrs.len : 0,
        .data = data.bytes,
        .data_len = data.len,
    };
    bool fits = record_add(out, &parts) >= 0;
    buf_fini(&attrs);
    buf_fini(&data);
    return fits;
}

/* False when one is over the limit. The ids follow from the request's, so that a repeated
 * run repeats them. */
static bool write_facts(struct call *call, uint64_t now_us, struct buf *out)
{
    bool fits = true;

    for (size_t i = 0; fits && i < call->outcome.n_facts; i++) {
        uint8_t id[16];
        id_derive(call->event.id, i, id);
        fits = write_fact(call, &call->outcome.facts[i], id, now_us, out);
    }
    return fits;
}

/* May an effect be there that nobody has heard of? Only a key or a lookup takes such a
 * doubt away. */
static bool leaves_doubt(const struct call *call)
{
    bool is_keyed = call->operation && call->operation->repeat == SB_REPEAT_KEYED;

    return is_keyed && (call->is_unclear || (call->event.in_doubt && !call->is_undone));
}

static void write_retry(const struct call *call, struct buf *out)
{
    struct control_retry data = {
        .block = call->event.position.block,
        .index = call->event.position.index,
        .group = integration_hash(call->integration->name),
        .due_us = call->outcome.after_us,
        .attempts = call->was_started ? 1 : 0,
    };
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, call->outcome.message);
    struct record_parts parts = {.kind = RECORD_RETRY,
                                 .flags = leaves_doubt(call) ? RECORD_DOUBT : 0,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    record_add(out, &parts);
    buf_fini(&attrs);
}

/* A consumer's answer: done, or given up. */
static void write_ack(const struct call *call, struct buf *out)
{
    bool is_failed = call->result == CALL_FAILED;
    struct control_ack data = {.block = call->event.position.block,
                               .first = call->event.position.index,
                               .count = 1,
                               .result = is_failed ? STATUS_FAILED : STATUS_SUCCESS};
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, is_failed ? call->outcome.message : NULL);
    record_add(out, &(struct record_parts){.kind = RECORD_ACK,
                                           .error_class = call->class,
                                           .attrs = attrs.bytes,
                                           .attr_len = attrs.len,
                                           .data = &data,
                                           .data_len = sizeof(data)});
    buf_fini(&attrs);
}

void call_write(struct call *call, uint64_t now_us, struct buf *out)
{
    size_t before = out->len;

    redact(call, call->outcome.message, strlen(call->outcome.message));
    if (call->result == CALL_RETRY) {
        write_retry(call, out);
        return;
    }
    if (call->integration->is_consumer) {
        write_ack(call, out);
        return;
    }
    write_outcome(call, now_us, out);
    if (call->result != CALL_SUCCESS || !call->outcome.n_facts)
        return;
    if (write_facts(call, now_us, out) && out->len - before <= RECORD_GROUP_MAX)
        return;
    out->len = before;
    call->outcome.mistake =
        mem_text("the facts of one outcome are over 2 MiB, or one is over 1 MiB");
    call_spoiled(call);
    write_outcome(call, now_us, out);
}
