/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/sdk/call.h"
#include "lib/sdk/program.h"
#include "lib/worker/capture.h"
#include "lib/worker/worker.h"

enum { MANIFEST_TIMEOUT_US = 10000000 };

static void worker_said(void *user, const char *about, const char *text)
{
    const struct integration *integration = user;
    _free_ char *said = mem_text(text);

    call_redact(integration, said, strlen(said));
    log_say(WORKER_SAID, "integration=%s event=%s text=\"%s\"", integration->name,
            about ? about : "-", said);
}

static void worker_ended(void *user, const char *about, const char *how)
{
    const struct integration *integration = user;

    log_say(WORKER_ENDED, "integration=%s event=%s how=\"%s\"", integration->name,
            about ? about : "-", how);
}

/* Where the configuration is: commands start there. */
static char *config_directory(const struct config *config)
{
    const char *slash = strrchr(config->path, '/');

    return slash == config->path ? mem_text("/")
                                 : mem_copy(config->path, (size_t)(slash - config->path));
}

static int read_file(const char *path, struct buf *out, char *error, size_t error_size)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;

    if (file)
        n = fread(buf_reserve(out, PROGRAM_MANIFEST_MAX + 1), 1, PROGRAM_MANIFEST_MAX + 1,
                  file);
    bool is_read = file && !ferror(file) && n <= PROGRAM_MANIFEST_MAX;
    if (!is_read)
        snprintf(error, error_size, "%s: %s", path,
                 n > PROGRAM_MANIFEST_MAX ? "a manifest is at most 256 KiB"
                                          : strerror(errno));
    out->len += is_read ? n : 0;
    if (file)
        (void)fclose(file); /* it was only read */
    return is_read ? 0 : 2;
}

static int ask_manifest(const struct config_integration *c, const char *directory,
                        struct buf *out, char *error, size_t error_size)
{
    char **argv = mem_array(c->n_command + 2, sizeof(*argv));

    memcpy(argv, c->command, c->n_command * sizeof(*argv));
    argv[c->n_command] = (char[]){"--manifest"};
    int result = capture(&(struct capture_options){.argv = argv,
                                                   .directory = directory,
                                                   .timeout_us = MANIFEST_TIMEOUT_US,
                                                   .output_max = PROGRAM_MANIFEST_MAX,
                                                   .errors = STDERR_FILENO},
                         out, error, error_size);
    free(argv);
    return result;
}

/* The tables in the text, if they are this connector's. */
static struct program *read_program(const struct config_integration *c,
                                    const struct buf *text, char *error,
                                    size_t error_size)
{
    struct buf errors = BUF_NULL;
    struct program *program = program_new((const char *)text->bytes, text->len, &errors);
    const char *name = program ? program_connector(program)->name : c->connector;

    if (!program)
        snprintf(error, error_size, "the manifest of integrations.%s.command: %s",
                 c->name, buf_str(&errors));
    buf_fini(&errors);
    if (strcmp(name, c->connector) == 0)
        return program;
    snprintf(error, error_size,
             "integrations.%s.connector is %s, and the manifest of its command names %s; "
             "expected the same name",
             c->name, c->connector, name);
    program_free(program);
    return NULL;
}

struct program *command_program(const struct config *config,
                                const struct config_integration *c, char *error,
                                size_t error_size)
{
    _free_ char *directory = config_directory(config);
    struct program *program = NULL;
    struct buf text = BUF_NULL;
    int result = 2;

    if (!c->n_command)
        snprintf(error, error_size, "integrations.%s.command is needed", c->name);
    else if (c->manifest)
        result = read_file(c->manifest, &text, error, error_size);
    else
        result = ask_manifest(c, directory, &text, error, error_size);
    if (!result)
        program = read_program(c, &text, error, error_size);
    buf_fini(&text);
    return program;
}

struct workers *command_workers(struct loop *loop, const struct config *config,
                                const struct config_integration *c,
                                const struct integration *integration)
{
    static const char *const variables[] = {"SIGNALBOX_SECRETS_FD=3", NULL};
    _free_ char *directory = config_directory(config);
    char *secrets = program_secrets(integration);

    struct workers *workers =
        workers_new(loop, &(struct workers_options){
                              .argv = c->command,
                              .directory = directory,
                              .count = c->workers,
                              .secrets = secrets,
                              .variables = variables,
                              .on_said = worker_said,
                              .on_ended = worker_ended,
                              .user = (void *)(uintptr_t)integration,
                          });
    explicit_bzero(secrets, strlen(secrets));
    free(secrets);
    return workers;
}
