/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cli - what the commands of `signalbox` share
 *
 * A command is a row in main.c's table and a function.  It reads its arguments with
 * cli_arguments (which also takes -c FILE and
 * --json anywhere), asks for the configuration when it needs one, prints data to stdout,
 * everything else to stderr, and returns one of the statuses below, which are public. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct json;

enum cli_status {
    CLI_DONE = 0,        /* done */
    CLI_FAILED = 1,      /* the thing asked about failed */
    CLI_USAGE = 2,       /* usage or configuration */
    CLI_UNREACHABLE = 3, /* the system is not reachable */
    CLI_PENDING = 4,     /* still pending */
};

/* Where -c is not given: this, or where it is absent what `up --sandbox` has made beside
 * it. */
#define CLI_CONFIG_DEFAULT "./signalbox.yaml"
#define CLI_CONFIG_SANDBOX "./sandbox/signalbox.yaml"

struct cli {
    const char *config_path; /* -c, else ./signalbox.yaml */
    bool json;               /* --json: one object a line */
    struct config *config;   /* read on demand: cli_config() */
};

typedef int (*cli_fn)(struct cli *cli, int argc,
                      char **argv); /* argv[0] is the command's name */

struct cli_command {
    const char *name;    /* "log", or two words: "log verify" is given to "log" */
    const char *args;    /* "[--service S] [--type PATTERN]" */
    const char *summary; /* one line */
    cli_fn fn;
};

/* An option of a command. `--name value`, `--name=value`; the last one given counts. */
struct cli_option {
    const char *name;  /* "--since" */
    const char *value; /* "TIME" when it takes one, NULL for a flag */
    const char **ret;  /* gets the value, "" for a flag; untouched when not given */
};

/* Take the options (ended by a NULL name; NULL: none) out of argv; what is left, at least
 * `min` and at most `max` words, is moved to argv[1] and on. `--` ends the options.
 * Returns how many words are left, or -1 after having said what is wrong. */
int cli_arguments(struct cli *cli, const struct cli_option *options, int argc,
                  char **argv, int min, int max);
/* The configuration, read once; NULL after having printed what is wrong with it (return
 * CLI_USAGE). */
const struct config *cli_config(struct cli *cli);
/* Print "signalbox: ..." to stderr and return `status`. */
int cli_fail(enum cli_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Print a value to stdout: one line with --json, indented without. Takes the value. */
void cli_print(const struct cli *cli, struct json *value);
/* RFC 3339, or a duration that means so long ago ("1h"). False after having said what is
 * wrong; `option` is named. */
bool cli_time(const char *option, const char *text, uint64_t *ret_time_us);
/* A duration option; false after having said what is wrong. */
bool cli_duration(const char *option, const char *text, uint64_t *ret_us);
/* A whole number from min to max. */
bool cli_number(const char *option, const char *text, uint64_t min, uint64_t max,
                uint64_t *ret);
/* What --data says: JSON itself, @FILE or - for stdin; NULL is an empty object. The bytes
 * are freed by the caller; NULL after having said what is wrong. */
char *cli_data(const char *option, size_t *ret_len);
/* Columns of the terminal; 0 when stdout is none. */
unsigned cli_columns(void);

/* From here on nobody else may look into this process, and it leaves no core: it is about
 * to hold secrets. */
void cli_undumpable(void);

/* The table, ended by a NULL name. */
extern const struct cli_command cli_commands[];
