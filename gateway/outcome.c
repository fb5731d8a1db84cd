/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/outcome.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"
#include "proto/record.h"

static void set_attrs(struct json *body, const struct record *outcome)
{
    const enum attr texts[] = {ATTR_ERROR_MSG, ATTR_CURRENCY, ATTR_COST_KIND,
                               ATTR_SERVICE};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _free_ char *text =
            attrs_copy_text(record_attrs(outcome), outcome->attr_len, texts[i]);
        js_set_text(body, attr_name(texts[i]), text);
    }
    const enum attr numbers[] = {ATTR_COST, ATTR_KNOWN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int64_t number;
        if (attrs_find_int(record_attrs(outcome), outcome->attr_len, numbers[i], &number))
            js_set_int(body, attr_name(numbers[i]), number);
    }
}

static void set_data(struct json *body, const struct record *outcome)
{
    const char *bytes = (const char *)record_data(outcome);
    struct json *data = NULL;
    if (outcome->data_len == 0)
        return;
    if (outcome->flags & RECORD_JSON)
        data = js_parse(bytes, outcome->data_len, (char[64]){0}, 64);
    if (!data && !memchr(bytes, 0, outcome->data_len))
        data = js_from_text(bytes, outcome->data_len);
    if (data) {
        js_set(body, "data", data);
        return;
    }
    struct buf encoded = {0};
    text_base64(record_data(outcome), outcome->data_len, &encoded);
    js_set_text(body, "data_base64", buf_str(&encoded));
    buf_fini(&encoded);
}

/* The outcome of the request `id` as a caller sees it. */
static struct json *outcome_json(const uint8_t id[16], const struct record *outcome,
                                 uint64_t timestamp_us)
{
    char text[ID_TEXT_SIZE], time[TEXT_TIME_SIZE];
    _free_ char *type = mem_copy(record_type(outcome), outcome->type_len);
    struct json *body = js_object();
    id_format(id, text);
    js_set_text(body, "id", text);
    js_set_text(body, "status", status_name(outcome->status));
    js_set_text(body, "type", type);
    text_time(timestamp_us, time);
    js_set_text(body, "timestamp", timestamp_us ? time : NULL);
    js_set_int(body, "attempt", outcome->attempt);
    set_attrs(body, outcome);
    set_data(body, outcome);
    return body;
}

void outcome_reply(struct http_request *request, const uint8_t id[16],
                   const struct record *outcome, uint64_t timestamp_us)
{
    struct json *body = outcome_json(id, outcome, timestamp_us);
    if (outcome->status == STATUS_SUCCESS) {
        answer_json(request, 200, body, NULL);
        return;
    }
    /* `type` and `status` are the problem's own: the outcome's stand beside them. */
    js_set(body, "event_type", js_copy(js_get(body, "type")));
    js_set_text(body, "outcome", status_name(outcome->status));
    js_set_text(body, "error_class", class_name(outcome->error_class)); /* as rows */
    js_set_text(body, "class", class_name(outcome->error_class));
    js_set_text(body, "class_meaning", class_sentence(outcome->error_class));
    _free_ char *why = mem_text(js_text(body, "error_msg", NULL));
    problem_reply_with(request, ERR_call_failed, why, 0, body);
}

void outcome_reply_running(struct http_request *request, const uint8_t id[16])
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    _free_ char *location = mem_format("/v1/events/%s", text);
    struct json *body = js_object();
    js_set_text(body, "id", text);
    js_set_text(body, "status", status_name(STATUS_PENDING));
    answer_json(request, 202, body, location);
}
