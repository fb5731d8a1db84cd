/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/store/store.h"
#include "logger/committer.h"
#include "tests/unit/store/chain.h"

enum { MIB = 1 << 20 };

static const struct wire_peer broker = {.id = {1}, .id_len = 1};
static struct store *store;
static struct committer *committer;
static struct chain chain;
static atomic_int commits;
static atomic_bool is_held; /* the committer waits after its next commit */

static void count_commit(void *user)
{
    (void)user;
    commits++;
    while (is_held)
        usleep(1000);
}

static int set_up(void **state)
{
    const struct store_options options = {.segment_size = 16 * MIB, .memory = true};
    char error[256];

    (void)state;
    chain = (struct chain){.term = 1, .timestamp_us = 1000};
    commits = 0;
    store = store_open(&options, error, sizeof(error));
    committer = committer_start(store, count_commit, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    committer_stop(committer);
    store_close(store);
    return 0;
}

static void push(size_t size)
{
    struct block *block = chain_next(&chain, size, 0);

    assert_true(committer_push(committer, &broker, &block));
    assert_null(block);
}

static struct committer_answer next_answer(void)
{
    struct pollfd p = {.fd = committer_fd(committer), .events = POLLIN};
    struct committer_answer answer;

    while (!committer_take(committer, &answer))
        if (poll(&p, 1, 5000) != 1)
            fail_msg("no answer");
    return answer;
}

/* The answer that speaks for this block. */
static struct committer_answer answer_for(uint64_t number)
{
    struct committer_answer answer;

    do
        answer = next_answer();
    while (answer.ref < number);
    return answer;
}

static void block_is_committed_and_then_answered(void **state)
{
    struct log_head head;

    (void)state;
    push(500);
    struct committer_answer answer = next_answer();
    assert_int_equal(answer.type, MSG_COMMITTED);
    assert_int_equal(answer.ref, 1);
    assert_int_equal(answer.head.number, 1);
    assert_int_equal(answer.head.crc, chain.crc);
    assert_true(wire_same_peer(&answer.peer, &broker));
    store_head(store, &head);
    assert_int_equal(head.number, 1);
}

static void what_waits_is_answered_together(void **state)
{
    unsigned answers = 0;
    struct committer_answer answer;

    (void)state;
    for (int i = 0; i < 200; i++)
        push(500);
    do {
        answer = next_answer();
        assert_int_equal(answer.type, MSG_COMMITTED);
        answers++;
    } while (answer.head.number < 200);
    assert_true(answers <= 200);
    committer_stop(committer); /* also: nothing is left behind */
    committer = NULL;
    assert_int_equal((unsigned)commits, answers);
}

static void stopping_commits_what_waits(void **state)
{
    struct log_head head;

    (void)state;
    for (int i = 0; i < 50; i++)
        push(500);
    committer_stop(committer);
    committer = NULL;
    store_head(store, &head);
    assert_int_equal(head.number, 50);
}

static void fence_is_answered_behind_the_blocks_before_it(void **state)
{
    (void)state;
    push(500);
    push(500);
    committer_fence(committer, &broker, 7);
    struct committer_answer answer;
    do
        answer = next_answer();
    while (answer.type == MSG_COMMITTED);
    assert_int_equal(answer.type, MSG_FENCED);
    assert_int_equal(answer.head.number, 2);
    assert_int_equal(answer.head.term, 7);
}

static void older_broker_is_told_it_is_stale(void **state)
{
    (void)state;
    committer_fence(committer, &broker, 7);
    assert_int_equal(next_answer().type, MSG_FENCED);
    push(500); /* of term 1 */
    struct committer_answer answer = next_answer();
    assert_int_equal(answer.type, MSG_STALE);
    assert_int_equal(answer.head.term, 7);
    committer_fence(committer, &broker, 6);
    assert_int_equal(next_answer().type, MSG_STALE);
}

static void block_behind_a_lost_one_must_come_again(void **state)
{
    (void)state;
    struct chain before = chain;
    free(chain_next(&chain, 500, 0)); /* lost on the way */
    push(500);
    struct committer_answer answer = next_answer();
    assert_int_equal(answer.type, MSG_FULL);
    assert_int_equal(answer.ref, 2);
    chain = before;
    push(500);
    push(500);
    assert_int_equal(answer_for(2).head.number, 2);
}

static void foreign_block_is_refused_with_the_reason(void **state)
{
    (void)state;
    push(500);
    assert_int_equal(next_answer().type, MSG_COMMITTED);
    chain.crc ^= 1;
    push(500);
    struct committer_answer answer = next_answer();
    assert_int_equal(answer.type, MSG_REFUSED);
    assert_non_null(strstr(answer.detail, "another block as the one before"));
}

static void good_blocks_before_a_bad_one_are_committed(void **state)
{
    struct log_head head;

    (void)state;
    for (int i = 0; i < 20; i++)
        push(500);
    chain.crc ^= 1;
    push(500);
    assert_int_equal(answer_for(21).type, MSG_REFUSED);
    store_head(store, &head);
    assert_int_equal(head.number, 20);
}

static void full_store_refuses_politely(void **state)
{
    struct committer_answer answer;

    (void)state;
    do {
        push(3 * MIB);
        answer = answer_for(chain.number);
    } while (answer.type == MSG_COMMITTED);
    assert_int_equal(answer.type, MSG_FULL);
    assert_int_equal(answer.head.number, chain.number - 1);
}

static void too_much_waiting_is_not_taken(void **state)
{
    size_t taken = 0;
    bool fits = true;

    (void)state;
    is_held = true;
    push(500);
    assert_int_equal(next_answer().type, MSG_COMMITTED);
    while (!commits)
        usleep(1000);
    struct block *big = chain_next(&chain, 3 * MIB, 0);
    for (; fits && taken < 4000; taken += fits) {
        struct block *copy = mem_copy(big, big->len);
        fits = committer_push(committer, &broker, &copy);
        assert_int_equal(fits, copy == NULL); /* refused: it is still ours */
        free(copy);
    }
    is_held = false;
    assert_false(fits);
    assert_int_equal(taken, COMMITTER_BYTES_MAX / big->len);
    free(big);
}

/* On a real directory whose file vanishes: the process ends with 74, and no answer comes.
 */
static void failing_store_ends_the_process(void **state)
{
    char dir[] = "/tmp/committer-XXXXXX", command[128], error[256];
    int status;

    (void)state;
    chain = (struct chain){.term = 1, .timestamp_us = 1000};
    assert_non_null(mkdtemp(dir));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};
        struct store *real = store_open(&options, error, sizeof(error));
        struct committer *c = committer_start(real, count_commit, NULL);
        struct pollfd p = {.fd = committer_fd(c), .events = POLLIN};
        struct committer_answer answer;
        struct block *block = chain_next(&chain, 500, 0);
        committer_push(c, &broker, &block);
        while (!committer_take(c, &answer))
            poll(&p, 1, 5000);
        snprintf(command, sizeof(command), "rm -rf %s/*.mdb", dir);
        if (answer.type != MSG_COMMITTED || system(command))
            _exit(1);
        block = chain_next(&chain, 500, 0);
        committer_push(c, &broker, &block);
        while (poll(&p, 1, 5000) == 1 && !committer_take(c, &answer))
            ;
        _exit(2); /* an answer, or silence: it should have ended with us */
    }
    waitpid(pid, &status, 0);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), COMMITTER_EXIT);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest claims[] = {
        CLAIM(block_is_committed_and_then_answered),
        CLAIM(what_waits_is_answered_together),
        CLAIM(stopping_commits_what_waits),
        CLAIM(fence_is_answered_behind_the_blocks_before_it),
        CLAIM(older_broker_is_told_it_is_stale),
        CLAIM(block_behind_a_lost_one_must_come_again),
        CLAIM(foreign_block_is_refused_with_the_reason),
        CLAIM(good_blocks_before_a_bad_one_are_committed),
        CLAIM(full_store_refuses_politely),
        CLAIM(too_much_waiting_is_not_taken),
        cmocka_unit_test(failing_store_ends_the_process),
    };

    return cmocka_run_group_tests(claims, NULL, NULL);
}
