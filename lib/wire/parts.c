/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/parts.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "lib/loop/loop.h"

int parts_receive(void *socket, zmq_msg_t *parts, int max)
{
    int n = 0;

    for (int more = 1; more; n++) {
        zmq_msg_t extra, *part = n < max ? &parts[n] : &extra;
        zmq_msg_init(part);
        if (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(part);
            assert(n == 0 || errno != EAGAIN); /* messages come whole */
            break;
        }
        more = zmq_msg_more(part);
        if (n >= max)
            zmq_msg_close(part);
    }
    return n;
}

void parts_drop(zmq_msg_t *parts, int n, int max)
{
    for (int i = 0; i < n && i < max; i++)
        zmq_msg_close(&parts[i]);
}

int parts_events(void *socket)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

void parts_set(void *socket, int option, int value)
{
    int refused = zmq_setsockopt(socket, option, &value, sizeof(value));

    assert(!refused);
    (void)refused;
}

/* ZMQ_FD became readable: the hook that runs next does the work. */
static void woken(void *user, uint32_t events)
{
    (void)user;
    (void)events;
}

struct loop_source *parts_watch(void *socket, struct loop *loop)
{
    int fd;
    size_t size = sizeof(fd);
    int refused = zmq_getsockopt(socket, ZMQ_FD, &fd, &size);

    assert(!refused);
    (void)refused;
    return loop_watch(loop, fd, EPOLLIN, woken, NULL);
}
