/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "proto/record.h"

int cli_fail(enum cli_status status, const char *format, ...)
{
    va_list args;

    fputs("signalbox: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return status;
}

/* --- arguments --- */

/* What every command takes: -c and --json are stored in the cli. */
struct taking {
    struct cli *cli;
    const struct cli_option *options;
    const char *json;
    struct cli_option common[3];
};

static const struct cli_option *find(const struct cli_option *options, const char *name,
                                     size_t n)
{
    for (; options && options->name; options++)
        if (strlen(options->name) == n && memcmp(options->name, name, n) == 0)
            return options;
    return NULL;
}

static int unknown_option(const struct taking *t, const char *name)
{
    const char *names[32] = {"-c", "--json"};
    size_t n = 2;

    for (const struct cli_option *o = t->options; o && o->name && n < 31; o++)
        names[n++] = o->name;
    const char *near = text_nearest(name, names);
    cli_fail(CLI_USAGE, "there is no option %s here%s%s", name,
             near ? "; did you mean " : "", near ? near : "");
    return -1;
}

/* Take the option at argv[0]. Returns how many words it used, or -1. */
static int take_option(struct taking *t, int argc, char **argv)
{
    const char *equals = argv[0][1] == '-' ? strchr(argv[0], '=') : NULL;
    size_t n = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    const struct cli_option *option = find(t->options, argv[0], n);

    if (!option)
        option = find(t->common, argv[0], n);
    if (!option) {
        _free_ char *name = mem_copy(argv[0], n);
        return unknown_option(t, name);
    }
    if (!option->value) {
        *option->ret = "";
        return equals ? (cli_fail(CLI_USAGE, "%s takes no value", option->name), -1) : 1;
    }
    if (!equals && argc < 2) {
        cli_fail(CLI_USAGE, "%s needs a value: %s %s", option->name, option->name,
                 option->value);
        return -1;
    }
    *option->ret = equals ? equals + 1 : argv[1];
    return equals ? 1 : 2;
}

int cli_arguments(struct cli *cli, const struct cli_option *options, int argc,
                  char **argv, int min, int max)
{
    struct taking t = {.cli = cli, .options = options};
    int left = 0;
    bool is_over = false;

    t.common[0] = (struct cli_option){"-c", "FILE", &cli->config_path};
    t.common[1] = (struct cli_option){"--json", NULL, &t.json};
    for (int i = 1; i < argc;) {
        int used = 1;
        if (!is_over && strcmp(argv[i], "--") == 0)
            is_over = true;
        else if (is_over || argv[i][0] != '-' || !argv[i][1])
            argv[++left] = argv[i];
        else
            used = take_option(&t, argc - i, argv + i);
        if (used < 0)
            return -1;
        i += used;
    }
    cli->json |= t.json != NULL;
    if (left >= min && left <= max)
        return left;
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, argv[0]) == 0)
            cli_fail(CLI_USAGE, "usage: signalbox %s %s", c->name, c->args);
    return -1;
}

/* --- values of options --- */

bool cli_duration(const char *option, const char *text, uint64_t *ret_us)
{
    if (text_parse_duration(text, ret_us))
        return true;
    cli_fail(CLI_USAGE,
             "%s: `%s` is no duration; expected one such as 250ms, 10s, 5m, 24h", option,
             text);
    return false;
}

bool cli_time(const char *option, const char *text, uint64_t *ret_time_us)
{
    uint64_t us, now = clock_wall_us();

    if (text_parse_duration(text, &us)) {
        us = us < now ? now - us : 0;
    } else if (!text_parse_time(text, &us)) {
        cli_fail(CLI_USAGE, "%s: `%s` is no time; expected 2026-01-31T12:00:00Z or 1h",
                 option, text);
        return false;
    }
    *ret_time_us = us ? us : 1; /* 0 would be no bound */
    return true;
}

bool cli_number(const char *option, const char *text, uint64_t min, uint64_t max,
                uint64_t *ret)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text >= '0' && *text <= '9' && !*end && !errno && value >= min && value <= max) {
        *ret = value;
        return true;
    }
    cli_fail(CLI_USAGE, "%s: expected a whole number from %llu to %llu", option,
             (unsigned long long)min, (unsigned long long)max);
    return false;
}

/* Everything from a descriptor, up to an event's size. */
static char *read_data(int fd, const char *name, size_t *ret_len)
{
    struct buf data = BUF_NULL;
    ssize_t n = 1;

    while (data.len <= RECORD_DATA_MAX &&
           (n = read(fd, buf_reserve(&data, 65536), 65536)) > 0)
        data.len += (size_t)n;
    if (n != 0) {
        cli_fail(CLI_USAGE, "--data %s: %s", name,
                 n < 0 ? strerror(errno) : "it is larger than an event may be (1 MiB)");
        buf_fini(&data);
        return NULL;
    }
    *ret_len = data.len;
    return (char *)(uintptr_t)buf_str(&data); /* the caller's now */
}

char *cli_data(const char *option, size_t *ret_len)
{
    if (!option || (*option != '@' && strcmp(option, "-") != 0)) {
        *ret_len = strlen(option ? option : "{}");
        return mem_text(option ? option : "{}");
    }
    if (*option == '-')
        return read_data(STDIN_FILENO, option, ret_len);
    int fd = open(option + 1, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        cli_fail(CLI_USAGE, "--data %s: %s", option, strerror(errno));
        return NULL;
    }
    char *data = read_data(fd, option, ret_len);
    close(fd);
    return data;
}

/* --- configuration and output --- */

const struct config *cli_config(struct cli *cli)
{
    struct buf errors = BUF_NULL;

    if (strcmp(cli->config_path, CLI_CONFIG_DEFAULT) == 0 &&
        access(CLI_CONFIG_DEFAULT, F_OK) != 0 && access(CLI_CONFIG_SANDBOX, F_OK) == 0)
        cli->config_path = CLI_CONFIG_SANDBOX;
    if (!cli->config)
        cli->config = config_load(cli->config_path, &errors);
    if (!cli->config) {
        fputs(buf_str(&errors), stderr);
        if (access(cli->config_path, F_OK) != 0)
            cli_fail(CLI_USAGE,
                     "`signalbox init` makes a first configuration; -c FILE names "
                     "another one");
    }
    buf_fini(&errors);
    return cli->config;
}

void cli_print(const struct cli *cli, struct json *value)
{
    struct buf text = BUF_NULL;

    js_write(value, cli->json ? 0 : 2, &text);
    puts(buf_str(&text));
    buf_fini(&text);
    js_free(value);
}

unsigned cli_columns(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col ? size.ws_col : 80;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

void cli_undumpable(void)
{
    const struct rlimit none = {0, 0};

#ifndef SANITIZED /* the leak check must look into its own process */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail with these values */
#endif
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
}
