/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* zap - who may connect: the handler of the ZMQ authentication protocol (RFC 27) of one
 * context
 *
 * Used by wire.c only. A socket that listens has a domain of its own, and libzmq asks
 * here about every handshake before anything else the peer says is read. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zap;
struct loop;

enum { ZAP_KEY_SIZE = 41 }; /* a public key as Z85 text, and its NUL */

struct zap_question {
    unsigned domain;     /* of the socket: its number */
    const char *address; /* of the peer; of an ipc peer ":uid:gid:pid" */
    const char *key;     /* CURVE: the peer's public key, proven; NULL: no encryption */
};
typedef bool (*zap_ask_fn)(void *user, const struct zap_question *question);

/* Must stand before any bind that relies on it, else handshakes pass unasked. `ask` is
 * called from zap_serve. */
struct zap *zap_new(void *context, struct loop *loop, zap_ask_fn ask, void *user);
void zap_free(struct zap *zap);
/* Answer what is asked; true when that was anything. NULL is fine. */
bool zap_serve(struct zap *zap);
/* Make a socket ask: called before its bind. */
void zap_protect(void *socket, unsigned domain);
/* "localhost:uid:gid:pid" of an ipc peer, from the kernel; the first word is what
 * getnameinfo makes of AF_UNIX. False for anything else. */
bool zap_credentials(const char *address, int64_t *ret_uid, int64_t *ret_pid);
