/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* trial - a connector's functions tried by tables: inputs that are refused, answers that
 * have a result */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

struct trial_refusal {
    const char *data, *fragment;
};
struct trial_answer {
    struct http_call answer;
    enum call_result result;
    enum record_class class;
    const char *fragment;
};

/* The most that one call of `operation` costs under the integration's options, by its
 * manifest; -1: it does not say. */
static inline int64_t trial_price_most(const struct integration *integration,
                                       const char *operation, const char *currency)
{
    struct buf text = BUF_NULL;
    char error[100];
    int64_t most = -1;

    manifest_write_for(integration, &text);
    struct json *manifest =
        js_parse((const char *)text.bytes, text.len, error, sizeof(error));
    const struct json *list = js_get(manifest, "operations");
    assert_true(js_count(list) > 0);
    for (size_t i = 0; i < js_count(list); i++)
        if (strcmp(js_text(js_at(list, i), "name", ""), operation) == 0 &&
            strcmp(js_text(js_at(list, i), "price_max.currency", ""), currency) == 0)
            most = js_int(js_at(list, i), "price_max.micros", -1);
    js_free(manifest);
    buf_fini(&text);
    return most;
}

/* The request that an event of `type` leads to: method, URL and body. */
static inline void trial_request(const struct integration *integration, const char *type,
                                 const char *data, const char *method, const char *url,
                                 const char *body)
{
    struct call *call =
        deliver(integration, (struct delivery){.type = type, .data = data});
    struct http_call_options o;

    if (!call_begin(call, NOW_US))
        fail_msg("%s: %s", data, call_message(call));
    call_http(call, &o);
    _free_ char *text = mem_copy(o.body ? o.body : "", o.body_len);
    assert_string_equal(o.method, method);
    assert_string_equal(o.url, url);
    assert_string_equal(text, body);
    call_free(call);
}

/* Each input fails before any call, for good, and says why. */
static inline void trial_refusals(const struct integration *integration, const char *type,
                                  const struct trial_refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct call *call =
            deliver(integration, (struct delivery){.type = type, .data = cases[i].data});
        assert_false(call_begin(call, NOW_US));
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: \"%s\" is not in: %s", i, cases[i].fragment,
                     call_message(call));
        call_free(call);
    }
}

/* The call that follows from `data`, with its answer. */
static inline struct call *trial_answered(const struct integration *integration,
                                          const char *type, const char *data,
                                          struct http_call answer)
{
    struct call *call =
        deliver(integration, (struct delivery){.type = type, .data = data});

    if (!call_begin(call, NOW_US))
        fail_msg("%s: %s", data, call_message(call));
    if (call_end(call, &answer, NOW_US)) /* looked up, and that does not tell */
        assert_false(call_end(call, &(struct http_call){.status = 403}, NOW_US));
    return call;
}

/* Each answer has its result, and no secret (`never`) is in what is said. */
static inline void trial_answers(const struct integration *integration, const char *type,
                                 const char *data, const struct trial_answer *cases,
                                 size_t n, const char *never)
{
    for (size_t i = 0; i < n; i++) {
        struct call *call = trial_answered(integration, type, data, cases[i].answer);
        if (call_result(call) != cases[i].result || call_class(call) != cases[i].class ||
            !strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: %d %s %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        assert_null(strstr(call_message(call), never));
        call_free(call);
    }
}

/* A webhook's outcome. */
static inline struct call *trial_webhook(const struct integration *integration,
                                         const char *type, const char *data)
{
    struct call *call =
        deliver(integration,
                (struct delivery){.type = type, .data = data, .flags = RECORD_WEBHOOK});

    assert_false(call_begin(call, NOW_US));
    return call;
}

/* A text of a success's data. */
static inline const char *trial_said(const struct call *call, const char *path)
{
    if (!call_outcome(call))
        fail_msg("no success: %s", call_message(call));
    return js_text(call_outcome(call)->data, path, "");
}
