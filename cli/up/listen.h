/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* listen - the socket the gateway listens on
 *
 * The supervisor holds it and hands it to each gateway it starts, so that a restart
 * refuses nobody: who connects meanwhile waits in the kernel's queue. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum {
    LISTEN_QUEUE = 4096
}; /* connections that may wait; the kernel's somaxconn bounds
      it too */

/* A listening socket on a numeric address; -1 with a reason. */
int listen_open(const char *address, uint16_t port, char *error, size_t error_size);
