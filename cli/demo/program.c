/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between fork and exec. */
static void become(char **argv, int out, const char *err, pid_t parent)
{
    int log = open(err, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != parent || log < 0)
        _exit(127);
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv("/proc/self/exe", argv);
    _exit(127);
}

bool program_start(struct program *program, const char *const *args, const char *out,
                   const char *err)
{
    char *argv[PROGRAM_ARGS_MAX + 2] = {(char[]){"signalbox"}};
    int ends[2] = {-1, -1};
    pid_t parent = getpid();

    *program = (struct program){.pid = -1, .out = -1, .status = -1};
    for (size_t i = 0; i < PROGRAM_ARGS_MAX && args[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)args[i]; /* execv's type; it changes nothing */
    if (out)
        ends[1] = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    else if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    if (ends[1] < 0)
        return false;
    program->pid = fork();
    if (program->pid == 0)
        become(argv, ends[1], err, parent);
    close(ends[1]);
    program->out = ends[0];
    return program->pid > 0;
}

static void take_end(struct program *program, int status)
{
    program->pid = -1;
    program->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_wait(struct program *program)
{
    ssize_t n;
    int status;

    while (program->out >= 0 &&
           ((n = read(program->out, buf_reserve(&program->text, 65536), 65536)) > 0 ||
            (n < 0 && errno == EINTR)))
        program->text.len += n > 0 ? (size_t)n : 0;
    if (program->pid > 0 && waitpid(program->pid, &status, 0) == program->pid)
        take_end(program, status);
    return program->status;
}

bool program_ended(struct program *program)
{
    int status;

    if (program->pid > 0 && waitpid(program->pid, &status, WNOHANG) == program->pid)
        take_end(program, status);
    return program->pid <= 0;
}

void program_fini(struct program *program)
{
    if (program->pid > 0) {
        kill(program->pid, SIGKILL);
        (void)program_wait(program);
    }
    if (program->out >= 0)
        close(program->out);
    program->out = -1;
    buf_fini(&program->text);
}
