/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cloudevent.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/server.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum { NAME_SIZE = 65 };

/* The names in CloudEvents (lower-case letters and digits) of what a record's map holds.
 * The id is set apart. */
static const char *const names[ATTR_COUNT] = {
    [ATTR_SOURCE] = "source",
    [ATTR_SUBJECT] = "subject",
    [ATTR_CONTENT_TYPE] = "datacontenttype",
    [ATTR_SCHEMA] = "dataschema",
    [ATTR_KEY] = "partitionkey",
    [ATTR_TRACEPARENT] = "traceparent",
    [ATTR_TRACESTATE] = "tracestate",
    [ATTR_SERVICE] = "service",
    [ATTR_ERROR_MSG] = "errormsg",
    [ATTR_COST] = "cost",
    [ATTR_CURRENCY] = "costcurrency",
    [ATTR_COST_KIND] = "costkind",
    [ATTR_IDEMPOTENCY_KEY] = "idempotencykey",
    [ATTR_CAUSE_TEXT] = "cause",
    [ATTR_CURSOR] = "cursor",
    [ATTR_MORE] = "more",
    [ATTR_ENDPOINT] = "endpoint",
    [ATTR_SCHEDULE] = "schedule",
    [ATTR_ACTOR] = "actor",
    [ATTR_WEAK] = "weak",
};

/* What is set beside these, here and by whoever lends or streams an event; of the words
 * of live topics (proto/README.md) those that a name of CloudEvents can have. */
static const char *const others[] = {
    "kind",         "status", "timestamp",  "attempt",         "errorclass",
    "recordedtime", "lease",  "leaseuntil", "deliveryattempt", "seq",
    "block",        "index",  "data",
};

bool cloudevent_is_ours(const char *name)
{
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (!strcmp(name, others[i]))
            return true;
    for (size_t i = ATTR_SERVICE; i < ATTR_COUNT; i++)
        if (names[i] && !strcmp(name, names[i]))
            return true;
    return false;
}

bool cloudevent_is_json(const char *type)
{
    size_t n = type ? strcspn(type, "; \t") : 0;
    return n >= 5 && (!strncasecmp(type + n - 5, "/json", 5) ||
                      !strncasecmp(type + n - 5, "+json", 5));
}

/* CloudEvents' Integer has 32 bits: what has more goes as text. */
static void set_number(struct json *event, const char *name, int64_t number)
{
    char text[24];
    if (number >= INT32_MIN && number <= INT32_MAX) {
        js_set_int(event, name, number);
        return;
    }
    snprintf(text, sizeof(text), "%" PRId64, number);
    js_set_text(event, name, text);
}

static bool take_attr(void *user, const struct attr_value *v)
{
    struct json *event = user;
    char own[NAME_SIZE];
    const char *name = v->attr < ATTR_COUNT ? names[v->attr] : NULL;
    if (!v->attr && v->name_len < NAME_SIZE) { /* an extension, under its own name */
        memcpy(own, v->name, v->name_len);
        own[v->name_len] = 0;
        name = own;
    }
    if (!name)
        return true;
    if (v->type == ATTR_IS_TEXT) {
        struct json *text = js_from_text(v->text, v->text_len);
        if (text)
            js_set(event, name, text);
    } else if (v->type == ATTR_IS_INT) {
        set_number(event, name, v->number);
    } else if (v->type == ATTR_IS_BOOL) {
        js_set_bool(event, name, v->number);
    }
    return true;
}

static void set_time(struct json *event, const char *name, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];
    text_time(time_us, text);
    js_set_text(event, name, time_us ? text : NULL);
}

static void set_data(struct json *event, const struct record *r)
{
    const char *bytes = (const char *)record_data(r),
               *type = js_text(event, "datacontenttype", NULL);
    struct json *data = NULL;
    if (r->data_len == 0)
        return;
    if (r->flags & RECORD_JSON) {
        data = js_parse(bytes, r->data_len, (char[64]){0}, 64);
        if (data && !type)
            js_set_text(event, "datacontenttype", "application/json");
    } else if (/* of a JSON type a text would read as JSON's own */
               !memchr(bytes, 0, r->data_len) && !cloudevent_is_json(type)) {
        data = js_from_text(bytes, r->data_len);
        if (data && !type)
            js_set_text(event, "datacontenttype", "text/plain");
    }
    if (data) {
        js_set(event, "data", data);
        return;
    }
    struct buf encoded = {0};
    text_base64(record_data(r), r->data_len, &encoded);
    js_set_text(event, "data_base64", buf_str(&encoded));
    buf_fini(&encoded);
}

static void set_id(struct json *event, const struct record *r)
{
    char uuid[ID_TEXT_SIZE];
    _free_ char *foreign = r->flags & RECORD_FOREIGN_ID
                               ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID)
                               : NULL;
    id_format(r->id, uuid);
    js_set_text(event, "id", foreign ? foreign : uuid);
}

static void set_cause(struct json *event, const struct record *r, const char *said)
{
    char uuid[ID_TEXT_SIZE];
    if (!said && js_text(event, "cause", NULL))
        return; /* its own attribute: a foreign id */
    id_format(r->cause, uuid);
    js_set_text(event, "cause", said ? said : id_is_zero(r->cause) ? NULL : uuid);
}

struct json *cloudevent_json(const struct record *r,
                             const struct cloudevent_around *around)
{
    struct json *event = js_set_text(js_object(), "specversion", "1.0");
    const char
        *why; /* what does not read is left out; the log's checksum says it came so */
    _free_ char *type = mem_copy(record_type(r), r->type_len);
    _free_ char *source =
        mem_format("/integrations/%s", around->integration ? around->integration : "");
    set_id(event, r);
    js_set_text(event, "source", around->integration ? source : "/signalbox");
    js_set_text(event, "type", type);
    set_time(event, "time", r->time_us ? r->time_us : around->timestamp_us);
    js_set_text(event, "service", around->service);
    attrs_walk(record_attrs(r), r->attr_len, take_attr, event, &why);
    js_set_text(event, "integration", around->integration);
    js_set_text(event, "kind", kind_name(r->kind));
    js_set_text(event, "status", status_name(r->status));
    js_set_text(event, "errorclass", r->error_class ? class_name(r->error_class) : NULL);
    if (r->attempt)
        js_set_int(event, "attempt", r->attempt);
    set_cause(event, r, around->cause);
    set_time(event, "recordedtime", around->timestamp_us);
    set_data(event, r);
    return event;
}

bool cloudevent_is_accepted(const struct http_request *request, const char *type)
{
    const char *accept = http_header(request, "Accept");
    size_t n = strlen(type);
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        if (!strncasecmp(accept, type, n) && (!accept[n] || strchr(",; \t", accept[n])))
            return true;
        accept += strcspn(accept, ",");
    }
    return false;
}
