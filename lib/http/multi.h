/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* multi - libcurl's handles on our loop: its sockets and its timer, a part of client.c */
#pragma once
#include <curl/curl.h>

struct loop;
struct multi;

/* A handle is done; it is taken out before. */
typedef void (*multi_fn)(void *user, CURL *easy, CURLcode code);

/* At most so many connections, over all and to one host; fn is called from the loop. */
struct multi *multi_new(struct loop *loop, long connections_max, multi_fn fn, void *user);
/* All handles were taken out. */
void multi_free(struct multi *multi);
/* Perform the handle, all set up. */
void multi_add(struct multi *multi, CURL *easy);
/* Take it out, whatever it is at. */
void multi_remove(struct multi *multi, CURL *easy);
