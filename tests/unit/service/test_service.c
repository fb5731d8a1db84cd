/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"
#include "tests/unit/remains.h"

/* A configuration of our own: a file that begins with "ok" is good. */
struct config *config_load(const char *path, struct buf *errors)
{
    char text[3] = "";
    FILE *file = fopen(path, "r");

    if (file) {
        (void)!fread(text, 1, 2, file);
        fclose(file);
    }
    if (strcmp(text, "ok") == 0) {
        struct config *config = mem_alloc(sizeof(*config));
        config->path = mem_text(path);
        return config;
    }
    buf_format(errors, "%s:1:1: not ok\n", path);
    return NULL;
}

void config_free(struct config *config)
{
    free(config->path);
    free(config);
}

void config_diff(const struct config *before, const struct config *after, struct buf *out)
{
    (void)before;
    (void)after;
    buf_text(out, "something changed\n");
}

/* --- a service in a child process, which says what it does on a pipe --- */

static int report_fd = -1;

static void report(const char *text)
{
    ssize_t n = write(report_fd, text, strlen(text));

    (void)n;
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    struct rlimit limit;

    if (service_option(run, "--fail")) {
        snprintf(error, error_size, "told to fail");
        return strcmp(service_option(run, "--fail"), "config") == 0 ? 2 : -1;
    }
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_max == 0)
        report("nocore ");
    if (service_option(run, "--name"))
        report(service_option(run, "--name"));
    if (secrets_get(run->secrets, "api_key"))
        report(secrets_get(run->secrets, "api_key"));
    if (run->config)
        report("configured ");
    service_ready(run);
    if (service_option(run, "--end"))
        loop_stop(run->loop, 5);
    return 0;
}

static void stop(struct service_run *run)
{
    report("stopping ");
    loop_stop(run->loop, 0);
}

static void reload(struct service_run *run, const struct config *config)
{
    assert_ptr_not_equal(config, run->config);
    report("reloaded ");
}

static int flags(struct service_run *run)
{
    if (!service_option(run, "--manifest"))
        return -1;
    report("manifest");
    return 0;
}

static void finish(struct service_run *run)
{
    (void)run;
    report("finished");
}

static const struct service_option options[] = {
    {"--name", "TEXT", "a text"},
    {"--fail", "WHY", "do not start"},
    {"--end", NULL, "end at once"},
    {"--manifest", NULL, "print the manifest"},
    {0},
};
static struct service service = {
    .name = "signalbox-test",
    .summary = "a service for the test",
    .options = options,
    .flags = flags,
    .start = start,
    .stop = stop,
    .reload = reload,
    .finish = finish,
};

struct child {
    pid_t pid;
    int out, ready;
    char text[4096];
};

/* Run service_main in a child whose stdout, stderr and reports are collected. */
static void launch(struct child *child, const char *const *arguments, const char *secrets)
{
    int out[2], ready[2], hand[2], argc = 1;
    char *argv[16] = {(char *)(uintptr_t) "signalbox-test"};
    char ready_fd[32], secrets_fd[32];

    assert_int_equal(pipe(out) | pipe(ready) | pipe(hand), 0);
    for (; *arguments; arguments++)
        argv[argc++] = (char *)(uintptr_t)*arguments;
    snprintf(ready_fd, sizeof(ready_fd), "--ready-fd=%d", ready[1]);
    argv[argc++] = ready_fd;
    if (secrets) {
        snprintf(secrets_fd, sizeof(secrets_fd), "--secrets-fd=%d", hand[0]);
        argv[argc++] = secrets_fd;
        assert_int_equal(write(hand[1], secrets, strlen(secrets)),
                         (ssize_t)strlen(secrets));
    }
    *child = (struct child){.pid = fork()};
    if (child->pid == 0) {
        close(hand[1]);
        close(out[0]);
        close(ready[0]);
        report_fd = out[1];
        dup2(out[1], STDOUT_FILENO);
        dup2(out[1], STDERR_FILENO);
        int status = service_main(&service, argc, argv);
        fflush(stdout);
        _exit(status);
    }
    close(hand[0]);
    close(hand[1]);
    close(out[1]);
    close(ready[1]);
    child->out = out[0];
    child->ready = ready[0];
}

static bool is_ready(struct child *child)
{
    char byte = 0;

    return read(child->ready, &byte, 1) == 1 && byte == 'R';
}

/* Collect what it said until `wanted` is there. */
static void hear(struct child *child, const char *wanted)
{
    size_t len = strlen(child->text);

    while (!strstr(child->text, wanted)) {
        ssize_t n = read(child->out, child->text + len, sizeof(child->text) - 1 - len);
        assert_true(n > 0);
        len += (size_t)n;
        child->text[len] = 0;
    }
}

/* The exit status, with all it said. */
static int wait_end(struct child *child)
{
    size_t len = strlen(child->text);
    ssize_t n;
    int status;

    while ((n = read(child->out, child->text + len, sizeof(child->text) - 1 - len)) > 0)
        len += (size_t)n;
    child->text[len] = 0;
    waitpid(child->pid, &status, 0);
    close(child->out);
    close(child->ready);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void help_names_every_option(void **state)
{
    struct child child;

    (void)state;
    launch(&child, ARGUMENTS("--help"), NULL);
    assert_int_equal(wait_end(&child), 0);
    assert_non_null(strstr(child.text, "a service for the test"));
    assert_non_null(strstr(child.text, "--name TEXT"));
    assert_non_null(strstr(child.text, "--manifest"));
    assert_non_null(strstr(child.text, "-c FILE"));
    assert_non_null(strstr(child.text, "--version"));
}

static void version_is_the_projects(void **state)
{
    struct child child;

    (void)state;
    launch(&child, ARGUMENTS("--version"), NULL);
    assert_int_equal(wait_end(&child), 0);
    assert_non_null(strstr(child.text, "signalbox-test 0."));
}

static void bad_arguments_end_with_2_and_a_reason(void **state)
{
    static const struct {
        const char *argument, *reason;
    } cases[] = {
        {"--manifset=x", "unknown argument --manifset; did you mean --manifest"},
        {"stray", "unknown argument stray"},
        {"--end=yes", "--end takes no value"},
        {"--secrets-fd=three", "not a descriptor"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct child child;
        launch(&child, ARGUMENTS(cases[i].argument), NULL);
        assert_int_equal(wait_end(&child), 2);
        if (!strstr(child.text, cases[i].reason))
            fail_msg("%s", child.text);
    }
    char *argv[] = {(char *)(uintptr_t) "signalbox-test", (char *)(uintptr_t) "--name",
                    NULL};
    assert_int_equal(service_main(&service, 2, argv), 2); /* its value is missing */
}

static void own_flags_need_no_configuration(void **state)
{
    struct child child;

    (void)state;
    service.needs_config = true;
    launch(&child, ARGUMENTS("--manifest", "-c", "/nonexistent"), NULL);
    assert_int_equal(wait_end(&child), 0);
    assert_string_equal(child.text, "manifest");
    service.needs_config = false;
}

static void options_and_secrets_reach_the_process(void **state)
{
    struct child child;

    (void)state;
    launch(&child, ARGUMENTS("--name", "anna ", "--end"),
           "{\"api_key\":[\"sk_test_new \",\"sk_test_old\"]}");
    assert_true(is_ready(&child));
    assert_int_equal(wait_end(&child), 5); /* what loop_stop was given */
    assert_non_null(strstr(child.text, "nocore anna sk_test_new "));
    assert_non_null(strstr(child.text, "finished"));
}

static void a_failed_start_says_why_and_never_ready(void **state)
{
    struct child child;

    (void)state;
    launch(&child, ARGUMENTS("--fail", "disk"), NULL);
    assert_false(is_ready(&child));
    assert_int_equal(wait_end(&child), 1);
    assert_non_null(strstr(child.text, "FATAL told to fail"));
    assert_null(strstr(child.text, "finished"));
    launch(&child, ARGUMENTS("--fail", "config"), NULL);
    assert_int_equal(wait_end(&child), 2);
}

static void term_stops_politely(void **state)
{
    struct child child;

    (void)state;
    launch(&child, ARGUMENTS(NULL), NULL);
    assert_true(is_ready(&child));
    kill(child.pid, SIGTERM);
    assert_int_equal(wait_end(&child), 0);
    assert_non_null(strstr(child.text, "stopping "));
    assert_non_null(strstr(child.text, "finished"));
}

static void a_bad_configuration_ends_with_2(void **state)
{
    struct child child;

    (void)state;
    service.needs_config = true;
    launch(&child, ARGUMENTS("-c", "/nonexistent"), NULL);
    assert_int_equal(wait_end(&child), 2);
    assert_non_null(strstr(child.text, "CONFIG_BAD /nonexistent:1:1: not ok"));
    service.needs_config = false;
}

static void put_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    fputs(text, file);
    fclose(file);
}

static void hup_applies_a_good_configuration_and_keeps_the_old_one_otherwise(void **state)
{
    char path[] = "/tmp/service-XXXXXX";
    struct child child;

    (void)state;
    close(mkstemp(path));
    put_file(path, "ok");
    service.needs_config = true;
    launch(&child, ARGUMENTS("-c", path), NULL);
    assert_true(is_ready(&child));
    put_file(path, "bad");
    kill(child.pid, SIGHUP);
    hear(&child, "not ok");
    put_file(path, "ok");
    kill(child.pid, SIGHUP);
    hear(&child, "reloaded ");
    kill(child.pid, SIGTERM);
    assert_int_equal(wait_end(&child), 0);
    assert_non_null(strstr(child.text, "CONFIG_CHANGED something changed"));
    service.needs_config = false;
    unlink(path);
}

static void a_supervised_process_ends_with_its_supervisor(void **state)
{
    int report_pipe[2];
    char text[64] = "";

    (void)state;
    assert_int_equal(pipe(report_pipe), 0);
    pid_t supervisor = fork();
    if (supervisor == 0) {
        struct child child;
        launch(&child, ARGUMENTS(NULL), NULL);
        (void)!is_ready(&child);
        (void)!write(report_pipe[1], &child.pid, sizeof(child.pid));
        pause();
        _exit(0);
    }
    pid_t pid;
    assert_int_equal(read(report_pipe[0], &pid, sizeof(pid)), sizeof(pid));
    close(report_pipe[1]);
    kill(supervisor, SIGKILL);
    waitpid(supervisor, NULL, 0);
    /* The grandchild held the pipe's other end open: its end is EOF here. */
    assert_int_equal(read(report_pipe[0], text, sizeof(text)), 0);
    close(report_pipe[0]);
}

/* --- secrets and locks alone --- */

static struct secrets *hand_over(const char *json, char *error)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], json, strlen(json)), (ssize_t)strlen(json));
    close(ends[1]);
    return secrets_read(ends[0], error, 256);
}

static void secrets_are_read_with_all_versions(void **state)
{
    char error[256];

    (void)state;
    struct secrets *secrets =
        hand_over("{\"a\":\"one\",\"b\":[\"new\",\"old\"],\"c\":[]}", error);
    assert_non_null(secrets);
    assert_string_equal(secrets_get(secrets, "a"), "one");
    assert_null(secrets_all(secrets, "a")[1]);
    assert_string_equal(secrets_get(secrets, "b"), "new");
    assert_string_equal(secrets_all(secrets, "b")[1], "old");
    assert_null(secrets_all(secrets, "b")[2]);
    assert_null(secrets_get(secrets, "c"));
    assert_null(secrets_get(secrets, "missing"));
    assert_non_null(secrets_all(secrets, "missing"));
    secrets_free(secrets);
    secrets_free(NULL);
}

static void bad_secrets_are_refused_without_being_shown(void **state)
{
    static const char *const cases[] = {
        "",
        "hidden",
        "[\"hidden\"]",
        "{\"a\":12}",
        "{\"a\":[\"hidden\",1]}",
        "{\"a\":{\"b\":\"hidden\"}}",
        "{\"a\":\"hidden\"",
        "{\"a\":\"hidden\",\"a\":\"x\"}",
    };
    char error[256];

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        error[0] = 0;
        assert_null(hand_over(cases[i], error));
        assert_non_null(strstr(error, "not a JSON object"));
        assert_null(strstr(error, "hidden"));
    }
    assert_null(secrets_read(900, error, sizeof(error)));
    assert_non_null(strstr(error, "descriptor 900"));
}

static void no_descriptor_means_no_secrets(void **state)
{
    char error[256];
    struct secrets *secrets = secrets_read(-1, error, sizeof(error));

    (void)state;
    assert_non_null(secrets);
    assert_null(secrets_get(secrets, "a"));
    secrets_free(secrets);
}

static void a_second_process_is_told_who_uses_the_directory(void **state)
{
    char top[] = "/tmp/lock-XXXXXX", error[256] = "", wanted[256];
    struct stat info;

    (void)state;
    assert_non_null(mkdtemp(top));
    _free_ char *dir = mem_format("%s/a/b", top), *middle = mem_format("%s/a", top);
    _free_ char *path = mem_format("%s/broker.lock", dir);
    int fd = service_lock(dir, "broker", error, sizeof(error));
    assert_true(fd >= 0);
    assert_int_equal(stat(dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(service_lock(dir, "broker", error, sizeof(error)), -1);
    snprintf(wanted, sizeof(wanted), "another signalbox-broker (pid %ld) uses %s",
             (long)getpid(), dir);
    assert_string_equal(error, wanted);
    int other =
        service_lock(dir, "logger", error, sizeof(error)); /* another name, no conflict */
    assert_true(other >= 0);
    close(other);
    close(fd);
    fd = service_lock(dir, "broker", error, sizeof(error)); /* free again */
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    _free_ char *logger = mem_format("%s/logger.lock", dir);
    unlink(logger);
    rmdir(dir);
    rmdir(middle);
    rmdir(top);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    char error[256] = "";

    (void)state;
    assert_int_equal(service_lock("/proc/nowhere/run", "broker", error, sizeof(error)),
                     -1);
    assert_non_null(strstr(error, "cannot make /proc/nowhere/run"));
}

/* --- nothing is left of a secret --- */

enum { BEFORE = 100, JSON_SIZE = 16 << 10 };

/* A descriptor with JSON in which it stands many times, plainly and escaped; at the end
 * of long texts, for the allocator writes over the beginning of what is freed. */
static int canary_fd(const uint8_t masked[REMAINS_LEN])
{
    char *text = mem_alloc(JSON_SIZE);
    int ends[2], n = snprintf(text, JSON_SIZE, "{\"api_key\":[");

    for (int copy = 0; copy < 50; copy++) {
        n += snprintf(text + n, (size_t)(JSON_SIZE - n), "%s\"%s%0*d", copy ? "," : "",
                      copy % 2 ? "\\u00e9" : "", BEFORE, copy);
        remains_write(masked, text + n);
        n += REMAINS_LEN;
        text[n++] = '"';
    }
    n += snprintf(text + n, (size_t)(JSON_SIZE - n), "]}");
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, (size_t)n), n);
    explicit_bzero(text, JSON_SIZE);
    free(text);
    close(ends[1]);
    return ends[0];
}

static void nothing_of_a_secret_is_left_in_memory(void **state)
{
    uint8_t masked[REMAINS_LEN];
    char error[256];

    (void)state;
    remains_make(masked);
    struct secrets *secrets = secrets_read(canary_fd(masked), error, sizeof(error));
    assert_non_null(secrets);
    assert_int_equal(remains_count(masked), 50); /* those handed out, and no other */
    secrets_free(secrets);
    assert_int_equal(remains_count(masked), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_names_every_option),
        cmocka_unit_test(version_is_the_projects),
        cmocka_unit_test(bad_arguments_end_with_2_and_a_reason),
        cmocka_unit_test(own_flags_need_no_configuration),
        cmocka_unit_test(options_and_secrets_reach_the_process),
        cmocka_unit_test(a_failed_start_says_why_and_never_ready),
        cmocka_unit_test(term_stops_politely),
        cmocka_unit_test(a_bad_configuration_ends_with_2),
        cmocka_unit_test(
            hup_applies_a_good_configuration_and_keeps_the_old_one_otherwise),
        cmocka_unit_test(a_supervised_process_ends_with_its_supervisor),
        cmocka_unit_test(secrets_are_read_with_all_versions),
        cmocka_unit_test(bad_secrets_are_refused_without_being_shown),
        cmocka_unit_test(nothing_of_a_secret_is_left_in_memory),
        cmocka_unit_test(no_descriptor_means_no_secrets),
        cmocka_unit_test(a_second_process_is_told_who_uses_the_directory),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
