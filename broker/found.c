/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* found - what comes along with a connector's outcome: facts, and events of the
 * provider's
 *
 * A poll finds what a webhook may have brought, or is about to bring.  A fact that names
 * the provider's event (ATTR_IDEMPOTENCY_KEY) is filed behind the RECORD_IDEMPOTENCY that
 * the gateway would file it behind: whichever comes first is the event, and the other one
 * is answered or counted as known.  The scope is the broker's to write, so a connector
 * can take no id of another integration's.  One of a type under the integration's own
 * name is as if its webhook had brought it: a request where the manifest declares it. */
#include <string.h>

#include "broker/state.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum { KNOWN_ROOM = 24 }; /* bytes that ATTR_KNOWN adds to an outcome at most */

bool found_has_key(const struct record *r)
{
    const char *text;
    size_t n;

    return attrs_find_text(record_attrs(r), r->attr_len, ATTR_IDEMPOTENCY_KEY, &text, &n);
}

bool found_is_providers(const struct session *session, const struct route *route)
{
    return session->role == ROLE_CONNECTOR && session->group &&
           route->class == TYPE_WEBHOOK && route->sole == session->group;
}

static bool is_of(const struct record *outcome, const struct record *r)
{
    return outcome && memcmp(outcome->cause, r->cause, 16) == 0;
}

const char *found_misfit(const struct record *outcome, const struct record *r)
{
    const char *text = NULL;
    size_t n = 0;
    int64_t known;

    attrs_find_text(record_attrs(r), r->attr_len, ATTR_IDEMPOTENCY_KEY, &text, &n);
    if (n == 0)
        return "what is found has the provider's id as its idempotency_key: a text that "
               "is not empty";
    if (!is_of(outcome, r))
        return "a fact with an idempotency_key stands behind the outcome that it came "
               "with, and has the same cause";
    if (outcome->attr_len > RECORD_ATTRS_MAX - KNOWN_ROOM ||
        outcome->len > RECORD_SIZE_MAX - KNOWN_ROOM ||
        attrs_find_int(record_attrs(outcome), outcome->attr_len, ATTR_KNOWN, &known))
        return "an outcome with facts that have keys leaves the attribute `known` to the "
               "broker, and room for it";
    return NULL;
}

/* Has it come before? If not, it has from now on. */
static bool is_known(struct core *core, const char *scope, const struct record *r,
                     struct buf *out)
{
    struct control_idempotency control = {
        .body_hash = hash64(record_data(r), r->data_len),
        .expires_us = core->wall_us + core->idempotency_us};
    const char *text = NULL;
    struct core_key value = {0};
    uint8_t name[16];
    size_t n = 0;

    attrs_find_text(record_attrs(r), r->attr_len, ATTR_IDEMPOTENCY_KEY, &text, &n);
    hash_pair(scope, text, n, name);
    if (key_value(core, name, &value))
        return true;
    value = (struct core_key){.body_hash = control.body_hash,
                              .expires_us = control.expires_us};
    memcpy(value.id, r->id, 16);
    key_put(core, name, &value);
    record_add(out, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                           .id = name,
                                           .data = &control,
                                           .data_len = sizeof(control)});
    return false;
}

static void file(struct core *core, const struct session *session, const struct record *r,
                 bool is_keyed, struct buf *out)
{
    size_t at = out->len;
    const struct route *route = route_get(core, r);

    buf_add(out, r, r->len);
    struct record *copy = (struct record *)(out->bytes + at);
    if (is_keyed)
        copy->flags |= RECORD_FOUND;
    if (!route || !found_is_providers(session, route))
        return;
    copy->integration = session->group->hash;
    if (!route->is_declared)
        return;
    copy->kind = RECORD_REQUEST;
    copy->deadline_us = core->wall_us + session->group->deadline_us;
}

/* The outcome with ATTR_KNOWN. */
static void tell_known(const struct record *outcome, uint32_t known, struct buf *out)
{
    struct buf attrs = BUF_NULL;
    struct record head = *outcome;

    attrs_begin(&attrs);
    attrs_join(&attrs, record_attrs(outcome), outcome->attr_len);
    attrs_int(&attrs, ATTR_KNOWN, known);
    head.attr_len = (uint16_t)attrs.len;
    head.len = (uint32_t)((sizeof(head) + head.type_len + attrs.len + head.data_len + 7) &
                          ~(size_t)7);
    buf_add(out, &head, sizeof(head));
    buf_add(out, record_type(outcome), head.type_len);
    buf_add(out, attrs.bytes, attrs.len);
    buf_add(out, record_data(outcome), head.data_len);
    buf_pad8(out);
    buf_fini(&attrs);
}

void found_stage_outcome(struct core *core, const struct session *session,
                         const struct record *outcome)
{
    struct record *copy = (struct record *)stage_add(core, outcome, outcome->len, NULL);

    copy->integration = session->group->hash;
}

static void stage_all(struct core *core, const struct buf *records)
{
    for (size_t at = 0; at < records->len;) {
        const struct record *r = (const struct record *)(records->bytes + at);
        stage_add(core, r, r->len, NULL);
        at += r->len;
    }
}

size_t found_take(struct core *core, const struct session *session,
                  const struct record *outcome, const uint8_t *end, bool is_late,
                  uint32_t *left_out)
{
    _free_ char *scope = mem_format(PROVIDER_SCOPE "%s", session->group->name);
    struct buf filed = BUF_NULL, told = BUF_NULL;
    const struct record *r = record_after(outcome);
    uint32_t known = 0;

    for (; (const uint8_t *)r < end && r->kind == RECORD_FACT && is_of(outcome, r);
         r = record_after(r)) {
        bool is_keyed = found_has_key(r);
        if (is_late)
            ++*left_out;
        else if (is_keyed && is_known(core, scope, r, &filed))
            known++;
        else
            file(core, session, r, is_keyed, &filed);
    }
    if (known)
        tell_known(outcome, known, &told);
    if (!is_late)
        found_stage_outcome(core, session,
                            known ? (const struct record *)told.bytes : outcome);
    stage_all(core, &filed);
    buf_fini(&filed);
    buf_fini(&told);
    return (size_t)((const uint8_t *)r - (const uint8_t *)outcome);
}
