/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* subject - a connector's program, started alone in a directory of its own with a
 * configuration and secrets made for the occasion */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct json;

#define SUBJECT_INTEGRATION "under-check"
#define SUBJECT_ADDRESS     "base_url" /* the option by which a program of lines is told */

enum { SUBJECT_WORDS_MAX = 32 /* of the program's command line */ };

struct subject {
    char *words[SUBJECT_WORDS_MAX + 1]; /* the program and its arguments; borrowed, but
                                           for the first, which is made absolute */
    size_t n_words;
    char *provider;
    const char *integration; /* what it is told it serves; set by its owner, else
                                SUBJECT_INTEGRATION */
    struct json *manifest;   /* of that provider where it has several */
    bool is_lines;           /* a program of lines: signalbox-exec is put in front */
    char *directory;         /* temporary; removed at the end */
    pid_t pid;
};

/* Ask the program what it can do. `provider` NULL: the first it has. 0, or 1 with the
 * reason. */
int subject_open(struct subject *subject, char *const *words, size_t n_words,
                 const char *provider, char *error, size_t error_size);
/* What it is started with; texts borrowed. */
struct subject_start {
    const char *base_url;
    const struct json *options; /* {"name": value} over the defaults; may be NULL */
    const struct json *secrets; /* {"name": "file:PATH"}; the others are made up. May be
                                   NULL */
    const struct json *values;  /* {"name": value}: secrets themselves; may be NULL */
    bool needs_secrets; /* made-up ones are not good enough: an error names them */
    bool is_private;    /* base_url is on a private network */
};
int subject_start(struct subject *subject, const struct subject_start *start, char *error,
                  size_t error_size);
/* Does it call the base_url that it is given?  The SDK sees to that; a program of lines
 * does where it has an option of that name. */
bool subject_calls_address(const struct subject *subject);
/* The endpoint at which it looks for its broker; to be freed. */
char *subject_endpoint(const struct subject *subject);
bool subject_is_running(struct subject *subject);
/* Ask it to end; true when it did within `timeout_ms` with status 0, else *ret_how (of
 * 100 bytes) says what it did. It is gone afterwards. */
bool subject_stop(struct subject *subject, unsigned timeout_ms, char *ret_how);
/* The end of what it wrote to its standard error; to be freed. */
char *subject_said(const struct subject *subject);
void subject_close(struct subject *subject);
