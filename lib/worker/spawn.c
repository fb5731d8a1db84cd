/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/worker/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"

enum {
    REPORT_FD = 4, /* in the child: closed by a good exec, else it carries errno */
    SPARE_FD = 10, /* above all that the child has in the end */
    EXEC_FAILED = 127,
};

/* --- between fork and exec: system calls only --- */

static void put(int from, int to)
{
    int fd = from >= 0 ? from : open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0 || dup2(fd, to) < 0)
        _exit(EXEC_FAILED);
}

/* Out of the way of the numbers that are about to be given away. */
static int aside(int fd)
{
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, SPARE_FD);
}

static void become(const struct spawn_options *o, char **environment, int report,
                   pid_t parent)
{
    int input = aside(o->input), output = aside(o->output), errors = aside(o->errors),
        secrets = aside(o->secrets);
    sigset_t none;

    report = aside(report);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(EXEC_FAILED);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    put(input, STDIN_FILENO);
    put(output, STDOUT_FILENO);
    put(errors, STDERR_FILENO);
    if (secrets >= 0)
        put(secrets, SPAWN_SECRETS_FD);
    else
        close(SPAWN_SECRETS_FD);
    if (dup3(report, REPORT_FD, O_CLOEXEC) < 0)
        _exit(EXEC_FAILED);
    close_range(REPORT_FD + 1, ~0u, 0);
    if (!o->directory || chdir(o->directory) == 0)
        execvpe(o->argv[0], o->argv, environment);
    int why = errno;
    if (write(REPORT_FD, &why, sizeof(why)) != sizeof(why))
        _exit(EXEC_FAILED);
    _exit(EXEC_FAILED);
}

/* --- the parent --- */

/* Ours and the further variables; the list is to be freed. */
static char **with_variables(const char *const *variables)
{
    size_t n = 0, more = 0;

    while (environ[n])
        n++;
    while (variables && variables[more])
        more++;
    char **list = mem_array(n + more + 1, sizeof(*list));
    memcpy(list, environ, n * sizeof(*list));
    for (size_t i = 0; i < more; i++)
        list[n + i] = (char *)(uintptr_t)variables[i];
    return list;
}

pid_t spawn(const struct spawn_options *options, char *error, size_t error_size)
{
    int report[2], why = 0;
    pid_t parent = getpid();

    if (pipe2(report, O_CLOEXEC) != 0) {
        snprintf(error, error_size, "%s", strerror(errno));
        return -1;
    }
    char **environment = with_variables(options->variables);
    pid_t pid = fork();
    if (pid == 0)
        become(options, environment, report[1], parent);
    why = pid < 0 ? errno : 0;
    free(environment);
    close(report[1]);
    if (pid > 0 && read(report[0], &why, sizeof(why)) == sizeof(why)) {
        (void)waitpid(pid, NULL, 0); /* it ends by itself */
        pid = -1;
    }
    close(report[0]);
    if (pid < 0)
        snprintf(error, error_size, "%s: %s", options->argv[0], strerror(why));
    return pid;
}

void spawn_kill(pid_t pid, char *ret_how, size_t size)
{
    int status = 0;
    bool has_ended = waitpid(pid, &status, WNOHANG) == pid;

    kill(-pid, SIGKILL); /* whom it started as well, also when it has ended itself */
    if (!has_ended)
        has_ended = waitpid(pid, &status, 0) == pid; /* at once: it was killed */
    if (!has_ended)
        snprintf(ret_how, size, "ended");
    else if (WIFSIGNALED(status))
        snprintf(ret_how, size, "was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(ret_how, size, "ended with status %d", WEXITSTATUS(status));
}

int spawn_memory(const void *bytes, size_t n)
{
    int fd = memfd_create("secrets", MFD_CLOEXEC);

    if (fd >= 0 && (write(fd, bytes, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}
