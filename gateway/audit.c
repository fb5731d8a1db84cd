/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/audit.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"

enum { AUDIT_S = 600, NICE = 19 };

struct audits {
    struct loop *loop;
    char *log_dir;
    /* The one that runs; pid 0: none. */
    pid_t pid;
    bool is_background;
    int fd;
    struct loop_source *source;
    struct buf answer;
    audit_fn fn;
    void *user;
    struct json *last;
    uint64_t last_us, tried_us;
};

static struct json *audit_json(const struct ledger_audit *a)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"accepted", a->accepted},
        {"requests", a->requests},
        {"facts", a->facts},
        {"success", a->success},
        {"failed", a->failed},
        {"pending", a->pending},
        {"unaccounted", a->unaccounted},
        {"outcomes", a->outcomes},
        {"duplicates", a->duplicates},
        {"strays", a->strays},
        {"damaged_blocks", a->damaged_blocks},
        {"missing_blocks", a->missing_blocks},
        {"broken_seals", a->broken_seals},
        {"deliveries", a->deliveries},
        {"delivered", a->delivered},
        {"given_up", a->given_up},
        {"waiting", a->waiting},
    };
    struct json *body = js_object();
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        js_set_int(body, members[i].name, (int64_t)members[i].value);
    return body;
}

/* The child's whole life: it keeps nothing of ours but the pipe, and ends with us. */
static void run(const char *log_dir, int fd, bool is_background)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(AUDIT_S);
    if (is_background)
        (void)setpriority(PRIO_PROCESS, 0, NICE); /* to be nicer is always allowed */
    if (dup2(fd, STDOUT_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) != 0)
        _exit(1);
    struct ledger_audit audit = {0};
    struct ledger *ledger = ledger_open(log_dir, (char[256]){0}, 256);
    if (!ledger || ledger_audit(ledger, &audit, NULL, NULL) != 0)
        _exit(1);
    struct buf text = {0};
    struct json *result = audit_json(&audit);
    js_write(result, 0, &text);
    js_free(result);
    ledger_close(ledger);
    bool good = write(STDOUT_FILENO, text.bytes, text.len) == (ssize_t)text.len;
    buf_fini(&text);
    _exit(good ? 0 : 1);
}

static void end(struct audits *audits)
{
    int status = -1;
    loop_unwatch(audits->source);
    close(audits->fd);
    while (waitpid(audits->pid, &status, 0) < 0 && errno == EINTR)
        ;
    audits->pid = 0;
    struct json *result = status == 0 ? js_parse(buf_str(&audits->answer),
                                                 audits->answer.len, (char[64]){0}, 64)
                                      : NULL;
    if (result) {
        js_free(audits->last);
        audits->last = result;
        audits->last_us = loop_wall_us(audits->loop);
    }
    audits->fn(audits->user, result);
}

static void on_answer(void *user, uint32_t events)
{
    (void)events;
    struct audits *audits = user;
    ssize_t n = read(audits->fd, buf_reserve(&audits->answer, 4096), 4096);
    if (n > 0)
        audits->answer.len += (size_t)n;
    else if (n == 0 || errno != EINTR)
        end(audits);
}

bool audit_start(struct audits *audits, bool is_background, audit_fn fn, void *user)
{
    int pipes[2] = {-1, -1};
    audits->tried_us = loop_wall_us(audits->loop);
    if (audits->pid && audits->is_background && !is_background) {
        kill(audits->pid, SIGKILL); /* somebody waits: that one need not end */
        end(audits);
    }
    if (audits->pid || pipe(pipes) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        run(audits->log_dir, pipes[1], is_background);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return false;
    }
    audits->pid = pid;
    audits->is_background = is_background;
    audits->fd = pipes[0];
    audits->fn = fn;
    audits->user = user;
    buf_clear(&audits->answer);
    audits->source = loop_watch(audits->loop, pipes[0], EPOLLIN, on_answer, audits);
    return true;
}

bool audit_is_running(const struct audits *audits)
{
    return audits->pid != 0;
}

const struct json *audit_last(const struct audits *audits, uint64_t *ret_us,
                              uint64_t *ret_tried_us)
{
    *ret_us = audits->last_us;
    *ret_tried_us = audits->tried_us;
    return audits->last;
}

struct audits *audits_new(struct loop *loop, const char *log_dir)
{
    struct audits *audits = mem_alloc(sizeof(*audits));
    audits->loop = loop;
    audits->log_dir = mem_text(log_dir);
    return audits;
}

void audits_free(struct audits *audits)
{
    if (!audits)
        return;
    if (audits->pid) {
        kill(audits->pid, SIGKILL);
        end(audits);
    }
    js_free(audits->last);
    buf_fini(&audits->answer);
    free(audits->log_dir);
    free(audits);
}
