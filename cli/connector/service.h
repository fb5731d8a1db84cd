/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* service - what the connector under check calls: it keeps the last request and answers
 * as it is told */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct http_server;
struct loop;

struct service_answer {
    unsigned status;
    const char *body; /* JSON; borrowed until the answer is another */
    const char *retry_after;
    bool is_cut; /* the request is taken, and no answer comes */
};

enum { SERVICE_SCRIPT_MAX = 4 };

struct fake_service {
    struct http_server *server;
    struct service_answer answer;
    /* These come before it, each once; borrowed. */
    struct service_answer script[SERVICE_SCRIPT_MAX];
    unsigned n_script, next;
    unsigned requests; /* seen so far */
    struct buf seen;   /* "METHOD target\n" of each since service_play() */
    char key[40];      /* of the event: @KEY@ in what is answered, and in what is seen */
    /* of the last one */
    char method[16];
    struct buf target, headers /* "Name: value\n" each */, body;
};

/* On a free port of loopback; 0, or -1 with the reason. */
int service_open(struct fake_service *service, struct loop *loop, char *error,
                 size_t error_size);
void service_close(struct fake_service *service);
/* From now on these answers, at most SERVICE_SCRIPT_MAX, and then `answer` as it is. */
void service_play(struct fake_service *service, const struct service_answer *script,
                  unsigned n);
/* "METHOD target" of the request number `index` since then, in `ret`; "" when there were
 * fewer. */
void service_seen(const struct fake_service *service, unsigned index, char *ret,
                  size_t size);
/* The value of a header of the last request, in `ret`; "" when absent. */
void service_header(const struct fake_service *service, const char *name, char *ret,
                    size_t size);
