/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/result.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const char *const kinds[] = {
    [RESULT_ACK] = "ack",
    [RESULT_RETRY] = "retry",
    [RESULT_FAIL] = "fail",
    [RESULT_EXTEND] = "extend",
};

static bool read_kind(const char *text, enum result_kind *ret)
{
    for (size_t i = 0; text && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(text, kinds[i])) {
            *ret = (enum result_kind)i;
            return true;
        }
    return false;
}

static bool is_member(const char *name)
{
    static const char *const names[] = {"lease", "id", "result", "after", "error", NULL};
    size_t i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    return names[i] != NULL;
}

/* Is every member one that counts? A misspelt reason would be lost. */
static bool has_known_members(const struct json *one)
{
    void *cursor = NULL;
    const char *name;
    do {
        if (js_next(one, &cursor, &name) && !is_member(name))
            return false;
    } while (cursor);
    return true;
}

/* NULL or what is wrong. */
static const char *read_one(const struct json *one, struct result *ret)
{
    *ret = (struct result){.lease = js_text(one, "lease", NULL),
                           .id = js_text(one, "id", NULL),
                           .error = js_text(one, "error", NULL)};
    const struct json *after = js_get(one, "after");
    if (!js_is_object(one) || !has_known_members(one))
        return "a result has `lease` or `id`, `result`, `after` and `error`, and no more";
    if (!ret->lease == !ret->id)
        return "say either `lease` or `id`";
    if (!read_kind(js_text(one, "result", NULL), &ret->kind))
        return "`result` is ack, retry, fail or extend";
    if (after && (!js_is_text(after) ||
                  !text_parse_duration(js_text(after, NULL, ""), &ret->after_us)))
        return "`after` is a duration, such as \"30s\"";
    if (after && ret->kind != RESULT_RETRY && ret->kind != RESULT_EXTEND)
        return "`after` belongs to retry and extend";
    if (js_get(one, "error") && !ret->error)
        return "`error` is a text";
    if (ret->error && strlen(ret->error) > RESULT_ERROR_MAX)
        return "`error` has at most 1,000 bytes";
    return NULL;
}

bool results_read(const struct json *list, struct result *ret, size_t max, size_t *ret_n,
                  char *why, size_t why_size)
{
    size_t n = js_count(list);
    if (!js_is_array(list) || n > max) {
        snprintf(why, why_size, "expected a list of at most %zu results", max);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *wrong = read_one(js_at(list, i), &ret[i]);
        if (wrong) {
            snprintf(why, why_size, "result %zu: %s", i, wrong);
            return false;
        }
    }
    *ret_n = n;
    return true;
}

static void write_ack(const struct result *result, struct position at, struct buf *out)
{
    bool is_failed = result->kind == RESULT_FAIL;
    const char *said = result->error ? result->error : "the consumer said it failed";
    struct control_ack data = {.first = at.index,
                               .count = 1,
                               .result = is_failed ? STATUS_FAILED : STATUS_SUCCESS,
                               .block = at.block};
    struct buf attrs = {0};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, is_failed ? said : NULL);
    struct record_parts parts = {.kind = RECORD_ACK,
                                 .error_class = is_failed ? CLASS_permanent : CLASS_none,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    record_add(out, &parts); /* bounded: cannot be over a limit */
    buf_fini(&attrs);
}

static void write_retry(struct position at, uint64_t after_us, bool counts,
                        const char *error, struct buf *out)
{
    struct control_retry data = {
        .block = at.block, .index = at.index, .due_us = after_us, .attempts = counts};
    struct buf attrs = {0};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, error);
    struct record_parts parts = {.kind = RECORD_RETRY,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    record_add(out, &parts); /* bounded: cannot be over a limit */
    buf_fini(&attrs);
}

void result_write(const struct result *result, struct position at, struct buf *out)
{
    if (result->kind == RESULT_RETRY)
        write_retry(at, result->after_us, /* counts= */ true,
                    result->error ? result->error
                                  : "the consumer asked for another attempt",
                    out);
    else
        write_ack(result, at, out);
}

void result_give_back(struct buf *out, struct position at, bool counts)
{
    if (counts)
        write_retry(at, 0, true, "nobody answered for it within its visibility time",
                    out);
    else
        write_retry(at, 1, false, "the gateway stopped", out);
}
