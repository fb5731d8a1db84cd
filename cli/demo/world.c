/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/world.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/practice.h"
#include "cli/up/sandbox.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

enum { START_S = 20, STOP_S = 15, POLL_MS = 50 };

void world_pause(unsigned ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    (void)nanosleep(&time, NULL); /* a shorter pause does no harm */
}

bool world_no(struct world *world, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(world->why, sizeof(world->why), format, args);
    va_end(args);
    return false;
}

/* --- start and stop --- */

static bool make_directory(struct world *world)
{
    const char *tmp = getenv("TMPDIR");

    world->dir = mem_format("%s/signalbox-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(world->dir))
        return world_no(world, "%s: %s", world->dir, strerror(errno));
    world->err = mem_format("%s/stderr.log", world->dir);
    world->out = mem_format("%s/stdout.log", world->dir);
    return true;
}

static bool make_configuration(struct world *world)
{
    struct buf errors = BUF_NULL;
    struct sandbox_options options = {.gateway_port = sandbox_free_port(0),
                                      .port = sandbox_free_port(0),
                                      .poll_every = "2s"};

    world->config = sandbox_prepare(world->dir, &options, world->why, sizeof(world->why));
    struct config *config = world->config ? config_load(world->config, &errors) : NULL;
    if (config)
        world->sandbox_url =
            mem_text(config_integration(config, SANDBOX_INTEGRATION)->base_url);
    else if (world->config)
        world_no(world, "%s", buf_str(&errors));
    config_free(config);
    buf_fini(&errors);
    return world->sandbox_url != NULL;
}

static bool says_it_is_up(const struct world *world)
{
    char line[64] = "";
    FILE *file = fopen(world->out, "re");

    if (!file)
        return false;
    bool is_up = fgets(line, sizeof(line), file) && strstr(line, "signalbox is up");
    fclose(file);
    return is_up;
}

bool world_open(struct world *world)
{
    if (!make_directory(world) || !make_configuration(world))
        return false;
    const char *args[] = {"up", "--sandbox", "--dir", world->dir, NULL};
    if (!program_start(&world->up, args, world->out, world->err))
        return world_no(world, "it could not be started: %s", strerror(errno));
    for (int i = 0; i < START_S * 1000 / POLL_MS; i++) {
        if (says_it_is_up(world))
            return true;
        if (program_ended(&world->up))
            return world_no(world, "it ended with status %d", world->up.status);
        world_pause(POLL_MS);
    }
    return world_no(world, "it was not up after %d s", START_S);
}

bool world_stop(struct world *world)
{
    if (world->up.pid <= 0)
        return world->up.status == 0 || world_no(world, "it had ended before");
    kill(world->up.pid, SIGTERM);
    for (int i = 0; i < STOP_S * 1000 / POLL_MS; i++) {
        if (program_ended(&world->up))
            return world->up.status == 0 ||
                   world_no(world, "it ended with status %d", world->up.status);
        world_pause(POLL_MS);
    }
    return world_no(world, "it did not stop within %d s", STOP_S);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void world_close(struct world *world, bool keep)
{
    if (world->up.pid > 0)
        (void)world_stop(world); /* so that it stops its children itself */
    program_fini(&world->up);
    if (world->dir && !keep &&
        nftw(world->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "%s could not be removed: %s\n", world->dir, strerror(errno));
    free(world->dir);
    free(world->config);
    free(world->err);
    free(world->out);
    free(world->sandbox_url);
}

/* --- commands --- */

bool world_start(struct world *world, struct program *program, const char *const *args)
{
    const char *all[PROGRAM_ARGS_MAX + 1] = {"-c", world->config, "--json"};
    size_t n = 3;

    for (; n < PROGRAM_ARGS_MAX && *args; args++)
        all[n++] = *args;
    return program_start(program, all, NULL, world->err) ||
           world_no(world, "a command could not be started: %s", strerror(errno));
}

struct json *world_lines(struct program *program)
{
    struct json *lines = js_array();
    char why[64];
    const char *text = buf_str(&program->text);

    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        struct json *line = js_parse(text, n, why, sizeof(why));
        if (line)
            js_push(lines, line);
    }
    return lines;
}

int world_run(struct world *world, const char *const *args, struct json **ret_line)
{
    struct program program;
    int status = -1;

    *ret_line = NULL;
    if (world_start(world, &program, args)) {
        status = program_wait(&program);
        struct json *lines = world_lines(&program);
        *ret_line = js_count(lines) ? js_copy(js_at(lines, 0)) : NULL;
        js_free(lines);
    }
    program_fini(&program);
    return status;
}

struct json *world_rows(struct world *world, const char *type, const char *limit)
{
    struct program program;
    struct json *rows = NULL;

    if (world_start(
            world, &program,
            (const char *const[]){"log", "--type", type, "--limit", limit, NULL})) {
        (void)program_wait(&program); /* rows or none: the caller looks */
        rows = world_lines(&program);
    }
    program_fini(&program);
    return rows;
}

pid_t world_pid(struct world *world, const char *name, int64_t *ret_restarts)
{
    struct json *status;
    pid_t pid = -1;

    (void)world_run(world, (const char *const[]){"status", NULL}, &status);
    const struct json *processes = js_get(status, "processes");
    for (size_t i = 0; i < js_count(processes); i++) {
        const struct json *one = js_at(processes, i);
        if (strcmp(js_text(one, "name", ""), name) != 0)
            continue;
        pid = (pid_t)js_int(one, "pid", -1);
        if (ret_restarts)
            *ret_restarts = js_int(one, "restarts", 0);
    }
    js_free(status);
    return pid;
}

void world_progress(const struct world *world, unsigned done, unsigned of)
{
    static const char full[] = "####################", empty[] = "....................";
    int width = (int)sizeof(full) - 1;
    int n = of ? (int)(done < of ? done : of) * width / (int)of : 0;

    if (!world->is_tty)
        return;
    printf("\r%s [%.*s%.*s]", world->line, n, full, width - n, empty);
    fflush(stdout);
}

bool world_effects(struct world *world, const char *provider, int64_t *ret_sum,
                   int64_t *ret_most)
{
    _free_ char *path = mem_format("/sandbox/effects?provider=%s", provider);
    struct json *effects =
        practice_post(world->sandbox_url, path, NULL, world->why, sizeof(world->why));
    void *cursor = NULL;
    const char *key;

    if (!effects)
        return false;
    *ret_sum = *ret_most = 0;
    for (const struct json *one; (one = js_next(effects, &cursor, &key)) != NULL;) {
        int64_t count = js_int(one, "", 0);
        *ret_sum += count;
        *ret_most = count > *ret_most ? count : *ret_most;
    }
    js_free(effects);
    return true;
}
