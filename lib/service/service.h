/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* service - the skeleton of every signalbox process
 *
 * main() hands it a table; it reads arguments (-c FILE, --secrets-fd N, --help,
 * --version, and the process's own), loads the configuration, makes the process
 * undumpable, dies with its parent, takes signals (TERM and INT: stop; HUP: reload), runs
 * the loop and tells the supervisor on the ready descriptor (--ready-fd N, one byte 'R')
 * that it serves. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct config;
struct loop;
struct secrets;
struct service_run;

struct service_option {
    const char *name;  /* "--once" */
    const char *value; /* "FILE" when it takes one, NULL for a flag */
    const char *help;
};

struct service {
    const char *name;    /* "signalbox-broker" */
    const char *summary; /* one line for --help */
    const struct service_option
        *options; /* own options, ended by a NULL name; may be NULL */
    bool needs_config;
    /* Own flags that need nothing else (--manifest): called once the arguments are read,
     * before configuration, secrets and loop. Returns -1 to go on, or the exit status.
     * May be NULL. */
    int (*flags)(struct service_run *run);
    /* Set everything up on the loop; 0, or after having said why in error[] 2 when the
     * configuration is to blame, else any other. */
    int (*start)(struct service_run *run, char *error, size_t error_size);
    /* Asked to stop: finish what is held, then call loop_stop. NULL: the loop is stopped
     * at once. A second signal stops the loop at once too, and 15 s after the first the
     * process is killed. */
    void (*stop)(struct service_run *run);
    /* A new configuration was read and is valid; apply what can be applied. It is
     * run->config from then on; the old one lives until the process ends, so texts
     * borrowed from it stay good. NULL: not reloadable. */
    void (*reload)(struct service_run *run, const struct config *config);
    /* The loop has ended: free what start made. Not called when start failed. May be
     * NULL. */
    void (*finish)(struct service_run *run);
};

struct service_run {
    const struct service *service;
    struct loop *loop;
    const struct config *config; /* NULL unless needs_config, and in flags() */
    struct secrets *secrets; /* what the supervisor handed over; empty when nothing was */
    void *state;             /* the process's own */
};

/* The whole life of the process; returns the exit status for main: 0, 1 when it could not
 * start or go on, 2 when arguments or configuration are wrong. */
int service_main(const struct service *service, int argc, char **argv);
/* The value of an own option, NULL when not given ("" for a flag that was). */
const char *service_option(const struct service_run *run, const char *name);
/* Tell the supervisor that the process serves. */
void service_ready(struct service_run *run);

/* --- secrets: name -> bytes, read once from the inherited descriptor, wiped at exit,
 * never printed --- */
/* JSON until EOF: {"name": "text"} or {"name": ["current", "older"]}, at most 256 KiB.
 * Closes fd. NULL, and why (never the content) in error[], when it is anything else. */
struct secrets *secrets_read(int fd, char *error, size_t error_size);
void secrets_free(struct secrets *secrets);
/* The current value; NULL when there is none. Lives as long as the secrets. */
const char *secrets_get(const struct secrets *secrets, const char *name);
/* All versions still valid, current first, NULL-terminated (vault entries with
 * --keep-old). Never NULL. */
const char *const *secrets_all(const struct secrets *secrets, const char *name);
/* Where each of these came from, in the same order: "vault:NAME#VERSION", "file:PATH#0";
 * NULL-terminated. Empty when it was not handed over. */
const char *const *secrets_origins(const struct secrets *secrets, const char *name);

/* --- locks: one process per directory --- */
/* Take `dir`/`name`.lock ("broker", "logger", "up") for the life of the process. Makes
 * the directory (0700) when missing. Returns the fd, or -1 with "another signalbox-broker
 * (pid 123) uses DIR" in error[]. */
int service_lock(const char *dir, const char *name, char *error, size_t error_size);
