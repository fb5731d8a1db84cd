/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stream - server-sent events: the log as it grows
 *
 * A stream reads the log at its reader's pace: it holds a position and a bounded buffer,
 * never a queue of events, so a reader that sleeps costs nothing and misses nothing.  The
 * id of each event is its position; Last-Event-ID goes on behind it, through a restart of
 * this process too. */
#pragma once

struct gateway;
struct http_request;
struct streams;

enum { STREAM_WAIT_US = 50 * 1000 }; /* how late a committed event may be seen */

struct streams *streams_new(struct gateway *gateway);
/* End all: readers come again with their Last-Event-ID. */
void streams_stop(struct streams *streams);
void streams_free(struct streams *streams);
unsigned streams_count(const struct streams *streams);

/* GET /v1/stream?type=&service=&status=&... */
void stream_start(struct gateway *gateway, struct http_request *request,
                  const char *const *params);
