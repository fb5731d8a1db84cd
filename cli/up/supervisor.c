/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/up/change.h"
#include "cli/up/child.h"
#include "cli/up/keys.h"
#include "cli/up/listen.h"
#include "cli/up/program.h"
#include "cli/up/sandbox.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"

enum { STOP_S = 10, EARLY_ENDS_MAX = 3, ERROR_SIZE = 4096 };

struct member {
    enum role role;
    char *integration; /* of a connector, and of the sandbox */
    struct child *child;
    struct supervisor *supervisor;
};

struct supervisor {
    struct loop *loop;
    struct supervisor_options options;
    char *programs; /* the directory of the programs */
    char *config_path, *sandbox;
    struct config *config;
    struct keys *keys;
    int lock_fd;
    int listen_fd;           /* the gateway's; -1: none runs here */
    struct member **members; /* in the order of starting */
    size_t n;
    struct loop_timer *stop_timer, *expiry_timer, *free_timer;
    bool is_up, is_stopping, is_ended;
    int status;
};

static void start_next(struct supervisor *s);
static void stop_next(struct supervisor *s);

/* --- members --- */

static void member_free(struct member *member)
{
    child_free(member->child);
    free(member->integration);
    free(member);
}

static struct member *find(const struct supervisor *s, enum role role,
                           const char *integration)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->members[i]->role == role &&
            (!integration || strcmp(s->members[i]->integration, integration) == 0))
            return s->members[i];
    return NULL;
}

static char *secrets_of(const struct supervisor *s, const struct keys *keys,
                        const struct config *config, const struct member *member)
{
    switch (member->role) {
    case ROLE_BROKER:
        return keys_for_broker(keys);
    case ROLE_GATEWAY:
        return keys_for_gateway(keys);
    case ROLE_SANDBOX:
        return keys_for_sandbox(keys, config, s->options.sandbox_port);
    case ROLE_CONNECTOR:
        return keys_for_connector(keys, config_integration(config, member->integration));
    case ROLE_DELIVER:
        return keys_for_deliver(keys, member->integration);
    case ROLE_LOGGER:
    case ROLE_COUNT:
        break;
    }
    return keys_for_logger(keys);
}

static void on_ready(void *user, struct child *child)
{
    struct member *member = user;

    (void)child;
    start_next(member->supervisor);
}

static void on_ended(void *user, struct child *child)
{
    struct member *member = user;
    struct supervisor *s = member->supervisor;

    if (s->is_stopping)
        stop_next(s);
    else if (!s->is_up && member->role < ROLE_CONNECTOR &&
             child_early_ends(child) >= EARLY_ENDS_MAX) {
        log_say(FATAL, "%s ends before it serves; its last words stand above",
                child_name(child));
        s->status = 1;
        supervisor_stop(s);
    }
}

/* A new member at `at`. */
static void add(struct supervisor *s, size_t at, enum role role, const char *program,
                const char *integration)
{
    struct member *member = mem_alloc(sizeof(*member));
    const struct config_integration *in =
        integration ? config_integration(s->config, integration) : NULL;
    _free_ char *path = role == ROLE_CONNECTOR
                            ? program_of(s->programs, in)
                            : mem_format("%s/signalbox-%s", s->programs, program);
    _free_ char *name = role >= ROLE_CONNECTOR ? mem_format("%s %s", program, integration)
                                               : mem_text(program);
    _free_ char *port = mem_format("%d", s->options.sandbox_port);
    _free_ char *hooks = sandbox_webhooks(s->config, s->options.sandbox_port);
    const char *plain[] = {"-c", s->config->path,
                           role == ROLE_CONNECTOR ? "--integration"
                           : role == ROLE_DELIVER ? "--name"
                                                  : NULL,
                           integration, NULL};
    const char *sandbox[] = {"--port", port, "--webhooks", hooks, NULL};

    *member = (struct member){role, mem_text(integration), NULL, s};
    member->child = child_new(s->loop, &(struct child_options){
                                           .name = name,
                                           .program = path,
                                           .args = role == ROLE_SANDBOX ? sandbox : plain,
                                           .on_ready = on_ready,
                                           .on_ended = on_ended,
                                           .user = member,
                                       });
    (void)child_set_secrets(member->child, secrets_of(s, s->keys, s->config, member));
    s->members = mem_resize(s->members, (s->n + 1) * sizeof(*s->members));
    memmove(s->members + at + 1, s->members + at, (s->n - at) * sizeof(*s->members));
    s->members[at] = member;
    s->n++;
}

/* The gateway listens on this one from its next start on. */
static void set_listener(struct supervisor *s, int fd)
{
    struct member *gateway = find(s, ROLE_GATEWAY, NULL);

    if (s->listen_fd >= 0)
        close(s->listen_fd);
    s->listen_fd = fd;
    if (gateway)
        child_set_listener(gateway->child, fd);
}

static void add_all(struct supervisor *s)
{
    if (!s->config->bus.connect) {
        add(s, s->n, ROLE_LOGGER, "logger", NULL);
        add(s, s->n, ROLE_BROKER, "broker", NULL);
        add(s, s->n, ROLE_GATEWAY, "gateway", NULL);
        child_set_listener(s->members[s->n - 1]->child, s->listen_fd);
    }
    if (s->sandbox)
        add(s, s->n, ROLE_SANDBOX, "sandbox", s->sandbox);
    for (size_t i = 0; i < s->config->n_integrations; i++)
        if (program_runs_here(s->config, &s->config->integrations[i]))
            add(s, s->n, ROLE_CONNECTOR, s->config->integrations[i].connector,
                s->config->integrations[i].name);
    for (size_t i = 0; !s->config->bus.connect && i < s->config->n_deliver; i++)
        add(s, s->n, ROLE_DELIVER, "deliver", s->config->deliver[i].name);
}

/* --- start --- */

static bool is_all_ready(const struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (child_state(s->members[i]->child) != CHILD_READY)
            return false;
    return true;
}

/* Go on with the first start: the next of the core once the one before serves, then the
 * connectors together. */
static void start_next(struct supervisor *s)
{
    if (s->is_stopping || s->is_up)
        return;
    for (size_t i = 0; i < s->n; i++) {
        struct member *member = s->members[i];
        if (child_state(member->child) == CHILD_IDLE)
            child_start(member->child);
        if (member->role < ROLE_CONNECTOR && child_state(member->child) != CHILD_READY)
            return;
    }
    if (!is_all_ready(s))
        return;
    s->is_up = true;
    s->options.on_up(s->options.user);
}

/* --- stop --- */

static bool is_running(const struct member *member)
{
    return child_is_running(member->child);
}

static void end(struct supervisor *s)
{
    if (s->is_ended)
        return;
    s->is_ended = true;
    loop_timer_stop(s->stop_timer);
    s->options.on_end(s->options.user, s->status);
}

/* Ask the last running step to end: all connectors and the sandbox together, then one
 * after the other. */
static void stop_next(struct supervisor *s)
{
    bool waits = false;

    for (size_t i = s->n; i-- > 0;) {
        struct member *member = s->members[i];
        bool is_core = member->role < ROLE_SANDBOX;
        if (!is_running(member)) {
            child_stop(member->child); /* and no pause will start it again */
            continue;
        }
        if (is_core && waits)
            return;
        waits = true;
        if (child_state(member->child) != CHILD_STOPPING)
            child_stop(member->child);
        if (is_core)
            return;
    }
    if (!waits)
        end(s);
}

static void on_stop_late(void *user)
{
    struct supervisor *s = user;

    for (size_t i = 0; i < s->n; i++)
        child_kill(s->members[i]->child);
}

void supervisor_stop(struct supervisor *s)
{
    if (s->is_stopping) {
        on_stop_late(s);
        return;
    }
    s->is_stopping = true;
    log_say(PROCESS_STOPPING, "%zu processes", s->n);
    set_listener(s, -1); /* who comes now is refused rather than kept waiting */
    loop_timer_in(s->stop_timer, STOP_S * UINT64_C(1000000));
    stop_next(s);
}

/* As the first process of a container `up` also gets what others leave behind: the
 * programs of a connector that was killed. */
static void reap_orphans(struct supervisor *s)
{
    siginfo_t ended = {0};

    while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid) {
        for (size_t i = 0; i < s->n; i++)
            if (child_is(s->members[i]->child, ended.si_pid))
                return; /* it ended just now, and has a signal of its own coming */
        (void)waitpid(ended.si_pid, NULL, WNOHANG); /* it is there, as was just seen */
        ended.si_pid = 0;
    }
}

void supervisor_reap(struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++)
        child_reap(s->members[i]->child);
    reap_orphans(s);
}

/* --- reload --- */

static void on_expiry(void *user)
{
    struct buf out = BUF_NULL;

    if (supervisor_reload(user, &out))
        log_say(CONFIG_CHANGED, "an old version of a secret has ended");
    else
        log_say(CONFIG_BAD, "%s", buf_str(&out));
    buf_fini(&out);
}

/* Old versions of secrets end by themselves: what runs is restarted without them. */
static void arm_expiry(struct supervisor *s)
{
    uint64_t until = keys_until_us(s->keys), now = loop_wall_us(s->loop);

    if (until)
        loop_timer_in(s->expiry_timer, until > now ? until - now + 1000 : 1000);
    else
        loop_timer_stop(s->expiry_timer);
}

/* What cannot change while we run. */
static bool is_fixed(struct supervisor *s, const struct config *config, struct buf *out)
{
    if (strcmp(config->data, s->config->data) == 0 &&
        strcmp(config->run, s->config->run) == 0 &&
        !config->bus.connect == !s->config->bus.connect)
        return false;
    buf_text(out, "`data`, `run` and the use of `bus.connect` cannot change while "
                  "signalbox runs; stop it first\n");
    return true;
}

/* Has its integration gone, or got another connector; has its delivery gone? */
static bool is_gone(const struct supervisor *s, const struct config *config,
                    const struct member *member)
{
    const struct config_integration *now =
        config_integration(config, member->integration);

    if (member->role == ROLE_DELIVER)
        return !config_deliver(config, member->integration);
    return !now || !program_runs_here(config, now) ||
           !program_is_same(s->programs, now,
                            config_integration(s->config, member->integration));
}

static void drop_gone(struct supervisor *s, const struct config *config)
{
    for (size_t i = s->n; i-- > 0;) {
        struct member *member = s->members[i];
        if (member->role < ROLE_CONNECTOR || !is_gone(s, config, member))
            continue;
        member_free(member); /* the broker delivers again what it held */
        memmove(s->members + i, s->members + i + 1, (s->n - i - 1) * sizeof(*s->members));
        s->n--;
    }
}

/* A new integration or delivery: its process. */
static void add_new(struct supervisor *s, enum role role, const char *program,
                    const char *name)
{
    if (find(s, role, name))
        return;
    add(s, s->n, role, program, name);
    child_start(s->members[s->n - 1]->child);
}

/* Restart who is concerned; those first whom others need. */
static void apply(struct supervisor *s, struct buf *diff, bool must_restart_broker)
{
    for (size_t i = 0; i < s->n; i++) {
        struct member *member = s->members[i];
        bool has_new =
            child_set_secrets(member->child, secrets_of(s, s->keys, s->config, member));
        bool is_meant = change_concerns(buf_str(diff), member->role, member->integration);
        if (has_new && !is_meant)
            buf_format(diff, "(%s: other secrets)\n", child_name(member->child));
        if (has_new || is_meant || (member->role == ROLE_BROKER && must_restart_broker))
            child_restart(member->child);
        else if (member->role == ROLE_BROKER && change_has_peers(buf_str(diff)))
            child_reload(member->child);
    }
    for (size_t i = 0; i < s->config->n_integrations; i++)
        if (program_runs_here(s->config, &s->config->integrations[i]))
            add_new(s, ROLE_CONNECTOR, s->config->integrations[i].connector,
                    s->config->integrations[i].name);
    for (size_t i = 0; !s->config->bus.connect && i < s->config->n_deliver; i++)
        add_new(s, ROLE_DELIVER, "deliver", s->config->deliver[i].name);
}

/* Listen where the new configuration says; what is open stays where nothing differs. */
static bool listen_again(struct supervisor *s, const struct config *config,
                         struct buf *out)
{
    char error[ERROR_SIZE];

    if (s->listen_fd < 0 ||
        (config->gateway.port == s->config->gateway.port &&
         !strcmp(config->gateway.address, s->config->gateway.address)))
        return true;
    int fd =
        listen_open(config->gateway.address, config->gateway.port, error, sizeof(error));
    if (fd >= 0)
        set_listener(s, fd);
    else
        buf_format(out, "%s\n", error);
    return fd >= 0;
}

bool supervisor_reload(struct supervisor *s, struct buf *out)
{
    char error[ERROR_SIZE];
    struct config *config = s->is_stopping ? NULL : config_load(s->config_path, out);
    struct keys *keys = NULL;

    if (config && !is_fixed(s, config, out) &&
        programs_are_there(s->programs, config, s->sandbox != NULL, out)) {
        keys = keys_read(config, s->keys, error, sizeof(error));
        if (!keys)
            buf_format(out, "%s\n", error);
    }
    if (!keys || !listen_again(s, config, out)) {
        keys_free(keys);
        config_free(config);
        return false;
    }
    config_diff(s->config, config, out);
    drop_gone(s, config);
    bool must_restart_broker = change_loses_observer(s->config, config);
    config_free(s->config);
    keys_free(s->keys);
    s->config = config;
    log_form(config->log_format);
    s->keys = keys;
    apply(s, out, must_restart_broker);
    arm_expiry(s);
    return true;
}

/* --- life --- */

static bool prepare(struct supervisor *s, struct buf *errors)
{
    char error[ERROR_SIZE];

    s->config = config_load(s->config_path, errors);
    if (s->config)
        log_form(s->config->log_format);
    if (!s->config ||
        !programs_are_there(s->programs, s->config, s->sandbox != NULL, errors))
        return false;
    if (s->sandbox && !config_integration(s->config, s->sandbox)) {
        buf_format(errors, "%s: there is no integration `%s` for the sandbox\n",
                   s->config_path, s->sandbox);
        return false;
    }
    if (mkdir(s->config->data, 0700) != 0 && errno != EEXIST && errno != ENOENT) {
        buf_format(errors, "%s: %s\n", s->config->data, strerror(errno));
        return false;
    }
    s->lock_fd = service_lock(s->config->run, "up", error, sizeof(error));
    if (s->lock_fd >= 0)
        s->keys = keys_read(s->config, NULL, error, sizeof(error));
    bool good = s->keys != NULL;
    if (good && !s->config->bus.connect) {
        s->listen_fd = listen_open(s->config->gateway.address, s->config->gateway.port,
                                   error, sizeof(error));
        good = s->listen_fd >= 0;
    }
    if (!good)
        buf_format(errors, "%s\n", error);
    return good;
}

struct supervisor *supervisor_new(struct loop *loop,
                                  const struct supervisor_options *options,
                                  struct buf *errors)
{
    struct supervisor *s = mem_alloc(sizeof(*s));

    s->loop = loop;
    s->options = *options;
    s->config_path = mem_text(options->config_path);
    s->sandbox = mem_text(options->sandbox);
    s->programs = programs_directory();
    s->lock_fd = s->listen_fd = -1;
    s->stop_timer = loop_timer_new(loop, on_stop_late, s);
    s->expiry_timer = loop_timer_new(loop, on_expiry, s);
    if (!prepare(s, errors)) {
        supervisor_free(s);
        return NULL;
    }
    add_all(s);
    arm_expiry(s);
    start_next(s);
    return s;
}

void supervisor_free(struct supervisor *s)
{
    if (!s)
        return;
    for (size_t i = s->n; i-- > 0;)
        member_free(s->members[i]);
    free(s->members);
    s->n = 0;
    set_listener(s, -1);
    loop_timer_free(s->stop_timer);
    loop_timer_free(s->expiry_timer);
    keys_free(s->keys);
    config_free(s->config);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->programs);
    free(s->config_path);
    free(s->sandbox);
    free(s);
}

struct json *supervisor_json(const struct supervisor *s)
{
    struct json *processes = js_array();

    for (size_t i = 0; i < s->n; i++)
        js_push(processes, child_json(s->members[i]->child));
    return js_set(js_set_int(js_object(), "pid", getpid()), "processes", processes);
}

const struct config *supervisor_config(const struct supervisor *s)
{
    return s->config;
}
