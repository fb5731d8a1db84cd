/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/kill.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

enum {
    PAUSE_FIRST_US = 100000,
    PAUSE_MAX_US = 10000000,
    ALIVE_US = 1000000, /* who lived so long begins anew */
    ARGS_MAX = 16,
    END_SIZE = 48,
};

struct child {
    struct loop *loop;
    char *name, *program, *args[ARGS_MAX + 1];
    void (*on_ready)(void *user, struct child *child);
    void (*on_ended)(void *user, struct child *child);
    void *user;
    char *secrets;
    enum child_state state;
    bool is_wanted; /* to be started again when it ends */
    pid_t pid;
    int ready_fd, listen_fd;
    struct loop_source *ready;
    struct loop_timer *pause;
    uint64_t pause_us, started_us, since_wall_us;
    unsigned starts, early_ends;
    bool was_ready;
    char last_end[END_SIZE];
};

static const char *const state_names[] = {"idle", "starting", "ready", "stopping",
                                          "waiting"};

static void on_pause_over(void *user)
{
    child_start(user);
}

struct child *child_new(struct loop *loop, const struct child_options *options)
{
    struct child *child = mem_alloc(sizeof(*child));

    *child = (struct child){
        .loop = loop,
        .name = mem_text(options->name),
        .program = mem_text(options->program),
        .on_ready = options->on_ready,
        .on_ended = options->on_ended,
        .user = options->user,
        .secrets = mem_text("{}"),
        .ready_fd = -1,
        .listen_fd = -1,
        .pause_us = PAUSE_FIRST_US,
    };
    for (size_t i = 0; i < ARGS_MAX && options->args && options->args[i]; i++)
        child->args[i] = mem_text(options->args[i]);
    child->pause = loop_timer_new(loop, on_pause_over, child);
    return child;
}

static void wipe(char *text)
{
    explicit_bzero(text, strlen(text));
    free(text);
}

static void close_ready(struct child *child)
{
    loop_unwatch(child->ready);
    child->ready = NULL;
    if (child->ready_fd >= 0)
        close(child->ready_fd);
    child->ready_fd = -1;
}

void child_free(struct child *child)
{
    if (!child)
        return;
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0); /* it cannot refuse */
    }
    close_ready(child);
    loop_timer_free(child->pause);
    wipe(child->secrets);
    for (size_t i = 0; child->args[i]; i++)
        free(child->args[i]);
    free(child->name);
    free(child->program);
    free(child);
}

bool child_set_secrets(struct child *child, char *json)
{
    bool is_new = strcmp(child->secrets, json) != 0;

    wipe(child->secrets);
    child->secrets = json;
    return is_new;
}

void child_set_listener(struct child *child, int fd)
{
    child->listen_fd = fd;
}

/* --- starting --- */

/* The secrets as a descriptor of anonymous memory: no file, no pipe to fill while nobody
 * reads. -1 and errno when there is none to be had. */
static int secrets_fd(const struct child *child)
{
    size_t n = strlen(child->secrets);
    int fd = memfd_create("secrets", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    if (write(fd, child->secrets, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Between fork and exec: system calls only. */
static void become(const struct child *child, char **argv, int secrets, int ready,
                   pid_t parent)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* the child itself makes SIGTERM of it */
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    dup2(null, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* our stdout is for our own words */
    fcntl(secrets, F_SETFD, 0);
    fcntl(ready, F_SETFD, 0);
    if (child->listen_fd >= 0)
        fcntl(child->listen_fd, F_SETFD, 0);
    execv(child->program, argv);
    _exit(127);
}

static void on_ready(void *user, uint32_t events)
{
    struct child *child = user;
    char byte;
    bool is_ready =
        (events & EPOLLIN) && read(child->ready_fd, &byte, 1) == 1 && byte == 'R';

    close_ready(child);
    if (!is_ready || child->state != CHILD_STARTING)
        return; /* it ended: SIGCHLD says the rest */
    KILL_POINT(up_child_ready);
    child->state = CHILD_READY;
    child->was_ready = true;
    child->early_ends = 0;
    child->on_ready(child->user, child);
}

/* child->pid is what fork() said; -1 where it did not come to that. */
static void exec_child(struct child *child, int ready)
{
    char secrets_text[16], ready_text[16], listen_text[16], *argv[ARGS_MAX + 8];
    char listen_option[] = "--listen-fd";
    int secrets = secrets_fd(child);
    size_t n = 0;
    pid_t parent = getpid();

    child->pid = -1;
    if (secrets < 0)
        return;
    snprintf(secrets_text, sizeof(secrets_text), "%d", secrets);
    snprintf(ready_text, sizeof(ready_text), "%d", ready);
    argv[n++] = child->program;
    for (size_t i = 0; child->args[i]; i++)
        argv[n++] = child->args[i];
    argv[n++] = (char[]){"--secrets-fd"};
    argv[n++] = secrets_text;
    argv[n++] = (char[]){"--ready-fd"};
    argv[n++] = ready_text;
    if (child->listen_fd >= 0) {
        snprintf(listen_text, sizeof(listen_text), "%d", child->listen_fd);
        argv[n++] = listen_option;
        argv[n++] = listen_text;
    }
    argv[n] = NULL;
    child->pid = fork();
    if (child->pid == 0)
        become(child, argv, secrets, ready, parent);
    close(secrets);
}

static void pause_then_start(struct child *child)
{
    child->state = CHILD_WAITING;
    loop_timer_in(child->pause, child->pause_us);
    child->pause_us =
        child->pause_us * 2 < PAUSE_MAX_US ? child->pause_us * 2 : PAUSE_MAX_US;
}

void child_start(struct child *child)
{
    int ends[2] = {-1, -1};

    if (child->pid > 0)
        return;
    loop_timer_stop(child->pause);
    child->is_wanted = true;
    if (pipe2(ends, O_CLOEXEC) == 0)
        exec_child(child, ends[1]);
    if (ends[1] >= 0)
        close(ends[1]);
    if (child->pid <= 0) {
        log_say(CHILD_EXITED, "%s could not be started: %s", child->name,
                strerror(errno));
        child->pid = 0;
        if (ends[0] >= 0)
            close(ends[0]);
        pause_then_start(child);
        return;
    }
    child->state = CHILD_STARTING;
    child->was_ready = false;
    child->starts++;
    child->started_us = loop_steady_us(child->loop);
    child->since_wall_us = loop_wall_us(child->loop);
    KILL_POINT(up_started_child);
    child->ready_fd = ends[0];
    child->ready = loop_watch(child->loop, ends[0], EPOLLIN, on_ready, child);
    log_say(CHILD_STARTED, "%s pid=%ld", child->name, (long)child->pid);
}

/* --- ending --- */

void child_stop(struct child *child)
{
    child->is_wanted = false;
    loop_timer_stop(child->pause);
    if (child->pid > 0) {
        child->state = CHILD_STOPPING;
        kill(child->pid, SIGTERM);
    } else {
        child->state = CHILD_IDLE;
    }
}

void child_restart(struct child *child)
{
    child_stop(child);
    if (child->pid > 0)
        child->is_wanted = true; /* started again when it has ended */
    else
        child_start(child);
}

void child_reload(struct child *child)
{
    if (child->pid > 0 && child->state == CHILD_READY)
        kill(child->pid, SIGHUP);
    else if (child->pid > 0)
        child_restart(child); /* it may have read the old one, and not listen yet */
}

void child_kill(struct child *child)
{
    if (child->pid > 0)
        kill(child->pid, SIGKILL);
}

static void describe_end(struct child *child, int status)
{
    if (WIFSIGNALED(status))
        snprintf(child->last_end, END_SIZE, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 127)
        snprintf(child->last_end, END_SIZE, "the program could not be started");
    else
        snprintf(child->last_end, END_SIZE, "exit status %d", WEXITSTATUS(status));
}

void child_reap(struct child *child)
{
    int status;

    if (child->pid <= 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
        return;
    bool was_asked = child->state == CHILD_STOPPING;
    bool lived = loop_steady_us(child->loop) - child->started_us >= ALIVE_US;
    describe_end(child, status);
    close_ready(child);
    if (!was_asked) {
        log_say(CHILD_EXITED, "%s pid=%ld: %s", child->name, (long)child->pid,
                child->last_end);
        child->early_ends += !child->was_ready;
    }
    child->pid = 0;
    child->state = CHILD_IDLE;
    if (lived || was_asked)
        child->pause_us = PAUSE_FIRST_US;
    if (child->is_wanted && was_asked)
        child_start(child);
    else if (child->is_wanted)
        pause_then_start(child);
    child->on_ended(child->user, child);
}

/* --- asking --- */

const char *child_name(const struct child *child)
{
    return child->name;
}

enum child_state child_state(const struct child *child)
{
    return child->state;
}

bool child_is(const struct child *child, pid_t pid)
{
    return child->pid == pid;
}

bool child_is_running(const struct child *child)
{
    return child->pid > 0;
}

unsigned child_early_ends(const struct child *child)
{
    return child->early_ends;
}

struct json *child_json(const struct child *child)
{
    struct json *o = js_set_text(js_object(), "name", child->name);

    js_set_text(o, "state", state_names[child->state]);
    if (child->pid > 0)
        js_set_int(js_set_int(o, "pid", child->pid), "since_us",
                   (int64_t)child->since_wall_us);
    js_set_int(o, "restarts", child->starts ? child->starts - 1 : 0);
    return js_set_text(o, "last_end", *child->last_end ? child->last_end : NULL);
}
