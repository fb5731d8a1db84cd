/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* bench - the programs that make and take load
 *
 * One executable, a subcommand each; `bench/run` starts the system around them and turns
 * what they print into figures. Each prints lines `name value` on stdout: times are
 * microseconds of CLOCK_MONOTONIC, so that lines of several processes can be put
 * together. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct loop;
struct peer;
struct peer_options;
struct wire;

struct bench_args {
    const char *endpoint; /* of the bus */
    const char *dir;      /* for what needs files */
    const char *key;      /* bus key, read from standard input */
    uint64_t events;
    uint32_t size;  /* bytes of an event's data */
    uint32_t keys;  /* ordering keys, 0 = none */
    uint32_t batch; /* bytes of records published together */
};

/* Loop, wire and one peer on it. */
struct bench_world {
    struct loop *loop;
    struct wire *wire;
    struct peer *peer;
};

/* Exits when the endpoint is not usable. */
void bench_join(struct bench_world *world, const struct peer_options *options);
void bench_leave(struct bench_world *world);
uint64_t bench_now(void);
void bench_say(const char *name, uint64_t value);
/* p50, p99 and max of n times as `<name>-p50` and so on. Sorts them. */
void bench_percentiles(const char *name, uint64_t *times, size_t n);
/* A JSON text of n bytes, quotes included. */
void bench_fill(uint8_t *data, uint32_t n);
/* End with a message and status 1. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Subcommands; each returns the exit status. */
int bench_publish(
    const struct bench_args *args); /* facts nobody consumes, until all are committed */
int bench_produce(
    const struct bench_args *args); /* requests for `consume`, until all are committed */
int bench_consume(const struct bench_args *args); /* takes requests as the connector
                                                     `bench`, until all are settled */
int bench_latency(const struct bench_args
                      *args); /* one event at a time, the time to its acknowledgement */
int bench_commit(const struct bench_args *args); /* one block of one event at a time,
                                                    straight into the store */
int bench_call(const struct bench_args
                   *args); /* payment.charge, one at a time, until its outcome is there */
int bench_log(const struct bench_args
                  *args); /* a log of so many events in --dir, made without a system */
