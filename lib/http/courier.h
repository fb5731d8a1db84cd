/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* courier - threads that hand mails over, one thread for each, a part of client.c
 *
 * libcurl does not come back while it waits for the reply to a message's end and for the
 * one to its goodbye: a thread that waits there holds up nobody.  It has the handle, and
 * all that the handle's callbacks write to, from the start of its errand until the loop
 * is told of the result; while it says goodbye only the handle is still its own. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

struct courier;
struct errand;
struct loop;

enum {
    COURIER_STACK = 512 << 10,    /* bytes of a thread's stack */
    COURIER_GOODBYE_US = 2000000, /* so long is waited for the reply to a goodbye */
};

struct courier_events {
    /* From the loop, once for each errand that was not dropped: how it went.  Its thread
     * may be saying goodbye still. */
    void (*on_known)(void *user, void *about, CURLcode code);
    /* From the loop, once for each errand: its thread is gone, all can be freed. */
    void (*on_over)(void *user, void *about);
    void *user;
};

struct courier *courier_new(struct loop *loop, const struct courier_events *events);
/* Drops what is under way and waits for its threads: about two seconds where a server is
 * silent. NULL is fine. */
void courier_free(struct courier *courier);
/* A new errand with this handle, whose progress callback it sets. */
struct errand *courier_errand(struct courier *courier, CURL *easy, void *about);
/* Perform the handle, all set up, in a thread of its own. Once. */
void errand_start(struct errand *errand);
/* From the errand's thread: goodbye is said, and waited for COURIER_GOODBYE_US at most.
 * `is_known`: whatever follows changes nothing of how it went. */
void errand_leaves(struct errand *errand, bool is_known);
/* Break it off; there is no on_known any more. From the loop. */
void errand_drop(struct errand *errand);
