/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/state.h"
#include "proto/attrs.h"

enum { TEXTS_MAX = 24 };

/* A row and the texts made for it. */
struct making {
    struct ledger_row row;
    char *texts[TEXTS_MAX];
    unsigned n_texts;
    char *attr_id, *attr_cause, *attr_service;
};

static char *keep(struct making *m, char *text)
{
    if (m->n_texts < TEXTS_MAX)
        return m->texts[m->n_texts++] = text;
    free(text); /* more attributes of one name than a row has room for */
    return NULL;
}

static void attr_text(struct making *m, const struct attr_value *v)
{
    struct ledger_row *row = &m->row;
    char **own = v->attr == ATTR_ID           ? &m->attr_id
                 : v->attr == ATTR_CAUSE_TEXT ? &m->attr_cause
                 : v->attr == ATTR_SERVICE    ? &m->attr_service
                                              : NULL;
    const char **field = v->attr == ATTR_SOURCE            ? &row->source
                         : v->attr == ATTR_SUBJECT         ? &row->subject
                         : v->attr == ATTR_CONTENT_TYPE    ? &row->datacontenttype
                         : v->attr == ATTR_KEY             ? &row->key
                         : v->attr == ATTR_TRACEPARENT     ? &row->traceparent
                         : v->attr == ATTR_ERROR_MSG       ? &row->error_msg
                         : v->attr == ATTR_CURRENCY        ? &row->cost_currency
                         : v->attr == ATTR_COST_KIND       ? &row->cost_kind
                         : v->attr == ATTR_ENDPOINT        ? &row->endpoint
                         : v->attr == ATTR_IDEMPOTENCY_KEY ? &row->event_id
                                                           : NULL;

    if (own)
        *own = keep(m, mem_copy(v->text, v->text_len));
    else if (field)
        *field = keep(m, mem_copy(v->text, v->text_len));
}

static bool take_attr(void *user, const struct attr_value *v)
{
    struct making *m = user;

    if (v->type == ATTR_IS_TEXT)
        attr_text(m, v);
    else if (v->type == ATTR_IS_INT && v->attr == ATTR_COST)
        m->row.cost_micros = v->number;
    else if (v->type == ATTR_IS_BOOL && v->attr == ATTR_WEAK)
        m->row.is_weak = v->number;
    return true;
}

/* Of the settling record only how it ended, and what it cost, are the row's. */
static bool take_ending(void *user, const struct attr_value *v)
{
    bool is_ending = v->attr == ATTR_ERROR_MSG || v->attr == ATTR_COST ||
                     v->attr == ATTR_CURRENCY || v->attr == ATTR_COST_KIND;

    return is_ending ? take_attr(user, v) : true;
}

static void walk(struct making *m, const struct record *r, attrs_fn fn)
{
    const char *why; /* attributes that do not read are shown as absent; the checksum says
                        they came so */

    attrs_walk(record_attrs(r), r->attr_len, fn, m, &why);
}

static char *id_text(const uint8_t id[16])
{
    char text[ID_TEXT_SIZE];

    id_format(id, text);
    return mem_text(text);
}

static char *own_id(const struct record *r)
{
    char *text = r->flags & RECORD_FOREIGN_ID
                     ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID)
                     : NULL;

    return text ? text : id_text(r->id);
}

/* An outcome does not repeat what its request says: that is the record to ask. */
static const struct record *spokesman(struct ledger *ledger, const struct record *r,
                                      struct position *at)
{
    if (r->kind != RECORD_OUTCOME)
        return r;
    struct position request = {r->cause_block, r->cause_index};
    const struct record *found = ledger_record(ledger, request);
    if (!found)
        return r; /* its segment is gone */
    *at = request;
    return found;
}

/* The service in the IntegrationLog; to be freed. */
static char *service_of(struct ledger *ledger, const struct record *r, struct position at)
{
    const struct record *speaks = spokesman(ledger, r, &at);
    char *own = attrs_copy_text(record_attrs(speaks), speaks->attr_len, ATTR_SERVICE);

    if (own)
        return own;
    const struct integration_def *def =
        names_integration(ledger, speaks->integration, at);
    return mem_text(def && def->service ? def->service : def ? def->name : "-");
}

static bool service_is(struct ledger *ledger, const struct record *r, struct position at,
                       const char *wanted)
{
    _free_ char *service = service_of(ledger, r, at);

    return strcasecmp(service, wanted) == 0;
}

static bool key_is(const struct record *r, const char *wanted)
{
    _free_ char *key = r->key_hash == hash_text(wanted)
                           ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY)
                           : NULL;

    return key && strcmp(key, wanted) == 0;
}

static bool cause_is(const struct record *r, const char *wanted)
{
    uint8_t id[16];

    ledger_id(wanted, id);
    return memcmp(r->cause, id, sizeof(id)) == 0;
}

bool row_is_named_so(struct ledger *ledger, const struct ledger_filter *filter,
                     const struct record *r, struct position at)
{
    if (filter->type && !text_match_type(filter->type, record_type(r), r->type_len))
        return false;
    if (filter->integration && r->integration != integration_hash(filter->integration))
        return false;
    if (filter->key && !key_is(r, filter->key))
        return false;
    if (filter->cause && !cause_is(r, filter->cause))
        return false;
    return !filter->service || service_is(ledger, r, at, filter->service);
}

bool row_ended_so(const struct ledger_filter *filter, const struct fate *fate)
{
    if (filter->status >= 0 && filter->status != (int)fate->status)
        return false;
    return filter->error_class < 0 ||
           (fate->status == STATUS_FAILED && filter->error_class == fate->error_class);
}

bool row_matches(struct ledger *ledger, const struct ledger_filter *filter,
                 const struct record *r, const struct hit *hit)
{
    return row_ended_so(filter, &hit->fate) &&
           row_is_named_so(ledger, filter, r, hit->at);
}

static void head(struct making *m, const struct record *r, const struct hit *hit,
                 uint64_t timestamp_us)
{
    struct ledger_row *row = &m->row;

    memcpy(row->id, r->id, 16);
    row->record = r;
    row->position = hit->at;
    row->type = keep(m, mem_copy(record_type(r), r->type_len));
    row->kind = kind_name(r->kind);
    row->timestamp_us = timestamp_us;
    row->time_us = r->time_us ? r->time_us : timestamp_us;
    row->deadline_us = r->kind == RECORD_REQUEST ? r->deadline_us : 0;
    row->cost_micros = INT64_MIN;
    row->is_found = (r->flags & (RECORD_FOUND | RECORD_BY_BROKER)) == RECORD_FOUND;
    walk(m, r, take_attr);
    row->id_text =
        r->flags & RECORD_FOREIGN_ID && m->attr_id ? m->attr_id : keep(m, id_text(r->id));
    row->data = r->data_len ? record_data(r) : NULL;
    row->data_len = r->data_len;
    row->data_is_json = r->flags & RECORD_JSON;
}

static void cause(struct ledger *ledger, struct making *m, const struct record *r)
{
    struct position at = {0};
    const struct record *request = spokesman(ledger, r, &at);

    if (m->attr_cause)
        m->row.cause = m->attr_cause;
    else if (request != r)
        m->row.cause = keep(m, own_id(request));
    else if (!id_is_zero(r->cause))
        m->row.cause = keep(m, id_text(r->cause));
}

static void ending(struct ledger *ledger, struct making *m, const struct hit *hit)
{
    const struct fate *v = &hit->fate;
    struct ledger_row *row = &m->row;
    const struct record *by = v->by.block ? ledger_record(ledger, v->by) : NULL;

    row->status = v->status;
    row->unconsumed = v->is_unconsumed;
    row->attempt = v->attempt;
    row->settled_us = v->by_us;
    if (by)
        walk(m, by, take_ending);
    if (by && by->kind == RECORD_OUTCOME)
        row->outcome = by;
    row->error_class = v->status == STATUS_FAILED ? class_name(v->error_class) : NULL;
    if (v->status != STATUS_FAILED)
        row->error_msg = NULL;
}

/* What a person did about it. */
static void dealing(struct ledger *ledger, struct making *m, const struct dealt *dealt)
{
    const struct record *r =
        dealt->kind == DEALT_NOT ? NULL : ledger_record(ledger, dealt->at);

    if (!r)
        return;
    if (dealt->kind == DEALT_REDRIVEN) {
        m->row.redrive = keep(m, id_text(r->id));
        return;
    }
    m->row.verdict = keep(m, mem_copy(record_data(r), r->data_len));
    m->row.verdict_us = ledger_block(ledger, dealt->at.block, NULL)->timestamp_us;
}

/* Looked up before the row is built: it may read many blocks. */
static struct dealt find_dealing(struct ledger *ledger, const struct hit *hit)
{
    const struct record *by = hit->fate.status == STATUS_FAILED && hit->fate.by.block
                                  ? ledger_record(ledger, hit->fate.by)
                                  : NULL;
    struct control_ack ack = {0};
    uint8_t id[16];

    if (by && by->kind == RECORD_ACK && by->data_len >= sizeof(ack))
        memcpy(&ack, record_data(by), sizeof(ack)); /* the group that gave it up */
    const struct record *r = by ? ledger_record(ledger, hit->at) : NULL;
    if (!r || (r->kind == RECORD_OUTCOME))
        return (struct dealt){.kind = DEALT_NOT};
    memcpy(id, r->id, 16);
    return dealt_with(ledger, id, ack.group, hit->fate.by.block);
}

bool row_tell(struct ledger *ledger, const struct hit *hit, ledger_fn fn, void *user)
{
    struct dealt dealt = find_dealing(ledger, hit);
    const struct block *b = ledger_block(ledger, hit->at.block, NULL);
    const struct record *r = b ? ledger_record(ledger, hit->at) : NULL;
    struct making m = {0};

    if (!r)
        return true; /* trimmed or damaged since it was found */
    head(&m, r, hit, b->timestamp_us);
    cause(ledger, &m, r);
    const struct integration_def *def =
        names_integration(ledger, r->integration, hit->at);
    m.row.integration = def ? def->name : NULL;
    m.row.service = keep(&m, service_of(ledger, r, hit->at));
    ending(ledger, &m, hit);
    dealing(ledger, &m, &dealt);
    m.row.may_redrive = r->kind == RECORD_REQUEST && m.row.status == STATUS_FAILED &&
                        hit->fate.error_class == CLASS_unknown &&
                        again_is_safe(ledger, r, m.row.timestamp_us, clock_wall_us());
    m.row.owner = hit->owner                       ? hit->owner
                  : m.row.status == STATUS_PENDING ? m.row.integration
                                                   : NULL;
    bool go_on = fn(user, &m.row);
    for (unsigned i = 0; i < m.n_texts; i++)
        free(m.texts[i]);
    return go_on;
}
