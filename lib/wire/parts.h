/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* parts - the few calls of libzmq that the files of this folder share
 *
 * Nobody else includes it: it shows libzmq's own types. */
#pragma once
#include <zmq.h>

struct loop;
struct loop_source;

/* Receive one whole message without waiting: up to `max` parts are kept in parts[], the
 * others dropped. Returns how many it had, 0 when there is none. */
int parts_receive(void *socket, zmq_msg_t *parts, int max);
/* Close what parts_receive kept of `n`. */
void parts_drop(zmq_msg_t *parts, int n, int max);
/* ZMQ_EVENTS of a socket. */
int parts_events(void *socket);
/* Set an option that is in every 4.3. */
void parts_set(void *socket, int option, int value);
/* Let the loop wake up when the socket's descriptor says that something changed; its hook
 * does the work (wire.c). */
struct loop_source *parts_watch(void *socket, struct loop *loop);
