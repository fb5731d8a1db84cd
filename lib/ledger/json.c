/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/json.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/ledger.h"
#include "proto/attrs.h"

static void set_or_null(struct json *object, const char *name, const char *text)
{
    struct json *member = text ? js_from_text(text, strlen(text)) : NULL;

    js_set(object, name,
           member ? member : js_null()); /* not UTF-8: cannot be said in JSON */
}

static void set_time(struct json *object, const char *name, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];

    text_time(time_us, text);
    js_set_text(object, name, text);
}

/* As JSON where it is JSON, as text where it is text, else in base64 under another name.
 */
static void set_data(struct json *object, const void *data, size_t n, bool is_json)
{
    char error[128];
    struct json *value = NULL;
    struct buf text = BUF_NULL;

    if (n == 0)
        value = js_null();
    if (!value && is_json)
        value = js_parse(data, n, error, sizeof(error));
    if (!value && !memchr(data, 0, n))
        value = js_from_text(data, n);
    if (value) {
        js_set(object, "data", value);
        return;
    }
    text_base64(data, n, &text);
    js_set_text(object, "data_base64", buf_str(&text));
    buf_fini(&text);
}

static struct json *cost_json(int64_t micros, const char *currency, const char *kind)
{
    if (micros == INT64_MIN)
        return js_null();
    struct json *cost = js_set_int(js_object(), "micros", micros);
    set_or_null(cost, "currency", currency);
    set_or_null(cost, "kind", kind);
    return cost;
}

/* What a person said became of it. */
static void set_verdict(struct json *o, const struct ledger_row *row)
{
    char error[64];
    struct json *said =
                    js_parse(row->verdict, strlen(row->verdict), error, sizeof(error)),
                *verdict = js_object();

    js_set_text(verdict, "as", js_text(said, "as", NULL));
    js_set_text(verdict, "note", js_text(said, "note", NULL));
    js_set_text(verdict, "actor", js_text(said, "actor", NULL));
    set_time(verdict, "timestamp", row->verdict_us);
    js_set(o, "resolved", verdict);
    js_free(said);
}

struct json *ledger_row_json(const struct ledger_row *row)
{
    struct json *o = js_object();

    set_or_null(o, "id", row->id_text);
    js_set_text(o, "type", row->type);
    js_set_text(o, "kind", row->kind);
    js_set_text(o, "status", status_name(row->status));
    set_or_null(o, "service", row->service);
    set_time(o, "timestamp", row->timestamp_us);
    set_time(o, "time", row->time_us);
    set_or_null(o, "key", row->key);
    set_or_null(o, "cause", row->cause);
    set_or_null(o, "error_class", row->error_class);
    set_or_null(o, "error_msg", row->error_msg);
    js_set_int(o, "attempt", row->attempt);
    js_set(o, "cost", cost_json(row->cost_micros, row->cost_currency, row->cost_kind));
    set_data(o, row->data, row->data_len, row->data_is_json);
    js_set_text(o, "integration", row->integration);
    js_set_text(o, "source", row->source);
    js_set_text(o, "subject", row->subject);
    js_set_text(o, "datacontenttype", row->datacontenttype);
    js_set_text(o, "traceparent", row->traceparent);
    js_set_text(o, "endpoint", row->endpoint);
    if (row->is_weak)
        js_set_bool(o, "weak", true);
    if (row->is_found) {
        js_set_bool(o, "found", true);
        js_set_text(o, "event_id", row->event_id);
    }
    if (row->unconsumed)
        js_set_bool(o, "unconsumed", true);
    if (row->settled_us)
        set_time(o, "settled", row->settled_us);
    if (row->deadline_us && row->status == STATUS_PENDING)
        set_time(o, "deadline", row->deadline_us);
    js_set_text(o, "redrive", row->redrive);
    if (row->verdict)
        set_verdict(o, row);
    return o;
}

struct json *ledger_outcome_json(const struct ledger_row *row)
{
    const struct record *r = row->outcome;
    char id[ID_TEXT_SIZE];

    if (!r)
        return NULL;
    _free_ char *type = mem_copy(record_type(r), r->type_len);
    struct json *o = js_object();
    int64_t known;
    id_format(r->id, id);
    js_set_text(o, "id", id);
    js_set_text(o, "type", type);
    js_set_text(o, "kind", "outcome");
    js_set_text(o, "status", status_name(r->status));
    set_or_null(o, "service", row->service);
    set_time(o, "timestamp", row->settled_us);
    set_or_null(o, "cause", row->id_text);
    set_or_null(o, "error_class", row->error_class);
    set_or_null(o, "error_msg", row->error_msg);
    js_set_int(o, "attempt", row->attempt);
    js_set(o, "cost", cost_json(row->cost_micros, row->cost_currency, row->cost_kind));
    set_data(o, record_data(r), r->data_len, r->flags & RECORD_JSON);
    if (r->flags & RECORD_BY_BROKER)
        js_set_bool(o, "by_broker", true);
    if (attrs_find_int(record_attrs(r), r->attr_len, ATTR_KNOWN, &known))
        js_set_int(o, "known", known);
    return o;
}
