/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* requests - prints what a connector would send: {"spec","method","url","body"} a line */
#pragma once
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/sdk/call.h"

struct input {
    const struct integration *integration;
    const char *spec; /* the description it is held against: "sendgrid" */
    const char *type, *data;
};

static inline int print_call(const struct input *input, bool in_doubt)
{
    struct buf record = BUF_NULL, line = BUF_NULL;
    const uint8_t id[16] = {1};
    struct http_call_options http;

    record_add(&record, &(struct record_parts){.kind = RECORD_REQUEST,
                                               .flags = RECORD_JSON,
                                               .type = input->type,
                                               .id = id,
                                               .data = input->data,
                                               .data_len = strlen(input->data)});
    struct call *call = call_new(input->integration, (const struct record *)record.bytes,
                                 (struct position){1, 0}, 0, 1, in_doubt);
    bool is_made = call_begin(call, 0);
    if (is_made) {
        call_http(call, &http);
        struct json *out = js_set_text(js_object(), "spec", input->spec);
        js_set_text(js_set_text(out, "method", http.method), "url", http.url);
        js_set(out, "body", js_from_text(http.body ? http.body : "", http.body_len));
        js_write(out, 0, &line);
        puts(buf_str(&line));
        js_free(out);
    } else {
        fprintf(stderr, "%s %s: %s\n", input->type, input->data, call_message(call));
    }
    call_free(call);
    buf_fini(&record);
    buf_fini(&line);
    return is_made ? 0 : 1;
}

static inline int print_request(const struct input *input)
{
    return print_call(input, /* in_doubt= */ false);
}

/* What is asked where an earlier delivery may have had its effect. */
static inline int print_lookup(const struct input *input)
{
    return print_call(input, /* in_doubt= */ true);
}
