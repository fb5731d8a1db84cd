/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/program.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

char *programs_directory(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0)
        return mem_text(".");
    path[n] = 0;
    char *slash = strrchr(path, '/');
    *slash = 0;
    return mem_text(path);
}

bool program_runs_here(const struct config *config, const struct config_integration *in)
{
    return in->connector && !config_is_elsewhere(config, in->name);
}

char *program_of(const char *directory, const struct config_integration *in)
{
    if (in->program)
        return mem_text(in->program);
    return mem_format("%s/signalbox-%s", directory, in->command ? "exec" : in->connector);
}

bool program_is_same(const char *directory, const struct config_integration *a,
                     const struct config_integration *b)
{
    _free_ char *one = program_of(directory, a), *other = program_of(directory, b);

    return strcmp(a->connector, b->connector) == 0 && strcmp(one, other) == 0;
}

static bool is_there(const char *path, struct buf *out)
{
    if (access(path, X_OK) == 0)
        return true;
    buf_format(out, "%s: %s\n", path, strerror(errno));
    return false;
}

static bool has_own(const char *directory, const char *name, struct buf *out)
{
    _free_ char *path = mem_format("%s/signalbox-%s", directory, name);

    return is_there(path, out);
}

static bool has_connector(const char *directory, const struct config *config,
                          const struct config_integration *in, struct buf *out)
{
    _free_ char *path = program_of(directory, in);

    if (is_there(path, out))
        return true;
    buf_format(out, "%s:%d: integration `%s`: there is no connector `%s`\n", config->path,
               in->line, in->name, in->connector);
    return false;
}

bool programs_are_there(const char *directory, const struct config *config,
                        bool with_sandbox, struct buf *out)
{
    static const char *const core[] = {"logger", "broker", "gateway"};
    bool good = true;

    for (size_t i = 0; !config->bus.connect && i < sizeof(core) / sizeof(*core); i++)
        good &= has_own(directory, core[i], out);
    if (with_sandbox)
        good &= has_own(directory, "sandbox", out);
    if (config->n_deliver && !config->bus.connect)
        good &= has_own(directory, "deliver", out);
    for (size_t i = 0; i < config->n_integrations; i++)
        if (program_runs_here(config, &config->integrations[i]))
            good &= has_connector(directory, config, &config->integrations[i], out);
    return good;
}
