/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/wire/wire.h"

static const struct {
    const char *name;
    int (*fn)(const struct bench_args *args);
} commands[] = {
    {"publish", bench_publish}, {"produce", bench_produce}, {"consume", bench_consume},
    {"latency", bench_latency}, {"commit", bench_commit},   {"call", bench_call},
    {"log", bench_log},
};

uint64_t bench_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void bench_say(const char *name, uint64_t value)
{
    printf("%s %" PRIu64 "\n", name, value);
    fflush(stdout);
}

void bench_die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

void bench_fill(uint8_t *data, uint32_t n)
{
    memset(data, 'x', n);
    if (n >= 2)
        data[0] = data[n - 1] = '"';
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

void bench_percentiles(const char *name, uint64_t *times, size_t n)
{
    static const struct {
        const char *name;
        unsigned percent;
    } points[] = {{"p50", 50}, {"p99", 99}, {"max", 100}};

    qsort(times, n, sizeof(*times), by_value);
    for (size_t i = 0; n && i < 3; i++) {
        _free_ char *full = mem_format("%s-%s", name, points[i].name);
        size_t at = n * points[i].percent / 100;

        bench_say(full, times[at < n ? at : n - 1]);
    }
}

void bench_join(struct bench_world *world, const struct peer_options *options)
{
    char error[256];

    world->loop = loop_new();
    world->wire = wire_new(world->loop);
    world->peer = peer_new(world->loop, world->wire, options, error, sizeof(error));
    if (!world->peer)
        bench_die("%s: %s", options->endpoint, error);
}

void bench_leave(struct bench_world *world)
{
    peer_free(world->peer);
    wire_free(world->wire);
    loop_free(world->loop);
}

static uint64_t number(const char *option, const char *text)
{
    char *end = NULL;
    uint64_t value = text ? strtoull(text, &end, 10) : 0;

    if (!text || !*text || *end)
        bench_die("%s: expected a number", option);
    return value;
}

/* The bus key comes on standard input: a command line can be read by everybody. */
static const char *read_key(void)
{
    static char key[128];

    if (!fgets(key, sizeof(key), stdin))
        bench_die("--key-stdin: nothing to read");
    key[strcspn(key, "\n")] = '\0';
    return key;
}

static void read_args(struct bench_args *args, char **argv)
{
    for (; *argv; argv++) {
        if (!strcmp(*argv, "--key-stdin")) {
            args->key = read_key();
            continue;
        }
        if (!argv[1])
            bench_die("%s: needs a value", *argv);
        if (!strcmp(*argv, "--endpoint"))
            args->endpoint = argv[1];
        else if (!strcmp(*argv, "--dir"))
            args->dir = argv[1];
        else if (!strcmp(*argv, "--events"))
            args->events = number(*argv, argv[1]);
        else if (!strcmp(*argv, "--size"))
            args->size = (uint32_t)number(*argv, argv[1]);
        else if (!strcmp(*argv, "--keys"))
            args->keys = (uint32_t)number(*argv, argv[1]);
        else if (!strcmp(*argv, "--batch"))
            args->batch = (uint32_t)number(*argv, argv[1]);
        else
            bench_die("%s: not an option", *argv);
        argv++;
    }
}

int main(int argc, char **argv)
{
    struct bench_args args = {.events = 100000, .size = 256, .batch = 128 << 10};

    log_open("bench");
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(argv[1], commands[i].name)) {
            read_args(&args, argv + 2);
            return commands[i].fn(&args);
        }
    bench_die("usage: signalbox-bench publish|produce|consume|latency|commit|call|log "
              "[--endpoint E] [--dir D] [--events N] [--size N] "
              "[--keys N] [--batch BYTES] [--key-stdin]");
}
