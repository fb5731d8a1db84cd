/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/up/control.h"
#include "cli/up/sandbox.h"
#include "cli/up/supervisor.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"

enum { ERROR_SIZE = 4096 };

struct up {
    struct loop *loop;
    struct supervisor *supervisor;
    bool is_sandbox;
};

/* Tell systemd (Type=notify); without it there is no such socket. */
static void notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;

    if (!n || n >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, n);
    if (*path == '@')
        address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd >= 0) {
        ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                              (struct sockaddr *)&address, size);
        (void)sent; /* systemd then says itself that nothing came */
        close(fd);
    }
}

static void on_up(void *user)
{
    struct up *up = user;
    const struct config *config = supervisor_config(up->supervisor);

    notify("READY=1");
    if (config->bus.connect)
        printf("signalbox is up: connectors of the broker at %s:%u\n",
               config->bus.connect, config->bus.connect_port);
    else
        printf("signalbox is up: %s://%s:%u, token in %s\n",
               config->gateway.tls_certificate ? "https" : "http",
               config->gateway.address, config->gateway.port, config->gateway.token_file);
    if (up->is_sandbox)
        printf("Practise: signalbox call payment.charge -c %s --data "
               "'{\"amount\":2000,\"currency\":\"usd\",\"payment_method\":\"pm_card_"
               "visa\"}'\n",
               config->path);
    fflush(stdout);
}

static void on_end(void *user, int status)
{
    struct up *up = user;

    loop_stop(up->loop, status);
}

/* --- signals and questions --- */

static void say_lines(enum log_id id, struct buf *text)
{
    char *rest = (char *)(uintptr_t)buf_str(text), *line;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (*line)
            log_write(id, "%s", line);
}

static bool reload(struct up *up, struct buf *out)
{
    struct buf words = BUF_NULL;
    bool good = supervisor_reload(up->supervisor, out);

    buf_text(&words, buf_str(out));
    say_lines(good ? LOG_CONFIG_CHANGED : LOG_CONFIG_BAD, &words);
    buf_fini(&words);
    return good;
}

static void on_signal(void *user, int number)
{
    struct up *up = user;
    struct buf out = BUF_NULL;

    if (number == SIGCHLD)
        supervisor_reap(up->supervisor);
    else if (number == SIGHUP)
        (void)reload(up, &out); /* it was logged */
    else {
        notify("STOPPING=1");
        supervisor_stop(up->supervisor);
    }
    buf_fini(&out);
}

static struct json *on_question(void *user, const char *line)
{
    struct up *up = user;
    struct buf out = BUF_NULL;

    if (strcmp(line, "status") == 0)
        return supervisor_json(up->supervisor);
    if (strcmp(line, "reload") != 0)
        return NULL;
    struct json *answer = js_set_bool(js_object(), "ok", reload(up, &out));
    js_set_text(answer, "text", buf_str(&out));
    buf_fini(&out);
    return answer;
}

/* --- the command --- */

static int run(struct up *up, const struct supervisor_options *options)
{
    static const int signals[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    struct buf errors = BUF_NULL;
    char error[ERROR_SIZE];
    struct control *control = NULL;
    int status = CLI_USAGE;

    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        loop_signal(up->loop, signals[i], on_signal, up);
    up->supervisor = supervisor_new(up->loop, options, &errors);
    if (!up->supervisor)
        fputs(buf_str(&errors), stderr);
    else
        control = control_new(up->loop, supervisor_config(up->supervisor)->run,
                              on_question, up, error, sizeof(error));
    if (up->supervisor && !control)
        cli_fail(CLI_USAGE, "%s", error);
    if (control)
        status = loop_run(up->loop);
    control_free(control);
    supervisor_free(up->supervisor);
    buf_fini(&errors);
    return status;
}

/* The sandbox's directory: --dir, or `sandbox` beside the configuration. */
static char *sandbox_directory(const struct cli *cli, const char *dir)
{
    const char *slash = strrchr(cli->config_path, '/');

    if (dir)
        return mem_text(dir);
    return slash ? mem_format("%.*s/sandbox", (int)(slash - cli->config_path),
                              cli->config_path)
                 : mem_text("sandbox");
}

static int up_sandbox(struct cli *cli, struct up *up, struct supervisor_options *options,
                      const char *dir)
{
    char error[ERROR_SIZE];
    _free_ char *directory = sandbox_directory(cli, dir);
    _free_ char *path = sandbox_prepare(
        directory, &(struct sandbox_options){.poll_every = "1m"}, error, sizeof(error));

    if (!path)
        return cli_fail(CLI_USAGE, "%s", error);
    cli->config_path = path;
    const struct config *config = cli_config(cli);
    const struct config_integration *in =
        config ? config_integration(config, SANDBOX_INTEGRATION) : NULL;
    options->config_path = path;
    options->sandbox = SANDBOX_INTEGRATION;
    options->sandbox_port = in ? sandbox_port_of(in->base_url) : 0;
    int status = !config ? CLI_USAGE
                 : !options->sandbox_port
                     ? cli_fail(CLI_USAGE, "%s: `base_url` of `%s` has no port", path,
                                SANDBOX_INTEGRATION)
                     : run(up, options);
    cli->config_path = NULL; /* it ends here */
    return status;
}

int cmd_up(struct cli *cli, int argc, char **argv)
{
    const char *sandbox = NULL, *dir = NULL;
    const struct cli_option options[] = {
        {"--sandbox", NULL, &sandbox}, {"--dir", "DIR", &dir}, {NULL, NULL, NULL}};

    if (cli_arguments(cli, options, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    if (dir && !sandbox)
        return cli_fail(CLI_USAGE, "--dir goes with --sandbox");
    cli_undumpable();
    struct up up = {.loop = loop_new(), .is_sandbox = sandbox != NULL};
    struct supervisor_options to_run = {
        .config_path = cli->config_path, .on_up = on_up, .on_end = on_end, .user = &up};
    int status = sandbox ? up_sandbox(cli, &up, &to_run, dir) : run(&up, &to_run);
    loop_free(up.loop);
    return status;
}
