/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Workers that are small shell scripts: good ones, and every kind of bad one. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/worker/capture.h"
#include "lib/worker/worker.h"

#define ECHO "while read -r line; do printf '%s\\n' \"$line\"; done"

struct box {
    struct loop *loop;
    struct workers *workers;
    unsigned done, said, ended;
    enum worker_result result;
    struct buf line, why, words;
    bool ask_again; /* from inside on_done */
};

static void on_said(void *user, const char *about, const char *text)
{
    struct box *box = user;

    box->said++;
    buf_format(&box->words, "[%s]%s\n", about ? about : "-", text);
}

static void on_ended(void *user, const char *about, const char *how)
{
    struct box *box = user;

    box->ended++;
    buf_format(&box->words, "[%s] ended: %s\n", about ? about : "-", how);
}

static struct worker_call *ask_within(struct box *box, const char *line,
                                      uint64_t timeout_us);

static void on_done(void *user, const struct worker_answer *answer)
{
    struct box *box = user;

    box->done++;
    box->result = answer->result;
    buf_clear(&box->line);
    buf_clear(&box->why);
    buf_add(&box->line, answer->line,
            answer->result == WORKER_ANSWERED ? answer->len : 0);
    buf_text(&box->why, answer->result == WORKER_ANSWERED ? "" : answer->why);
    if (box->ask_again)
        ask_within(box, "again", 5000000);
    box->ask_again = false;
}

static struct worker_call *ask_within(struct box *box, const char *line,
                                      uint64_t timeout_us)
{
    return workers_call(box->workers,
                        &(struct worker_call_options){.id = "e1",
                                                      .line = line,
                                                      .len = strlen(line),
                                                      .timeout_us = timeout_us,
                                                      .on_done = on_done,
                                                      .user = box});
}

static void open_box(struct box *box, unsigned count, const char *script)
{
    static const char *const variables[] = {"GREETING=hello", NULL};
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, mem_text(script), NULL};

    *box = (struct box){.loop = loop_new()};
    box->workers =
        workers_new(box->loop, &(struct workers_options){.argv = argv,
                                                         .directory = "/",
                                                         .count = count,
                                                         .secrets = "s3cret",
                                                         .variables = variables,
                                                         .on_said = on_said,
                                                         .on_ended = on_ended,
                                                         .user = box});
    free(argv[2]);
}

static void close_box(struct box *box)
{
    workers_free(box->workers);
    loop_free(box->loop);
    buf_fini(&box->line);
    buf_fini(&box->why);
    buf_fini(&box->words);
}

static void turn_until(struct box *box, const unsigned *what, unsigned n)
{
    for (int i = 0; i < 2000 && *what < n; i++)
        loop_turn(box->loop, 10);
    assert_int_equal(*what, n);
}

static void ask(struct box *box, const char *line)
{
    ask_within(box, line, 10000000);
    turn_until(box, &box->done, box->done + 1);
}

static void expect_why(struct box *box, enum worker_result result, const char *fragment)
{
    assert_int_equal(box->result, result);
    if (!strstr(buf_str(&box->why), fragment))
        fail_msg("\"%s\" is not in: %s", fragment, buf_str(&box->why));
}

/* --- claims --- */

static void a_line_is_answered_by_a_line(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 2, ECHO);
    for (int i = 0; i < 50; i++) {
        ask(&box, i % 2 ? "{\"a\":1}" : "b");
        assert_int_equal(box.result, WORKER_ANSWERED);
        assert_string_equal(buf_str(&box.line), i % 2 ? "{\"a\":1}" : "b");
    }
    assert_int_equal(workers_running(box.workers), 2);
    assert_int_equal(box.ended, 0);
    close_box(&box);
}

static void a_large_line_passes_both_ways(void **state)
{
    (void)state;
    struct box box;
    const size_t n = 1 << 20;
    char *large = mem_alloc(n + 1);

    memset(large, 'x', n);
    open_box(&box, 1, "exec cat");
    ask(&box, large);
    assert_int_equal(box.result, WORKER_ANSWERED);
    assert_int_equal(box.line.len, n);
    assert_memory_equal(box.line.bytes, large, n);
    free(large);
    close_box(&box);
}

static void several_are_asked_at_once_and_the_rest_waits(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 3, "while read -r line; do sleep 0.2; echo \"$line\"; done");
    uint64_t from_us = loop_steady_us(box.loop);
    for (int i = 0; i < 6; i++)
        ask_within(&box, "x", 20000000);
    turn_until(&box, &box.done, 3);
    assert_true(loop_steady_us(box.loop) - from_us >= 200000);
    turn_until(&box, &box.done, 6);
    assert_true(loop_steady_us(box.loop) - from_us >= 400000);
    close_box(&box);
}

static void an_answer_may_lead_to_the_next_question(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 1, ECHO);
    box.ask_again = true;
    ask(&box, "first");
    turn_until(&box, &box.done, 2);
    assert_string_equal(buf_str(&box.line), "again");
    close_box(&box);
}

static void it_gets_its_secrets_its_variables_and_no_other_descriptor(void **state)
{
    (void)state;
    struct box box;
    int leak = dup(STDIN_FILENO); /* without close-on-exec */

    /* The shell itself looks, without a child: between fork and close a parent has both
     * ends of its pipes. 4 is the folder that it reads. */
    open_box(&box, 1,
             "read -r line; printf '%s %s %s ' \"$(cat <&3)\" \"$GREETING\" \"$PWD\"; "
             "cd /proc/$$/fd; echo *");
    ask(&box, "x");
    assert_string_equal(buf_str(&box.line), "s3cret hello / 0 1 2 3 4");
    close(leak);
    close_box(&box);
}

static void one_that_ends_fails_its_question_and_is_started_again(void **state)
{
    (void)state;
    static const struct {
        const char *script, *why;
    } cases[] = {
        {"read -r line; exit 3", "ended with status 3"},
        {"read -r line; kill -SEGV $$", "was ended by signal 11"},
        {"read -r line; exec >&-; sleep 60", "was ended by signal 9"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct box box;
        open_box(&box, 1, cases[i].script);
        ask(&box, "x");
        expect_why(&box, WORKER_ENDED, cases[i].why);
        ask(&box, "x"); /* by the next one */
        expect_why(&box, WORKER_ENDED, cases[i].why);
        assert_int_equal(box.ended, 2);
        close_box(&box);
    }
}

static void one_that_breaks_the_rules_is_killed(void **state)
{
    (void)state;
    static const struct {
        const char *script, *why;
        uint64_t timeout_us;
    } cases[] = {
        {"read -r line; exec sleep 60", "did not answer in time", 200000},
        {"read -r line; yes | tr -d '\\n'", "over 3 MiB", 20000000},
        {"read -r line; printf 'a\\nb\\n'; sleep 60", "more than one line", 20000000},
        {"sleep 0.3; echo hello; sleep 60", "before it was asked", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct box box;
        open_box(&box, 1, cases[i].script);
        if (!cases[i].timeout_us) { /* nobody asks */
            turn_until(&box, &box.ended, 1);
            if (!strstr(buf_str(&box.words), cases[i].why))
                fail_msg("\"%s\" is not in: %s", cases[i].why, buf_str(&box.words));
        } else {
            ask_within(&box, "x", cases[i].timeout_us);
            turn_until(&box, &box.done, 1);
            expect_why(&box, WORKER_SILENT, cases[i].why);
        }
        close_box(&box);
    }
}

static void whom_it_started_ends_with_it(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 1, "read -r line; sleep 1000 & echo $!; read -r line; exit 1");
    ask(&box, "x");
    pid_t grandchild = (pid_t)strtol(buf_str(&box.line), NULL, 10);
    assert_true(grandchild > 1 && kill(grandchild, 0) == 0);
    ask_within(&box, "y", 300000); /* the grandchild holds the pipe open */
    turn_until(&box, &box.done, 2);
    for (int i = 0; i < 500 && kill(grandchild, 0) == 0; i++) {
        char state_of[64] = "", path[64];
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
        FILE *stat = fopen(path, "r");
        if (stat && fscanf(stat, "%*d %*s %63s", state_of) != 1)
            state_of[0] = 0;
        if (stat)
            fclose(stat);
        if (state_of[0] == 'Z' || !stat)
            break; /* dead; whoever adopts it reaps it */
        loop_turn(box.loop, 10);
        assert_true(i < 499);
    }
    close_box(&box);
}

static void a_program_that_is_not_there_asks_nobody(void **state)
{
    (void)state;
    struct box box = {.loop = loop_new()};
    char *argv[] = {(char[]){"/no/such/program"}, NULL};

    box.workers = workers_new(box.loop, &(struct workers_options){.argv = argv,
                                                                  .count = 1,
                                                                  .on_said = on_said,
                                                                  .on_ended = on_ended,
                                                                  .user = &box});
    assert_int_equal(workers_running(box.workers), 0);
    ask_within(&box, "x", 400000);
    turn_until(&box, &box.done, 1);
    expect_why(&box, WORKER_NOT_ASKED, "/no/such/program: No such file or directory");
    assert_in_range(box.ended, 2, 4); /* the pauses double */
    close_box(&box);
}

static void what_it_says_is_told_with_the_question_it_is_at(void **state)
{
    (void)state;
    struct box box;

    open_box(
        &box, 1,
        "echo 'up and \"ready\"' >&2; read -r line; printf 'at it\\nlast' >&2; exit 1");
    turn_until(&box, &box.said, 1);
    ask(&box, "x");
    assert_string_equal(buf_str(&box.words),
                        "[-]up and 'ready'\n[e1]at it\n[e1]last\n[e1] ended: the worker "
                        "ended with status 1\n");
    close_box(&box);
}

static void a_flood_on_stderr_is_cut(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 1, "read -r line; yes flood | head -n 20000 >&2; echo done; sleep 60");
    ask(&box, "x");
    for (int i = 0; i < 20; i++)
        loop_turn(box.loop, 10);
    assert_in_range(box.said, 1, 10 * (WORKER_SAID_PER_S + 1));
    close_box(&box);
}

static void a_dropped_call_kills_its_worker(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, 1, "read -r line; exec sleep 60");
    struct worker_call *call = ask_within(&box, "x", 60000000);
    struct worker_call *waits = ask_within(&box, "y", 60000000);
    loop_turn(box.loop, 10);
    workers_abort(waits);
    workers_abort(call);
    assert_int_equal(workers_running(box.workers), 0);
    for (int i = 0; i < 500 && !workers_running(box.workers); i++)
        loop_turn(box.loop, 10);
    assert_int_equal(workers_running(box.workers), 1);
    assert_int_equal(box.done, 0);
    close_box(&box);
}

static void what_a_program_prints_is_captured_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *script, *out, *why;
    } cases[] = {
        {"echo hello; echo there", "hello\nthere\n", NULL},
        {"echo half; exit 1", NULL, "did not end with status 0"},
        {"sleep 60", NULL, "did not end in time"},
        {"exec >&-; sleep 60", NULL, "did not end with status 0"},
        {"yes", NULL, "prints too much"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, mem_text(cases[i].script), NULL};
        struct buf out = BUF_NULL;
        char error[200] = "";
        int result = capture(
            &(struct capture_options){
                .argv = argv, .timeout_us = 500000, .output_max = 100000, .errors = -1},
            &out, error, sizeof(error));
        assert_int_equal(result, cases[i].why ? 1 : 0);
        if (cases[i].out)
            assert_string_equal(buf_str(&out), cases[i].out);
        if (cases[i].why && !strstr(error, cases[i].why))
            fail_msg("\"%s\" is not in: %s", cases[i].why, error);
        buf_fini(&out);
        free(argv[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_answered_by_a_line),
        cmocka_unit_test(a_large_line_passes_both_ways),
        cmocka_unit_test(several_are_asked_at_once_and_the_rest_waits),
        cmocka_unit_test(an_answer_may_lead_to_the_next_question),
        cmocka_unit_test(it_gets_its_secrets_its_variables_and_no_other_descriptor),
        cmocka_unit_test(one_that_ends_fails_its_question_and_is_started_again),
        cmocka_unit_test(one_that_breaks_the_rules_is_killed),
        cmocka_unit_test(whom_it_started_ends_with_it),
        cmocka_unit_test(a_program_that_is_not_there_asks_nobody),
        cmocka_unit_test(what_it_says_is_told_with_the_question_it_is_at),
        cmocka_unit_test(a_flood_on_stderr_is_cut),
        cmocka_unit_test(a_dropped_call_kills_its_worker),
        cmocka_unit_test(what_a_program_prints_is_captured_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
