/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/service/service.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/service/descriptors.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

enum {
    ERROR_SIZE = 1024,
    STOP_MAX_S =
        15, /* from the request to stop until the process is killed by its own alarm */
    OPTIONS_MAX = 32,
};

/* The options of every process. */
static const struct service_option common[] = {
    {"-c", "FILE", "configuration (./signalbox.yaml)"},
    {"--secrets-fd", "N", "read secrets from this descriptor (used by signalbox up)"},
    {"--ready-fd", "N", "tell on this descriptor when serving (used by signalbox up)"},
    {"--help", NULL, "show this"},
    {"--version", NULL, "show the version"},
    {0},
};
enum { OPTION_CONFIG, OPTION_SECRETS_FD, OPTION_READY_FD, OPTION_HELP, OPTION_VERSION };

/* What stands behind the public struct. */
struct life {
    struct service_run run;
    const char *common[sizeof(common) /
                       sizeof(*common)]; /* values, by the tables above and the own one */
    const char *own[OPTIONS_MAX];
    int secrets_fd, ready_fd;
    bool is_stopping;
    struct config **configs; /* all that were ever in force, freed at the end */
    size_t configs_len;
};

static struct life *life_of(const struct service_run *run)
{
    return (struct life *)(uintptr_t)run; /* its first member */
}

/* --- arguments --- */

static long find(const struct service_option *options, const char *name, size_t n)
{
    for (long i = 0; options && options[i].name; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return i;
    return -1;
}

static void suggest(const struct life *life, const char *argument, size_t name_len)
{
    _free_ char *word = mem_copy(argument, name_len);
    const char *names[OPTIONS_MAX + sizeof(common) / sizeof(*common) + 1] = {0};
    const struct service_option *own = life->run.service->options;
    size_t n = 0;

    for (size_t i = 0; common[i].name; i++)
        names[n++] = common[i].name;
    for (size_t i = 0; own && own[i].name; i++)
        names[n++] = own[i].name;
    const char *near = text_nearest(word, names);
    fprintf(stderr, "%s: unknown argument %s%s%s; try --help\n", life->run.service->name,
            word, near ? "; did you mean " : "", near ? near : "");
}

/* One argument, and its value from `=` or the next one. Returns how many were used, 0
 * after an error. */
static int read_argument(struct life *life, char **argv)
{
    const struct service *service = life->run.service;
    const char *equals =
        argv[0][0] == '-' && argv[0][1] == '-' ? strchr(argv[0], '=') : NULL;
    size_t n = equals ? (size_t)(equals - argv[0]) : strlen(argv[0]);
    long at = find(common, argv[0], n);
    const struct service_option *option = at >= 0 ? &common[at] : NULL;
    const char **value = at >= 0 ? &life->common[at] : NULL;

    if (!option && (at = find(service->options, argv[0], n)) >= 0) {
        option = &service->options[at];
        value = &life->own[at];
    }
    if (!option) {
        suggest(life, argv[0], n);
        return 0;
    }
    if (!option->value && equals) {
        fprintf(stderr, "%s: %s takes no value\n", service->name, option->name);
        return 0;
    }
    *value = !option->value ? "" : equals ? equals + 1 : argv[1];
    if (!*value) {
        fprintf(stderr, "%s: %s needs a value: %s\n", service->name, option->name,
                option->value);
        return 0;
    }
    return option->value && !equals ? 2 : 1;
}

/* A descriptor number, -1 when not given, -2 after an error. */
static int read_fd(const struct life *life, int option)
{
    const char *text = life->common[option];
    char *end;

    if (!text)
        return -1;
    long fd = strtol(text, &end, 10);
    if (end == text || *end || fd < 0 || fd > 65535) {
        fprintf(stderr, "%s: %s %s: not a descriptor\n", life->run.service->name,
                common[option].name, text);
        return -2;
    }
    return (int)fd;
}

static int read_arguments(struct life *life, int argc, char **argv)
{
    for (int i = 1, used; i < argc; i += used)
        if ((used = read_argument(life, argv + i)) == 0)
            return -1;
    life->secrets_fd = read_fd(life, OPTION_SECRETS_FD);
    life->ready_fd = read_fd(life, OPTION_READY_FD);
    return life->secrets_fd == -2 || life->ready_fd == -2 ? -1 : 0;
}

static void print_options(const struct service_option *options)
{
    for (size_t i = 0; options && options[i].name; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", options[i].name,
                 options[i].value ? " " : "", options[i].value ? options[i].value : "");
        printf("  %-20s %s\n", left, options[i].help);
    }
}

static void print_help(const struct service *service)
{
    printf("%s - %s\n\nusage: %s [OPTION...]\n", service->name, service->summary,
           service->name);
    print_options(service->options);
    print_options(common);
}

const char *service_option(const struct service_run *run, const char *name)
{
    long at = find(run->service->options, name, strlen(name));

    assert(at >= 0); /* asked for an option that is not in the table */
    return life_of(run)->own[at];
}

/* --- becoming a process that keeps secrets --- */

static void harden(const struct life *life)
{
    const struct rlimit none = {0, 0};

    /* LeakSanitizer must trace its own process, which an undumpable one forbids. */
#ifndef SANITIZED
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail with these values */
#endif
    (void)setrlimit(RLIMIT_CORE, &none); /* lowering is always allowed */
    descriptors_raise();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(077);
    if (life->secrets_fd >= 0 || life->ready_fd >= 0) {
        /* A supervised process ends with its supervisor, also when that was killed. */
        pid_t parent = getppid();
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
        if (getppid() != parent)
            raise(SIGTERM); /* it died in between */
    }
}

/* --- configuration --- */

static void say_lines(struct buf *text, enum log_id id)
{
    for (char *at = (char *)(uintptr_t)buf_str(text), *end; *at; at = end) {
        end = at + strcspn(at, "\n");
        if (*end)
            *end++ = 0;
        log_write(id, "%s", at);
    }
}

/* Read the configuration and keep it; NULL after having said what is wrong with it. */
static struct config *load(struct life *life)
{
    const char *path = life->common[OPTION_CONFIG];
    struct buf errors = BUF_NULL;
    struct config *config = config_load(path ? path : "./signalbox.yaml", &errors);

    if (!config)
        say_lines(&errors, LOG_CONFIG_BAD);
    buf_fini(&errors);
    if (!config)
        return NULL;
    life->configs =
        mem_resize(life->configs, (life->configs_len + 1) * sizeof(struct config *));
    life->configs[life->configs_len++] = config;
    log_form(config->log_format);
    return config;
}

static void reload(struct life *life)
{
    struct service_run *run = &life->run;
    struct buf changes = BUF_NULL;

    if (!run->service->needs_config || !run->service->reload)
        return;
    struct config *config = load(life);
    if (!config)
        return; /* the old one stays in force */
    config_diff(run->config, config, &changes);
    say_lines(&changes, LOG_CONFIG_CHANGED);
    buf_fini(&changes);
    run->service->reload(run, config);
    run->config = config;
}

/* --- signals --- */

static void take_signal(void *user, int number)
{
    struct life *life = user;

    if (number == SIGHUP) {
        reload(life);
        return;
    }
    if (life->is_stopping || !life->run.service->stop) {
        loop_stop(life->run.loop, 0);
        return;
    }
    life->is_stopping = true;
    log_say(PROCESS_STOPPING, "signal=%d", number);
    (void)alarm(STOP_MAX_S); /* also ends a process whose loop hangs */
    life->run.service->stop(&life->run);
}

void service_ready(struct service_run *run)
{
    struct life *life = life_of(run);

    log_say(PROCESS_READY, "pid=%ld", (long)getpid());
    if (life->ready_fd < 0)
        return;
    ssize_t written = write(life->ready_fd, "R", 1);
    (void)written; /* a supervisor that is gone ends us by signal */
    close(life->ready_fd);
    life->ready_fd = -1;
}

/* --- the life --- */

static int serve(struct life *life)
{
    struct service_run *run = &life->run;
    const struct service *service = run->service;
    char error[ERROR_SIZE] = "";
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

    run->loop = loop_new();
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        loop_signal(run->loop, signals[i], take_signal, life);
    struct descriptors *descriptors = descriptors_watch(run->loop);
    int status = service->start(run, error, sizeof(error));
    if (status) {
        log_say(FATAL, "%s", error);
        status = status == 2 ? 2 : 1;
    } else {
        status = loop_run(run->loop);
        if (service->finish)
            service->finish(run);
    }
    descriptors_unwatch(descriptors);
    loop_free(run->loop);
    run->loop = NULL;
    return status;
}

/* Secrets, configuration, then the loop. */
static int live(struct life *life)
{
    char error[ERROR_SIZE] = "";

    harden(life);
    life->run.secrets = secrets_read(life->secrets_fd, error, sizeof(error));
    if (!life->run.secrets) {
        log_say(FATAL, "%s", error);
        return 1;
    }
    if (life->run.service->needs_config) {
        life->run.config = load(life);
        if (!life->run.config)
            return 2;
    }
    return serve(life);
}

int service_main(const struct service *service, int argc, char **argv)
{
    struct life life = {.run.service = service, .secrets_fd = -1, .ready_fd = -1};

    for (size_t i = 0; service->options && service->options[i].name; i++)
        assert(i < OPTIONS_MAX);
    log_open(service->name);
    js_checked();
    if (read_arguments(&life, argc, argv))
        return 2;
    if (life.common[OPTION_HELP]) {
        print_help(service);
        return 0;
    }
    if (life.common[OPTION_VERSION]) {
        printf("%s %s\n", service->name, SIGNALBOX_VERSION);
        return 0;
    }
    int status = service->flags ? service->flags(&life.run) : -1;
    if (status < 0)
        status = live(&life);
    secrets_free(life.run.secrets);
    for (size_t i = 0; i < life.configs_len; i++)
        config_free(life.configs[i]);
    free(life.configs);
    return status;
}
