/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The commands that read the log, over a log on disk that nobody has open. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "proto/attrs.h"
#include "tests/unit/ledger/maker.h"

const struct cli_command cli_commands[] = {{"log", "", "", cmd_log},
                                           {NULL, NULL, NULL, NULL}};

static char dir[64];

/* 1 succeeded after a retry, 2 failed with a text that would move a cursor, 3 pending. */
static void tell_story(void)
{
    _free_ char *data = mem_format("%s/data", dir);
    assert_int_equal(mkdir(data, 0700), 0);
    struct maker *m = maker_new_in(data);

    maker_integration(m, "stripe", "Stripe");
    struct position p =
        maker_request(m, 1, "payment.charge.requested", "stripe", "order-1");
    struct position q = maker_request(m, 2, "payment.charge.requested", "stripe", NULL);
    maker_request(m, 3, "payment.refund.requested", "stripe", NULL);
    maker_seal(m);
    maker_retry(m, "stripe", p, 1, "503 from provider");
    maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_outcome(m, 12, q, 2, CLASS_permanent, "declined\x1b[2J\nsecond line");
    maker_seal(m);
    maker_free(m);
}

/* A request of an integration whose manifest says this of the operation, with a key that
 * is this old; it failed, and its effect is not known. */
static void tell_unknown(struct maker *m, uint8_t id, const char *says,
                         uint64_t key_time_us)
{
    _free_ char *name = mem_format("bank-%u", id);
    _free_ char *manifest = mem_format(
        "{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\"%s}]}", says);
    struct buf attrs = BUF_NULL;
    uint8_t bytes[16];

    memset(bytes, id, 16);
    maker_integration(m, name, "Bank");
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "payment");
    maker_record(m, &(struct record_parts){.kind = RECORD_MANIFEST,
                                           .integration = integration_hash(name),
                                           .attrs = attrs.bytes,
                                           .attr_len = attrs.len,
                                           .data = manifest,
                                           .data_len = strlen(manifest)});
    attrs_begin(&attrs);
    if (key_time_us)
        attrs_int(&attrs, ATTR_CALL_KEY_TIME, (int64_t)key_time_us);
    struct position p =
        maker_record(m, &(struct record_parts){.kind = RECORD_REQUEST,
                                               .type = "payment.charge.requested",
                                               .id = bytes,
                                               .integration = integration_hash(name),
                                               .attrs = attrs.bytes,
                                               .attr_len = attrs.len});
    maker_outcome(m, (uint8_t)(id + 100), p, 1, CLASS_unknown, "no answer");
    buf_fini(&attrs);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_reading.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    _free_ char *path = mem_format("%s/signalbox.yaml", dir);
    FILE *f = fopen(path, "w");
    fputs("data: ./data\nrun: ./run\n", f);
    return fclose(f);
}

static int teardown(void **state)
{
    _free_ char *command = mem_format("rm -r %s", dir);

    (void)state;
    return system(command);
}

/* Run a command; what it printed is in `out`. */
static int run(cli_fn fn, struct buf *out, const char *words)
{
    _free_ char *path = mem_format("%s/signalbox.yaml", dir),
                *printed = mem_format("%s/stdout", dir);
    _free_ char *copy = mem_text(words);
    struct cli cli = {.config_path = path};
    char *argv[16];
    int argc = 0;

    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), file = open(printed, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(file, STDOUT_FILENO);
    int status = fn(&cli, argc, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    buf_clear(out);
    out->len = (size_t)pread(file, buf_reserve(out, 65536), 65536, 0);
    buf_str(out);
    close(file);
    config_free(cli.config);
    return status;
}

static void assert_says(struct buf *out, const char *words)
{
    if (!strstr(buf_str(out), words))
        fail_msg("expected \"%s\" in:\n%s", words, buf_str(out));
}

static void nothing_to_read_is_unreachable(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    assert_int_equal(run(cmd_log, &out, "log"), CLI_UNREACHABLE);
    assert_int_equal(run(cmd_audit, &out, "audit"), CLI_UNREACHABLE);
    assert_int_equal(run(cmd_trace, &out, "trace x"), CLI_UNREACHABLE);
    assert_string_equal(buf_str(&out), "");
    buf_fini(&out);
}

static void log_prints_rows_with_what_to_do_next(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log"), CLI_DONE);
    assert_says(&out,
                "SERVICE      EVENT_TYPE                     STATUS  TIMESTAMP       "
                "         ERROR_MSG");
    assert_says(&out, "Stripe       payment.charge.requested       Success "
                      "1970-01-01T00:00:01.000Z");
    assert_says(&out, "Failed  1970-01-01T00:00:01.000Z declined?[2J second line");
    assert_says(&out, "-> signalbox trace 02020202-0202-0202-0202-020202020202\n");
    assert_null(memchr(out.bytes, 0x1b, out.len));
    assert_int_equal(run(cmd_log, &out, "log --status pending --json"), CLI_DONE);
    assert_says(&out, "\"id\":\"03030303-0303-0303-0303-030303030303\"");
    assert_int_equal(strchr(buf_str(&out), '\n') - buf_str(&out),
                     (long)out.len - 1); /* one line */
    assert_int_equal(run(cmd_log, &out, "log --records --type payment.*.failed"),
                     CLI_DONE);
    assert_says(&out, "payment.charge.failed");
    assert_int_equal(
        run(cmd_log, &out, "log --records --cause 01010101-0101-0101-0101-010101010101"),
        CLI_DONE);
    assert_says(&out, "payment.charge.succeeded");
    buf_fini(&out);
}

static void csv_is_quoted_and_whole(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log --csv --status failed"), CLI_DONE);
    assert_says(&out, "service,event_type,status,timestamp,error_msg,id,kind,time,");
    assert_says(&out,
                "Stripe,payment.charge.requested,Failed,1970-01-01T00:00:01.000000Z,"
                "\"declined\x1b[2J\nsecond line\",02020202-");
    assert_says(&out, ",permanent,stripe,2,2900,USD,\n");
    buf_fini(&out);
}

static void pages_follow_each_other_by_cursor(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log --csv --limit 1 --cursor 1-3"), CLI_DONE);
    assert_says(&out, ",02020202-"); /* the integration is record 0 */
    assert_int_equal(run(cmd_log, &out, "log --csv --limit 1 --cursor 1-2"), CLI_DONE);
    assert_says(&out, ",01010101-");
    assert_int_equal(run(cmd_log, &out, "log --cursor x"), CLI_FAILED);
    buf_fini(&out);
}

static void a_range_goes_out_and_in_again_unchanged(void **state)
{
    _free_ char *out_of = mem_format("log export -o %s/range", dir),
                *into = mem_format("log import %s/range", dir),
                *config = mem_format("%s/other.yaml", dir);
    struct buf out = BUF_NULL, there = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, out_of), CLI_DONE);
    assert_int_equal(run(cmd_log, &out, out_of), CLI_FAILED); /* nothing is overwritten */
    assert_int_equal(run(cmd_log, &out, into), CLI_FAILED);   /* there is a log here */
    assert_int_equal(run(cmd_log, &there, "log verify"), CLI_DONE);
    FILE *f = fopen(config, "w");
    fprintf(f, "data: ./there\nrun: ./run2\n");
    fclose(f);
    _free_ char *in_there = mem_format("log import %s/range -c %s", dir, config),
                *check = mem_format("log verify -c %s", config),
                *rebuild = mem_format("log --rebuild-views -c %s", config),
                *list = mem_format("log --csv -c %s", config);
    assert_int_equal(run(cmd_log, &out, in_there), CLI_DONE);
    assert_int_equal(run(cmd_log, &out, check), CLI_DONE);
    assert_string_equal(buf_str(&out), buf_str(&there)); /* the same head */
    assert_int_equal(run(cmd_log, &out, rebuild), CLI_DONE);
    assert_int_equal(run(cmd_log, &out, list), CLI_DONE);
    assert_int_equal(run(cmd_log, &there, "log --csv"), CLI_DONE);
    assert_string_equal(buf_str(&out), buf_str(&there));
    buf_fini(&out);
    buf_fini(&there);
}

static void a_head_kept_elsewhere_is_found_or_missed(void **state)
{
    struct buf out = BUF_NULL;
    char head[65] = "";

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log verify"), CLI_DONE);
    assert_int_equal(sscanf(strstr(buf_str(&out), "\nhead "), " head %64s", head), 1);
    _free_ char *right = mem_format("log verify --head %s", head);
    assert_int_equal(run(cmd_log, &out, right), CLI_DONE);
    assert_says(&out, "the head you gave is that of block 2");
    head[7] = head[7] == '0' ? '1' : '0';
    _free_ char *wrong = mem_format("log verify --head %s", head);
    assert_int_equal(run(cmd_log, &out, wrong), CLI_FAILED);
    assert_says(&out, "no block has the head");
    assert_int_equal(run(cmd_log, &out, "log verify --head abc"), CLI_USAGE);
    buf_fini(&out);
}

static void summary_counts_by_service_type_and_class(void **state)
{
    _free_ char *views = mem_format("%s/data/log/views.mdb", dir);
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log --summary --json"), CLI_DONE);
    assert_says(&out,
                "{\"service\":\"Stripe\",\"event_type\":\"payment.charge.requested\","
                "\"seen\":2,\"success\":1,\"failed\":1,\"classes\":{\"permanent\":"
                "1}}\n");
    assert_int_equal(run(cmd_log, &out, "log --summary"), CLI_DONE);
    assert_says(&out, "payment.refund.requested");
    assert_int_equal(run(cmd_log, &out, "log --summary --since 1h --json"), CLI_DONE);
    assert_string_equal(buf_str(&out), "");
    unlink(views);
    assert_int_equal(run(cmd_log, &out, "log --summary"), CLI_FAILED);
    buf_fini(&out);
}

static void costs_are_summed_and_priced_by_configuration(void **state)
{
    _free_ char *data = mem_format("%s/data", dir),
                *config = mem_format("%s/signalbox.yaml", dir);
    struct buf out = BUF_NULL;

    (void)state;
    mkdir(data, 0700);
    struct maker *m = maker_new_in(data);
    maker_integration(m, "stripe", "Stripe");
    for (uint8_t n = 1; n <= 4; n++) {
        struct position at =
            maker_request(m, n, "payment.charge.requested", "stripe", NULL);
        if (n < 3)
            maker_outcome(m, (uint8_t)(10 + n), at, n, CLASS_none, NULL); /* 2900 each */
        else
            maker_free_outcome(m, (uint8_t)(10 + n), at, n, "stripe",
                               n == 3 ? CLASS_none : CLASS_permanent);
    }
    maker_seal(m);
    maker_free(m);
    FILE *f = fopen(config, "w");
    fputs("data: ./data\nrun: ./run\nintegrations:\n  stripe:\n    connector: payment\n"
          "    provider: stripe\n    secrets: { api_key: vault:k }\n"
          "    prices: { charge: [0.10 USD, 9.99 USD since 2000-01-01] }\n",
          f);
    fclose(f);
    assert_int_equal(run(cmd_cost, &out, "cost --json"), CLI_DONE);
    assert_says(&out, "{\"integration\":\"stripe\",\"currency\":null,\"calls\":1,"
                      "\"unpriced_calls\":1,"); /* one that failed has no price */
    assert_says(&out, "{\"integration\":\"stripe\",\"currency\":\"USD\",\"calls\":3,"
                      "\"unpriced_calls\":0,\"actual_micros\":0,"
                      "\"estimated_micros\":5800,"
                      "\"configured_micros\":100000,"); /* its day was before 2000 */
    assert_int_equal(run(cmd_cost, &out, "cost --by day"), CLI_DONE);
    assert_says(&out, "1970-01-01");
    assert_int_equal(run(cmd_cost, &out, "cost --by week"), CLI_USAGE);
    assert_int_equal(run(cmd_cost, &out, "cost --since 1h --json"), CLI_DONE);
    assert_string_equal(buf_str(&out), "");
    buf_fini(&out);
}

static void wrong_usage_is_2(void **state)
{
    static const char *const words[] = {"log --status wrong", "log --class exhaustd",
                                        "log --since never",  "log --limit 0",
                                        "log --limit x",      "log verfy",
                                        "log --nothing",      "log verify more",
                                        "log export",         "log import"};
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        assert_int_equal(run(cmd_log, &out, words[i]), CLI_USAGE);
    assert_int_equal(run(cmd_trace, &out, "trace"), CLI_USAGE);
    assert_int_equal(run(cmd_audit, &out, "audit more"), CLI_USAGE);
    buf_fini(&out);
}

static void verify_and_audit_of_a_good_log_are_0(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_log, &out, "log verify"), CLI_DONE);
    assert_says(&out, "up to block 2: good");
    assert_int_equal(run(cmd_audit, &out, "audit --json"), CLI_DONE);
    assert_says(
        &out,
        "\"accepted\":3,\"success\":1,\"failed\":1,\"pending\":1,\"unaccounted\":0");
    assert_int_equal(run(cmd_audit, &out, "audit"), CLI_DONE);
    assert_says(&out, "owner stripe, attempts 0, age ");
    assert_says(&out, "d, deadline none 03030303");
    assert_int_equal(run(cmd_audit, &out, "audit --list --json"), CLI_DONE);
    assert_says(&out, "{\"pending\":\"03030303-0303-0303-0303-030303030303\",\"type\":"
                      "\"payment.refund.requested\",\"owner\":\"stripe\",\"attempt\":0,");
    assert_says(&out, "\"accepted\":3");
    buf_fini(&out);
}

/* Change one byte, named by a pattern that stands once in the files of the log. */
static void spoil(const char *pattern)
{
    _free_ char *command =
        mem_format("for f in %s/data/log/0*.mdb; do perl -0777 -pi -e 's/%s/Z/' $f; done",
                   dir, pattern);

    assert_int_equal(system(command), 0);
}

static void verify_and_audit_of_a_damaged_log_are_1(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    spoil("(?<=503 fro)m");
    assert_int_equal(run(cmd_log, &out, "log verify"), CLI_FAILED);
    assert_says(&out, "block 2: damaged");
    assert_int_equal(run(cmd_audit, &out, "audit --json"), CLI_FAILED);
    assert_says(&out, "{\"finding\":\"block 2: damaged");
    assert_says(&out, "\"damaged_blocks\":1");
    assert_int_equal(run(cmd_log, &out, "log"), CLI_DONE); /* what reads is shown */
    buf_fini(&out);
}

static void what_is_not_known_is_looked_up_unless_a_redrive_is_safe(void **state)
{
    static const struct {
        const char *says;
        bool is_young; /* the key, since an hour; else it is of the log's first second */
        const char *step;
    } cases[] = {
        {",\"repeat\":\"keyed\",\"key_lifetime_s\":86400", true, "redrive"},
        {",\"repeat\":\"keyed\",\"key_lifetime_s\":86400", false, "resolve"},
        {",\"repeat\":\"keyed\",\"key_lifetime_s\":60", true, "resolve"},
        {",\"repeat\":\"keyed\"", true, "resolve"},
        {",\"repeat\":\"safe\"", false, "redrive"},
        {",\"repeat\":\"never\"", true, "resolve"},
        {",\"repeat\":\"never\",\"lookup\":true", false, "redrive"},
        {"", true, "resolve"},
    };
    enum { CASES = sizeof(cases) / sizeof(*cases) };
    struct buf out = BUF_NULL;

    (void)state;
    _free_ char *data = mem_format("%s/data", dir);
    assert_int_equal(mkdir(data, 0700), 0);
    struct maker *m = maker_new_in(data);
    for (uint8_t i = 0; i < CASES; i++)
        tell_unknown(m, (uint8_t)(i + 1), cases[i].says,
                     cases[i].is_young ? clock_wall_us() - UINT64_C(3600000000) : 0);
    maker_seal(m);
    maker_free(m);
    assert_int_equal(run(cmd_log, &out, "log"), CLI_DONE);
    for (uint8_t i = 0; i < CASES; i++) {
        _free_ char *said =
            mem_format("-> signalbox %s %s\n", cases[i].step, maker_id((uint8_t)(i + 1)));
        assert_says(&out, said);
    }
    buf_fini(&out);
}

static void trace_tells_attempts_and_outcome(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    tell_story();
    assert_int_equal(run(cmd_trace, &out, "trace 01010101-0101-0101-0101-010101010101"),
                     CLI_DONE);
    assert_says(&out, "request payment.charge.requested Success\n"
                      "|  id          01010101-0101-0101-0101-010101010101\n");
    assert_says(&out, "\n|- +1.000s    attempt 1 ended without an outcome: 503 from "
                      "provider\n");
    assert_says(&out,
                "\n`- +1.000s    outcome payment.charge.succeeded Success, attempts "
                "2, cost 0.0029 USD estimated\n     id          0b0b0b0b-");
    assert_says(&out, "payment.charge.succeeded");
    assert_int_equal(
        run(cmd_trace, &out, "trace --json 0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b"),
        CLI_DONE);
    assert_says(&out, "\"attempts\":[{");
    assert_int_equal(run(cmd_trace, &out, "trace nobody"), CLI_FAILED);
    buf_fini(&out);
}

static void cells_are_cut_padded_and_harmless(void **state)
{
    static const struct {
        const char *text;
        unsigned width;
        bool cut;
        const char *cell;
    } cases[] = {
        {"ab", 4, true, "ab  "},
        {NULL, 2, true, "  "},
        {"abcd", 4, true, "abcd"},
        {"abcde", 4, true, "abc\xe2\x80\xa6"},
        {"abcde", 4, false, "abcde"},
        {"\xc3\xa4\xc3\xb6", 3, true, "\xc3\xa4\xc3\xb6 "},
        {"a\x1b[2J", 0, false, "a?[2J"},
        {"a\xc2\x9b", 0, false, "a?"},
        {"a\xff\xc3", 0, false, "a??"},
        {"a\tb\x7f", 0, false, "a b?"},
    };
    struct buf line = BUF_NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        buf_clear(&line);
        table_cell(&line, cases[i].text, cases[i].width, cases[i].cut);
        assert_string_equal(buf_str(&line), cases[i].cell);
    }
    buf_fini(&line);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(nothing_to_read_is_unreachable),
        claim(log_prints_rows_with_what_to_do_next),
        claim(csv_is_quoted_and_whole),
        claim(pages_follow_each_other_by_cursor),
        claim(a_range_goes_out_and_in_again_unchanged),
        claim(a_head_kept_elsewhere_is_found_or_missed),
        claim(summary_counts_by_service_type_and_class),
        claim(costs_are_summed_and_priced_by_configuration),
        claim(wrong_usage_is_2),
        claim(verify_and_audit_of_a_good_log_are_0),
        claim(verify_and_audit_of_a_damaged_log_are_1),
        claim(what_is_not_known_is_looked_up_unless_a_redrive_is_safe),
        claim(trace_tells_attempts_and_outcome),
        cmocka_unit_test(cells_are_cut_padded_and_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
