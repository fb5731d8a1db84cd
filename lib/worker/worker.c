/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A worker is free, at a call, or not there (its pause runs).  Its end is seen where its
 * stdout ends; whatever is left of it is killed then, so there is no SIGCHLD to share. */
#include "lib/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/worker/spawn.h"

enum { PIECE = 64 << 10, HOW_SIZE = 300, GRACE_MS = 500, GRACE_STEP_MS = 10 };

struct worker_call {
    struct worker_call *next; /* of those that wait */
    struct workers *workers;
    struct worker *worker; /* NULL: it waits */
    char *id;
    struct buf line;
    struct loop_timer *timer;
    void (*on_done)(void *user, const struct worker_answer *answer);
    void *user;
};

/* One end of a pipe. */
struct end {
    int fd;
    struct loop_source *source;
};

struct worker {
    struct workers *workers;
    pid_t pid; /* 0: not there */
    struct end input, output, errors;
    struct buf heard; /* on stdout, no whole line yet */
    struct buf said;  /* on stderr */
    uint64_t second;  /* of the steady clock in which `lines` were said */
    unsigned lines;
    struct worker_call *call;
    size_t sent; /* of the call's line */
    struct loop_timer *pause;
    uint64_t pause_us;
};

struct workers {
    struct loop *loop;
    struct workers_options options;
    char **argv, **variables;
    struct worker *all;
    struct worker_call *waiting; /* oldest first */
    char how[HOW_SIZE];          /* why the last one that ended did */
};

static void pump(struct workers *workers);

/* --- calls --- */

static void call_free(struct worker_call *call)
{
    loop_timer_free(call->timer);
    buf_fini(&call->line);
    free(call->id);
    free(call);
}

static void wait_drop(struct worker_call *call)
{
    struct worker_call **at = &call->workers->waiting;

    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
}

/* Answered, one way or the other. */
static void finish(struct worker_call *call, const struct worker_answer *answer)
{
    if (call->worker)
        call->worker->call = NULL;
    else
        wait_drop(call);
    call->on_done(call->user, answer);
    call_free(call);
}

static void fail(struct worker_call *call, enum worker_result result, const char *why)
{
    finish(call, &(struct worker_answer){.result = result, .why = why});
}

/* --- the end of a worker --- */

static void end_close(struct end *end)
{
    loop_unwatch(end->source);
    if (end->fd >= 0)
        close(end->fd);
    *end = (struct end){.fd = -1};
}

static void tell_rest(struct worker *worker);

static void start_later(struct worker *worker)
{
    loop_timer_in(worker->pause, worker->pause_us);
    worker->pause_us = worker->pause_us * 2 < WORKER_PAUSE_MAX_US ? worker->pause_us * 2
                                                                  : WORKER_PAUSE_MAX_US;
}

/* Kill what is left, close everything, and start anew after the pause.  What it was at is
 * the caller's. */
static void worker_end(struct worker *worker)
{
    struct workers *workers = worker->workers;

    spawn_kill(worker->pid, workers->how, sizeof(workers->how));
    worker->pid = 0;
    tell_rest(worker);
    end_close(&worker->input);
    end_close(&worker->output);
    end_close(&worker->errors);
    buf_clear(&worker->heard);
    buf_clear(&worker->said);
    start_later(worker);
}

/* Its own end, or one it brought on itself. `reason`: why it is killed, or NULL. */
static void worker_lost(struct worker *worker, enum worker_result result,
                        const char *reason)
{
    struct workers *workers = worker->workers;
    struct worker_call *call = worker->call;
    char why[HOW_SIZE + 200];

    worker_end(worker);
    if (reason)
        snprintf(why, sizeof(why), "%s; the worker was killed", reason);
    else
        snprintf(why, sizeof(why), "the worker %s", workers->how);
    snprintf(workers->how, sizeof(workers->how), "%.*s", HOW_SIZE - 1, why);
    if (workers->options.on_ended)
        workers->options.on_ended(workers->options.user, call ? call->id : NULL, why);
    if (call)
        fail(call, result, why);
}

/* --- what it says --- */

static void tell(struct worker *worker, const char *text, size_t n)
{
    struct workers *workers = worker->workers;
    uint64_t second = loop_steady_us(workers->loop) / 1000000;
    char line[WORKER_SAID_MAX + 1];

    if (second != worker->second && worker->lines > WORKER_SAID_PER_S) {
        snprintf(line, sizeof(line), "(%u further lines are left out)",
                 worker->lines - WORKER_SAID_PER_S);
        workers->options.on_said(workers->options.user, NULL, line);
    }
    worker->lines = second == worker->second ? worker->lines + 1 : 1;
    worker->second = second;
    if (worker->lines > WORKER_SAID_PER_S)
        return;
    n = n < WORKER_SAID_MAX ? n : WORKER_SAID_MAX;
    for (size_t i = 0; i < n; i++) /* one line of the log, whatever it is */
        line[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' '
                  : text[i] == '"'                                 ? '\''
                                                                   : text[i];
    line[n] = 0;
    workers->options.on_said(workers->options.user,
                             worker->call ? worker->call->id : NULL, line);
}

/* Take whole lines off the front of a buffer; a line that is too long counts as several.
 */
static void tell_lines(struct worker *worker)
{
    struct buf *said = &worker->said;
    size_t at = 0;

    while (at < said->len) {
        const char *from = (const char *)said->bytes + at;
        const char *end = memchr(from, '\n', said->len - at);
        if (!end && said->len - at < WORKER_SAID_MAX)
            break;
        size_t n = end ? (size_t)(end - from) : WORKER_SAID_MAX;
        if (n)
            tell(worker, from, n);
        at += n + (end ? 1 : 0);
    }
    memmove(said->bytes, said->bytes + at, said->len - at);
    said->len -= at;
}

/* Read what is there. False at the end. */
static bool read_some(int fd, struct buf *into)
{
    ssize_t n = read(fd, buf_reserve(into, PIECE), PIECE);

    if (n > 0)
        into->len += (size_t)n;
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void on_errors(void *user, uint32_t events)
{
    struct worker *worker = user;

    (void)events;
    if (!read_some(worker->errors.fd, &worker->said))
        end_close(&worker->errors); /* it may do without */
    if (worker->said.len)
        tell_lines(worker);
}

/* The last words of one that has ended. */
static void tell_rest(struct worker *worker)
{
    for (size_t before = 1; worker->errors.fd >= 0 && before != worker->said.len;) {
        before = worker->said.len;
        if (before > PIECE || !read_some(worker->errors.fd, &worker->said))
            break;
    }
    if (worker->said.len)
        tell_lines(worker);
    if (worker->said.len)
        tell(worker, (const char *)worker->said.bytes, worker->said.len);
}

/* --- question and answer --- */

static void take_answer(struct worker *worker, const char *line, size_t n)
{
    struct worker_call *call = worker->call;
    struct worker_answer answer = {.result = WORKER_ANSWERED, .line = line, .len = n};

    worker->pause_us = WORKER_PAUSE_FIRST_US; /* it works */
    finish(call, &answer);
}

static void on_output(void *user, uint32_t events)
{
    struct worker *worker = user;
    struct buf *heard = &worker->heard;
    size_t before = heard->len;

    (void)events;
    if (!read_some(worker->output.fd, heard)) {
        worker_lost(worker, WORKER_ENDED, NULL);
        return;
    }
    const char *end = heard->len > before
                          ? memchr(heard->bytes + before, '\n', heard->len - before)
                          : NULL;
    if (heard->len && (!worker->call || !worker->sent)) {
        worker_lost(worker, WORKER_SILENT, "it wrote to stdout before it was asked");
    } else if (end && worker->sent < worker->call->line.len) {
        worker_lost(worker, WORKER_SILENT, "it answered before it had read the question");
    } else if (end && (size_t)(end + 1 - (const char *)heard->bytes) < heard->len) {
        worker_lost(worker, WORKER_SILENT, "it wrote more than one line");
    } else if (end) {
        struct buf line = *heard;
        *heard = BUF_NULL; /* the next question may come from inside */
        take_answer(worker, (const char *)line.bytes, line.len - 1);
        buf_fini(&line);
        pump(worker->workers);
    } else if (heard->len > WORKER_ANSWER_MAX) {
        worker_lost(worker, WORKER_SILENT, "its answer is over 3 MiB");
    }
}

static void on_input(void *user, uint32_t events);

/* Send what the pipe takes. */
static void send_line(struct worker *worker)
{
    const struct buf *line = &worker->call->line;
    ssize_t n = 1;

    while (worker->sent < line->len && n > 0) {
        n = write(worker->input.fd, line->bytes + worker->sent, line->len - worker->sent);
        worker->sent += n > 0 ? (size_t)n : 0;
    }
    /* EPIPE: the end of its stdout tells */
    bool has_more = worker->sent < line->len && errno == EAGAIN;
    if (has_more && !worker->input.source) {
        worker->input.source = loop_watch(worker->workers->loop, worker->input.fd,
                                          EPOLLOUT, on_input, worker);
    } else if (!has_more) {
        loop_unwatch(worker->input.source);
        worker->input.source = NULL;
    }
}

/* Watched only while there is something to send: a reader that is gone is reported for
 * ever. */
static void on_input(void *user, uint32_t events)
{
    struct worker *worker = user;

    (void)events;
    if (worker->call) {
        send_line(worker);
    } else {
        loop_unwatch(worker->input.source);
        worker->input.source = NULL;
    }
}

static void assign(struct worker *worker, struct worker_call *call)
{
    wait_drop(call);
    call->worker = worker;
    worker->call = call;
    worker->sent = 0;
    send_line(worker);
}

/* Give what waits to those who are free. */
static void pump(struct workers *workers)
{
    for (unsigned i = 0; workers->waiting && i < workers->options.count; i++) {
        struct worker *worker = &workers->all[i];
        if (worker->pid && !worker->call)
            assign(worker, workers->waiting);
    }
}

static void on_timeout(void *user)
{
    struct worker_call *call = user;
    char why[HOW_SIZE + 100];

    if (call->worker) {
        worker_lost(call->worker, WORKER_SILENT, "it did not answer in time");
        return;
    }
    snprintf(why, sizeof(why), "no worker was free to be asked%s%s",
             *call->workers->how ? "; the last that ended: " : "", call->workers->how);
    fail(call, WORKER_NOT_ASKED, why);
}

struct worker_call *workers_call(struct workers *workers,
                                 const struct worker_call_options *options)
{
    struct worker_call *call = mem_alloc(sizeof(*call)), **end = &workers->waiting;

    call->workers = workers;
    call->id = mem_text(options->id);
    buf_add(&call->line, options->line, options->len);
    buf_add(&call->line, "\n", 1);
    call->on_done = options->on_done;
    call->user = options->user;
    call->timer = loop_timer_new(workers->loop, on_timeout, call);
    loop_timer_in(call->timer, options->timeout_us);
    while (*end)
        end = &(*end)->next;
    *end = call;
    pump(workers);
    return call;
}

void workers_abort(struct worker_call *call)
{
    if (call->worker) {
        call->worker->call = NULL;
        worker_end(call->worker);
    } else {
        wait_drop(call);
    }
    call_free(call);
}

/* --- start --- */

static bool make_pipe(int *ret_ours, int *ret_theirs, bool is_ours_to_write)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *ret_ours = ends[is_ours_to_write];
    *ret_theirs = ends[!is_ours_to_write];
    return fcntl(*ret_ours, F_SETFL, O_NONBLOCK) == 0;
}

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static bool try_start(struct worker *worker)
{
    struct workers *workers = worker->workers;
    const struct workers_options *o = &workers->options;
    int theirs[4] = {-1, -1, -1, -1};
    struct end *ends[] = {&worker->input, &worker->output, &worker->errors};
    bool is_made = true;

    for (size_t i = 0; i < 3; i++)
        is_made = is_made && make_pipe(&ends[i]->fd, &theirs[i], i == 0);
    theirs[3] = spawn_memory(o->secrets, strlen(o->secrets));
    if (is_made && theirs[3] >= 0)
        worker->pid = spawn(
            &(struct spawn_options){.argv = workers->argv,
                                    .directory = o->directory,
                                    .input = theirs[0],
                                    .output = theirs[1],
                                    .errors = theirs[2],
                                    .secrets = theirs[3],
                                    .variables = (const char *const *)workers->variables},
            workers->how, sizeof(workers->how));
    else
        snprintf(workers->how, sizeof(workers->how), "%s", strerror(errno));
    close_all(theirs, 4);
    if (worker->pid > 0)
        return true;
    worker->pid = 0;
    for (size_t i = 0; i < 3; i++)
        end_close(ends[i]);
    return false;
}

static void worker_start(struct worker *worker)
{
    struct workers *workers = worker->workers;

    if (!try_start(worker)) {
        if (workers->options.on_ended)
            workers->options.on_ended(workers->options.user, NULL, workers->how);
        start_later(worker);
        return;
    }
    worker->output.source =
        loop_watch(workers->loop, worker->output.fd, EPOLLIN, on_output, worker);
    worker->errors.source =
        loop_watch(workers->loop, worker->errors.fd, EPOLLIN, on_errors, worker);
}

static void on_pause_over(void *user)
{
    struct worker *worker = user;

    worker_start(worker);
    pump(worker->workers);
}

/* --- life --- */

static char **copy_list(const char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    char **copy = mem_array(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_text(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

struct workers *workers_new(struct loop *loop, const struct workers_options *options)
{
    struct workers *workers = mem_alloc(sizeof(*workers));

    workers->loop = loop;
    workers->options = *options;
    workers->argv = copy_list((const char *const *)options->argv);
    workers->variables = copy_list(options->variables);
    workers->options.directory = mem_text(options->directory);
    workers->options.secrets = mem_text(options->secrets ? options->secrets : "{}");
    workers->all = mem_array(options->count, sizeof(*workers->all));
    (void)signal(SIGPIPE, SIG_IGN); /* a worker's end is seen at its stdout */
    for (unsigned i = 0; i < options->count; i++) {
        struct worker *worker = &workers->all[i];
        *worker = (struct worker){.workers = workers,
                                  .input.fd = -1,
                                  .output.fd = -1,
                                  .errors.fd = -1,
                                  .pause_us = WORKER_PAUSE_FIRST_US};
        worker->pause = loop_timer_new(loop, on_pause_over, worker);
        worker_start(worker);
    }
    return workers;
}

unsigned workers_running(const struct workers *workers)
{
    unsigned n = 0;

    for (unsigned i = 0; i < workers->options.count; i++)
        n += workers->all[i].pid > 0;
    return n;
}

static bool all_have_ended(const struct workers *workers)
{
    siginfo_t info;

    for (unsigned i = 0; i < workers->options.count; i++) {
        pid_t pid = workers->all[i].pid;
        info.si_pid = 0;
        if (pid && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            info.si_pid == 0)
            return false;
    }
    return true;
}

/* Ask all at once, and give them a moment; the loop is over, so nobody waits for us. */
static void let_end(struct workers *workers)
{
    const struct timespec step = {.tv_nsec = GRACE_STEP_MS * 1000000};

    for (unsigned i = 0; i < workers->options.count; i++) {
        end_close(&workers->all[i].input);
        if (workers->all[i].pid)
            kill(-workers->all[i].pid, SIGTERM);
    }
    for (int ms = 0; ms < GRACE_MS && !all_have_ended(workers); ms += GRACE_STEP_MS)
        nanosleep(&step, NULL);
}

void workers_free(struct workers *workers)
{
    if (!workers)
        return;
    let_end(workers);
    for (unsigned i = 0; i < workers->options.count; i++) {
        struct worker *worker = &workers->all[i];
        if (worker->pid)
            worker_end(worker);
        if (worker->call)
            call_free(worker->call);
        loop_timer_free(worker->pause);
        buf_fini(&worker->heard);
        buf_fini(&worker->said);
    }
    for (struct worker_call *call; (call = workers->waiting);) {
        workers->waiting = call->next;
        call_free(call);
    }
    explicit_bzero((char *)(uintptr_t)workers->options.secrets,
                   strlen(workers->options.secrets));
    free((char *)(uintptr_t)workers->options.secrets);
    free((char *)(uintptr_t)workers->options.directory);
    free_list(workers->argv);
    free_list(workers->variables);
    free(workers->all);
    free(workers);
}
