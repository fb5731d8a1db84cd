/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/result.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/bus.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const struct record *first(const struct buf *records)
{
    return (const struct record *)records->bytes;
}

static bool has_more(const struct buf *records, const struct record *r)
{
    return (const uint8_t *)r < records->bytes + records->len;
}

/* Where a record of a RESULT says that its event stands. */
static struct position settles(const struct record *r)
{
    struct control_retry retry = {0};

    if (r->kind == RECORD_OUTCOME)
        return (struct position){r->cause_block, r->cause_index};
    if (r->kind == RECORD_RETRY && r->data_len >= sizeof(retry))
        memcpy(&retry, record_data(r), sizeof(retry));
    return (struct position){retry.block, retry.index};
}

static void keep(const struct record *r, struct result *ret)
{
    _free_ char *message = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    struct control_retry retry = {0};

    *ret = (struct result){.is_retry = r->kind == RECORD_RETRY,
                           .is_success = r->status == STATUS_SUCCESS,
                           .has_doubt = r->flags & RECORD_DOUBT,
                           .class = r->error_class};
    memcpy(ret->type, record_type(r), r->type_len);
    snprintf(ret->message, sizeof(ret->message), "%s", message ? message : "");
    if (ret->is_retry)
        memcpy(&retry, record_data(r), sizeof(retry));
    ret->after_us = retry.due_us;
}

bool result_read(const struct buf *records, struct position place, const uint8_t id[16],
                 struct result *ret, char *why, size_t why_size)
{
    const struct record *settling = NULL;
    unsigned n = 0;

    for (const struct record *r = first(records); has_more(records, r);
         r = record_after(r))
        if (r->kind == RECORD_OUTCOME || r->kind == RECORD_RETRY) {
            settling = n++ ? settling : r;
        }
    if (n != 1) {
        snprintf(why, why_size, "a RESULT for one event has %u outcomes; expected one",
                 n);
        return false;
    }
    struct position named = settles(settling);
    if (named.block != place.block || named.index != place.index)
        snprintf(why, why_size,
                 "its result names position %" PRIu64 "/%u; the event stands at %" PRIu64
                 "/%u",
                 named.block, named.index, place.block, place.index);
    else if (settling->kind == RECORD_OUTCOME && memcmp(settling->cause, id, 16) != 0)
        snprintf(why, why_size, "its outcome's `cause` is not the event's id");
    else if (settling->kind == RECORD_OUTCOME && !record_type_ok(settling))
        snprintf(why, why_size, "its outcome's type and the type's hash do not agree");
    else {
        keep(settling, ret);
        return true;
    }
    return false;
}

struct json *result_json(const struct buf *records)
{
    struct json *out = NULL, *facts = js_array();

    for (const struct record *r = first(records); has_more(records, r);
         r = record_after(r)) {
        struct result retry;
        if (r->kind == RECORD_FACT) {
            js_push(facts, bus_outcome_json(r->id, r, r->time_us));
        } else if (r->kind == RECORD_OUTCOME) {
            out = bus_outcome_json(r->cause, r, r->time_us);
        } else if (r->kind == RECORD_RETRY) {
            keep(r, &retry);
            out = js_set_text(js_object(), "status", "Retry");
            js_set_text(out, "error_msg", retry.message);
            js_set_int(out, "after_ms", (int64_t)(retry.after_us / 1000));
            js_set_bool(out, "doubt", retry.has_doubt);
        }
    }
    if (out && js_count(facts))
        return js_set(out, "facts", facts);
    js_free(facts);
    return out ? out : js_object();
}
