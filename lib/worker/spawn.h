/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* spawn - start a program of somebody else's: no shell, no descriptor but those given
 *
 * It is in a process group of its own, so that what it starts can be ended with it, and
 * the kernel kills it when the process that started it dies. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

enum { SPAWN_SECRETS_FD = 3 /* where the program finds `secrets` */ };

struct spawn_options {
    char *const *argv;            /* ended by NULL; the first is looked for in PATH */
    const char *directory;        /* where it starts; NULL: here */
    int input, output, errors;    /* become 0, 1, 2; -1: /dev/null */
    int secrets;                  /* becomes SPAWN_SECRETS_FD; -1: none */
    const char *const *variables; /* "NAME=value" added to the environment, ended by NULL;
                                     may be NULL */
};

/* The process, or -1 with the reason in error[]: also when the program cannot be
 * executed.  The descriptors stay the caller's. */
pid_t spawn(const struct spawn_options *options, char *error, size_t error_size);
/* Kill the process and its group, take its end and say what it was ("ended with status
 * 3"). */
void spawn_kill(pid_t pid, char *ret_how, size_t size);
/* Anonymous memory with these bytes, to be read from the start; -1 when there is none. */
int spawn_memory(const void *bytes, size_t n);
