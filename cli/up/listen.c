/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int listen_open(const char *address, uint16_t port, char *error, size_t error_size)
{
    const struct addrinfo hints = {.ai_flags =
                                       AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    if (getaddrinfo(address, service, &hints, &found) != 0) {
        snprintf(error, error_size, "gateway.listen: %s is not a numeric address",
                 address);
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    bool good =
        fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, LISTEN_QUEUE) == 0;
    if (!good)
        snprintf(error, error_size, "cannot listen on %s:%u: %s", address, port,
                 strerror(errno));
    freeaddrinfo(found);
    if (!good && fd >= 0)
        close(fd);
    return good ? fd : -1;
}
