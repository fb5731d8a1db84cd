/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the payment connector would send: {"method","url","body"} a line. */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/sdk/call.h"

int payment_main(int argc, char **argv);
#define main payment_main
#include "connectors/payment/payment.c"
#undef main

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "sk_test_fake0123456789";
}

static const struct integration integration = {.connector = &payment,
                                               .provider = providers,
                                               .name = "stripe",
                                               .mode = "test",
                                               .base_url = "https://api.stripe.com",
                                               .secret = secret};

static const struct {
    const char *type, *data;
    bool is_late; /* past the key's lifetime: the lookup */
} inputs[] = {
    {"payment.charge.requested",
     "{\"amount\":2000,\"currency\":\"USD\",\"payment_method\":\"pm_card_visa\"}", false},
    {"payment.charge.requested",
     "{\"amount\":1,\"currency\":\"jpy\",\"customer\":\"cus_"
     "1\",\"description\":\"a & b\","
     "\"receipt_email\":\"a@example.com\",\"metadata\":{"
     "\"order id\":\"6 & \\u00fc\",\"[x]\":\"y\"}}",
     false},
    {"payment.refund.requested",
     "{\"charge\":\"ch_1\",\"amount\":500,\"reason\":"
     "\"duplicate\",\"metadata\":{\"a\":\"b\"}}",
     false},
    {"payment.refund.requested",
     "{\"payment_intent\":\"pi_1\",\"reason\":\"requested_by_customer\"}", false},
    {"payment.checkout.requested",
     "{\"amount\":500,\"currency\":\"EUR\",\"success_url\":\"https://a.example/ok\","
     "\"cancel_url\":\"https://a.example/no\"}",
     false},
    {"payment.checkout.requested",
     "{\"amount\":500,\"currency\":\"EUR\",\"success_url\":\"https://a.example/ok\","
     "\"cancel_url\":\"https://a.example/no?a=b&c=d\",\"description\":\"Order 17\","
     "\"reference\":\"17\",\"metadata\":{\"order\":\"17\"}}",
     false},
    {"payment.events.requested", "{}", false},
    {"payment.events.requested", "{\"cursor\":\"evt_1\"}", false},
    {"payment.charge.requested",
     "{\"amount\":2000,\"currency\":\"USD\",\"payment_method\":\"pm_card_visa\"}", true},
    {"payment.refund.requested", "{\"charge\":\"ch_1\"}", true},
    {"payment.refund.requested", "{\"payment_intent\":\"pi_1\"}", true},
};

static int print_request(const char *type, const char *data, bool is_late)
{
    struct buf record = BUF_NULL, line = BUF_NULL;
    const uint8_t id[16] = {1};
    struct http_call_options http;

    record_add(&record, &(struct record_parts){.kind = RECORD_REQUEST,
                                               .flags = RECORD_JSON,
                                               .type = type,
                                               .id = id,
                                               .data = data,
                                               .data_len = strlen(data)});
    struct call *call = call_new(&integration, (const struct record *)record.bytes,
                                 (struct position){1, 0}, 0, is_late ? 2 : 1, false);
    bool is_made = call_begin(call, is_late ? UINT64_C(86400000000) : 0);
    if (is_made) {
        call_http(call, &http);
        struct json *out = js_object();
        js_set_text(js_set_text(out, "method", http.method), "url", http.url);
        js_set(out, "body", js_from_text(http.body ? http.body : "", http.body_len));
        js_write(out, 0, &line);
        puts(buf_str(&line));
        js_free(out);
    } else {
        fprintf(stderr, "%s %s: %s\n", type, data, call_message(call));
    }
    call_free(call);
    buf_fini(&record);
    buf_fini(&line);
    return is_made ? 0 : 1;
}

int main(void)
{
    int refused = 0;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        refused += print_request(inputs[i].type, inputs[i].data, inputs[i].is_late);
    return refused ? 1 : 0;
}
