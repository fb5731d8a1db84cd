/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a document says, of what is declared and of what was seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "case.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

static void is_in(struct buf *text, const char *part)
{
    if (!strstr(buf_str(text), part))
        fail_msg("expected %s in\n%s", part, buf_str(text));
}

static void is_not_in(struct buf *text, const char *part)
{
    if (strstr(buf_str(text), part))
        fail_msg("did not expect %s in\n%s", part, buf_str(text));
}

static void write_it(const struct case_world *w, struct buf *out)
{
    buf_clear(out);
    document_write(&w->document, DOCUMENT_MARKDOWN, out);
}

static void the_six_sections_stand_in_their_order(void **state)
{
    static const char *const titles[] = {
        "\n## Integration Pattern\n", "\n## Authentication Method\n",
        "\n## Event Catalogue\n",     "\n## Failure Modes\n",
        "\n## Testing Protocol\n",    "\n## Cost Model\n"};
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    for (size_t index = 0; index < 2; index++) {
        case_open(&w, case_yaml, index, index == 0 ? case_manifest : NULL);
        write_it(&w, &out);
        const char *at = buf_str(&out);
        for (size_t i = 0; i < 6; i++) {
            assert_non_null(at = strstr(at, titles[i]));
            at++;
        }
        assert_null(strstr(strstr(buf_str(&out), titles[5]) + 3, "\n## "));
        case_close(&w);
    }
    buf_fini(&out);
}

static void the_three_questions_are_answered_at_once(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    case_cost(&w, "pay.charge", "USD", 100, 30000000);
    write_it(&w, &out);
    is_in(&out, "at most 5 times and for 2h");
    is_in(&out, "`charge`: keep the order; `refund`: tell support");
    is_in(&out, "`api_key` is in the vault, entry `shop_key` and has to change by "
                "2026-04-01.");
    is_in(&out, "Whom to ask: pay@example.com.");
    is_in(&out,
          "900.00 USD in 30 days for 3000 calls, ten times what was seen; 30.00 USD "
          "a day is within the budget");
    case_close(&w);
    buf_fini(&out);
}

static void traffic_is_held_against_budget_and_rate(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    case_cost(&w, "pay.charge", "USD", 1000, 300000000);
    w.seen.peak_calls = 30;
    write_it(&w, &out);
    is_in(&out, "| as it was | 3000 | 900.00 USD | 30.00 USD a day is within the budget; "
                "within the rate of 1 a second |");
    is_in(&out,
          "| 10 times as much | 30000 | 9000.00 USD | 300.00 USD a day is above the "
          "budget");
    is_in(&out,
          "the busiest minute needs 5.0 calls a second, the rate allows 1: they wait");
    is_in(&out, "| 100 times as much | 300000 | 90000.00 USD |");
    case_close(&w);
    buf_fini(&out);
}

static void before_anything_was_seen_the_model_is_multiplied(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    w.document.seen = NULL;
    w.document.secret = NULL;
    write_it(&w, &out);
    is_in(&out, "| `charge` | 300.00 USD | 3000.00 USD | 30000.00 USD |");
    is_not_in(&out, "Seen |");
    is_not_in(&out, "2026-");
    is_in(&out, "has to change every 90d.");
    case_close(&w);
    buf_fini(&out);
}

static void the_catalogue_tells_transitions_takers_and_counts(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    case_event(&w, "pay.charge.requested", RECORD_REQUEST, 7, 2, CLASS_permanent);
    case_event(&w, "shop.other", RECORD_FACT, 3, 0, CLASS_none);
    write_it(&w, &out);
    is_in(&out,
          "| `pay.charge.requested` | Take a payment | order: unpaid -> paid; "
          "`pay.charge.succeeded` | order: unpaid -> refused; `pay.charge.failed` | "
          "yes, under one idempotency key | `billing` | 7: 5 succeeded, 2 failed; "
          "last 2026-01-02 |");
    is_in(&out, "| `order.paid` | `pay.order.paid` | order: pending -> paid | nobody |");
    is_in(&out, "### Seen, but not declared");
    is_in(&out, "| `shop.other` | nobody | 3; last 2026-01-02 |");
    is_in(&out, "| card refused | permanent: refused | another card | 2 of class "
                "`permanent` |");
    case_close(&w);
    buf_fini(&out);
}

static void the_last_test_and_what_it_was_of_are_told(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    write_it(&w, &out);
    is_in(&out, "It was not tested yet");
    case_tested(&w, 3, 1);
    write_it(&w, &out);
    is_in(&out, "Last run: 2026-01-02T00:00Z, 3 cases passed, 1 failed; of what is in "
                "force now.");
    is_in(&out, "- failed: `charge`, 429: Success");
    is_in(&out, "| FAILED: 3 of 4 cases passed |");
    js_set_text(w.seen.tested, "stamp", "another");
    write_it(&w, &out);
    is_in(&out, "have changed since");
    case_close(&w);
    buf_fini(&out);
}

static void the_stamp_is_another_one_after_a_change_only(void **state)
{
    struct case_world w;
    char before[DOCUMENT_STAMP_SIZE], after[DOCUMENT_STAMP_SIZE];

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    document_stamp(&w.document, before);
    document_stamp(&w.document, after);
    assert_string_equal(before, after);
    js_set_text(w.manifest, "version", "2");
    document_stamp(&w.document, after);
    assert_string_not_equal(before, after);
    case_close(&w);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    struct case_world w;
    struct buf first = BUF_NULL, second = BUF_NULL;

    (void)state;
    for (enum document_format format = DOCUMENT_MARKDOWN; format <= DOCUMENT_HTML;
         format++) {
        case_open(&w, case_yaml, 0, case_manifest);
        case_event(&w, "pay.charge.requested", RECORD_REQUEST, 7, 2, CLASS_permanent);
        buf_clear(&first);
        buf_clear(&second);
        document_write(&w.document, format, &first);
        document_write(&w.document, format, &second);
        assert_string_equal(buf_str(&first), buf_str(&second));
        case_close(&w);
    }
    buf_fini(&first);
    buf_fini(&second);
}

static void what_is_foreign_is_no_markup(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    document_write(&w.document, DOCUMENT_HTML, &out);
    is_in(&out, "because bills &lt;must&gt; not wait.");
    is_in(&out, ">Shop|Pay</text>");
    buf_clear(&out);
    document_write(&w.document, DOCUMENT_MARKDOWN, &out);
    is_in(&out, "# Integration Architecture Document: Shop\\|Pay\n");
    case_close(&w);
    buf_fini(&out);
}

static void a_credential_in_a_file_is_not_said_to_be_the_vaults(void **state)
{
    static const char vaults[] = "vault:shop_key";
    const char *at = strstr(case_yaml, vaults);
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    _free_ char *yaml = mem_format("%.*sfile:shop.key%s", (int)(at - case_yaml),
                                   case_yaml, at + strlen(vaults));
    case_open(&w, yaml, 0, case_manifest);
    write_it(&w, &out);
    is_in(&out, "A credential in a file is as safe as the file");
    case_close(&w);
    case_open(&w, case_yaml, 0, case_manifest);
    write_it(&w, &out);
    is_not_in(&out, "A credential in a file");
    case_close(&w);
    buf_fini(&out);
}

/* Only what a poll files as webhooks bring it is a way back. */
static void what_becomes_of_a_lost_webhook_is_said_as_it_is(void **state)
{
#define SHOP                                                                             \
    "integrations:\n  shop:\n    connector: t\n    webhooks:\n"                          \
    "      - { path: shop, scheme: github, secrets: [vault:x] }\n"
#define POLL(more)                                                                       \
    "{\"name\":\"t\",\"version\":\"1\",\"operations\":[{\"name\":\"list\","              \
    "\"repeat\":\"safe\",\"is_poll\":true" more "}],\"webhooks\":[],\"publishes\":[]}"
    static const char scheduled[] =
        SHOP "    schedules: [{ operation: list, every: 1m }]\n",
                      with_option[] =
                          SHOP "    options: { poll_type: type }\n"
                               "    schedules: [{ operation: list, every: 1m }]\n";
    static const struct {
        const char *yaml, *manifest, *said; /* NULL: nothing of it */
    } cases[] = {
        {scheduled, POLL(",\"finds\":\"always\""), "comes by the poll `list`"},
        {SHOP, POLL(",\"finds\":\"always\""), "it is not scheduled"},
        {scheduled, POLL(",\"finds\":\"poll_type\""), "with the option `poll_type`"},
        {with_option, POLL(",\"finds\":\"poll_type\""), "comes by the poll `list`"},
        {scheduled, POLL(""), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct case_world w;
        struct buf out = BUF_NULL;
        case_open(&w, cases[i].yaml, 0, cases[i].manifest);
        write_it(&w, &out);
        if (cases[i].said)
            is_in(&out, cases[i].said);
        else
            is_not_in(&out, "got lost");
        case_close(&w);
        buf_fini(&out);
    }
}

static void webhooks_alone_are_a_document_too(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 1, NULL);
    case_event(&w, "plain.order.made", RECORD_FACT, 4, 0, CLASS_none);
    write_it(&w, &out);
    is_in(&out, "Webhooks only: no connector stands behind it");
    is_in(&out, "| `plain.order.>` | events of the service as they came, each a fact | "
                "`billing` | below |");
    is_in(&out, "| `plain.order.made` | `billing` | 4; last 2026-01-02 |");
    is_in(&out, "Receiving webhooks costs nothing at plain");
    case_close(&w);
    buf_fini(&out);
}

static void a_weak_endpoint_is_said_to_be_one_where_its_events_stand(void **state)
{
    static const char yaml[] =
        "integrations:\n"
        "  mail:\n"
        "    webhooks:\n"
        "      - { path: mail, scheme: mailgun, secrets: [vault:mail_hook], accept_weak: "
        "opens only }\n"
        "  plain:\n"
        "    webhooks:\n"
        "      - { path: plain, scheme: stripe, secrets: [vault:plain_hook] }\n";
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, yaml, 0, NULL);
    write_it(&w, &out);
    is_in(&out, "What comes through the endpoint `mail` is `weak`, and stands so in the "
                "log: scheme `mailgun` does not prove the body. Accepted because opens "
                "only.");
    is_in(&out, "signs too little; accepted because opens only");
    case_close(&w);
    buf_clear(&out);
    case_open(&w, yaml, 1, NULL);
    write_it(&w, &out);
    assert_null(strstr(buf_str(&out), "weak"));
    case_close(&w);
    buf_fini(&out);
}

static void a_manifest_of_several_providers_is_cut_to_the_one(void **state)
{
    static const char text[] =
        "{\"name\":\"pay\",\"operations\":[],\"providers\":[{\"name\":\"a\","
        "\"operations\":[{\"name\":\"x\"}]},{\"name\":\"b\",\"operations\":[{\"name\":"
        "\"y\"}]}]}";
    struct config_integration in = {.provider = (char *)(uintptr_t) "b"};
    char error[100];
    struct json *all = js_parse(text, strlen(text), error, sizeof(error)),
                *own = document_manifest(all, &in);

    (void)state;
    assert_string_equal(js_text(own, "operations.0.name", ""), "y");
    assert_string_equal(js_text(own, "provider", ""), "b");
    js_free(own);
    in.provider = (char *)(uintptr_t) "c";
    assert_null(document_manifest(all, &in));
    in.provider = NULL; /* which one is not said */
    assert_null(document_manifest(all, &in));
    js_free(all);
}

static void behind_a_door_nothing_is_said_to_be_tried_again(void **state)
{
    struct case_world w;
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w, case_yaml, 0, case_manifest);
    free(w.config->integrations[0].connector);
    w.config->integrations[0].connector = mem_text("proxy");
    write_it(&w, &out);
    is_in(&out, "signalbox tries nothing again");
    is_not_in(&out, "tried again after growing pauses");
    is_not_in(&out, "simulate --all");
    case_close(&w);
    buf_fini(&out);
}

static void the_index_leads_to_all(void **state)
{
    struct case_world w[2];
    struct document both[2];
    struct buf out = BUF_NULL;

    (void)state;
    case_open(&w[0], case_yaml, 0, case_manifest);
    case_open(&w[1], case_yaml, 1, NULL);
    case_event(&w[0], "pay.charge.requested", RECORD_REQUEST, 7, 2, CLASS_permanent);
    both[0] = w[0].document;
    both[1] = w[1].document;
    document_index(both, 2, DOCUMENT_MARKDOWN, &out);
    is_in(&out,
          "| [Shop\\|Pay](shop.md) | `shop` | pay | webhook | pay@example.com | 7 | "
          "2 |");
    is_in(&out, "| [plain](plain.md) | `plain` | webhooks only | not stated | nobody is "
                "named | 0 | 0 |");
    case_close(&w[0]);
    case_close(&w[1]);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_six_sections_stand_in_their_order),
        cmocka_unit_test(the_three_questions_are_answered_at_once),
        cmocka_unit_test(traffic_is_held_against_budget_and_rate),
        cmocka_unit_test(before_anything_was_seen_the_model_is_multiplied),
        cmocka_unit_test(the_catalogue_tells_transitions_takers_and_counts),
        cmocka_unit_test(the_last_test_and_what_it_was_of_are_told),
        cmocka_unit_test(the_stamp_is_another_one_after_a_change_only),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(what_is_foreign_is_no_markup),
        cmocka_unit_test(a_credential_in_a_file_is_not_said_to_be_the_vaults),
        cmocka_unit_test(what_becomes_of_a_lost_webhook_is_said_as_it_is),
        cmocka_unit_test(webhooks_alone_are_a_document_too),
        cmocka_unit_test(a_weak_endpoint_is_said_to_be_one_where_its_events_stand),
        cmocka_unit_test(a_manifest_of_several_providers_is_cut_to_the_one),
        cmocka_unit_test(the_index_leads_to_all),
        cmocka_unit_test(behind_a_door_nothing_is_said_to_be_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
