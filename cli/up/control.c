/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

enum {
    LINE_MAX_SIZE = 256,
    ASK_TIMEOUT_S = 10,
    LINE_TIMEOUT_MS = 200,
    ANSWER_MAX = 1 << 20
};

struct control {
    int fd;
    struct loop_source *source;
    char *path;
    control_fn fn;
    void *user;
};

static bool address_of(const char *run, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/up.sock", run) <
           (int)sizeof(ret->sun_path);
}

static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* The whole line comes at once or not at all: the caller writes it before it does
 * anything else. */
static bool read_line(int fd, char line[LINE_MAX_SIZE])
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    if (poll(&wait, 1, LINE_TIMEOUT_MS) != 1)
        return false;
    ssize_t n = read(fd, line, LINE_MAX_SIZE - 1);
    if (n < 1 || line[n - 1] != '\n')
        return false;
    line[n - 1] = 0;
    return true;
}

static void answer(const struct control *control, int fd)
{
    char line[LINE_MAX_SIZE];
    struct buf text = BUF_NULL;

    if (!is_ours(fd) || !read_line(fd, line))
        return;
    struct json *value = control->fn(control->user, line);
    if (!value)
        value = js_set_text(js_object(), "error", "unknown question");
    js_write(value, 0, &text);
    js_free(value);
    ssize_t done = send(fd, buf_str(&text), text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)done; /* who asked and went away misses the answer */
    buf_fini(&text);
}

static void on_connection(void *user, uint32_t events)
{
    struct control *control = user;
    int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd < 0)
        return;
    answer(control, fd);
    close(fd);
}

struct control *control_new(struct loop *loop, const char *run, control_fn fn, void *user,
                            char *error, size_t error_size)
{
    struct sockaddr_un address;
    struct control *control = mem_alloc(sizeof(*control));

    *control = (struct control){
        .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
        .path = mem_format("%s/up.sock", run),
        .fn = fn,
        .user = user};
    (void)unlink(control->path); /* left by one that was killed; we hold the lock */
    if (control->fd < 0 || !address_of(run, &address) ||
        bind(control->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(control->fd, 16) != 0) {
        snprintf(error, error_size, "%s: %s", control->path, strerror(errno));
        control_free(control);
        return NULL;
    }
    control->source = loop_watch(loop, control->fd, EPOLLIN, on_connection, control);
    return control;
}

void control_free(struct control *control)
{
    if (!control)
        return;
    if (control->source)
        (void)unlink(control->path); /* nobody listens there any more */
    loop_unwatch(control->source);
    if (control->fd >= 0)
        close(control->fd);
    free(control->path);
    free(control);
}

struct json *control_ask(const char *run, const char *line)
{
    struct sockaddr_un address;
    struct timeval limit = {.tv_sec = ASK_TIMEOUT_S};
    struct buf text = BUF_NULL;
    struct json *value = NULL;
    char why[128];
    ssize_t n = -1;
    _free_ char *question = mem_format("%s\n", line);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    if (address_of(run, &address) &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, question, strlen(question), MSG_NOSIGNAL) == (ssize_t)strlen(question))
        while (text.len < ANSWER_MAX &&
               (n = read(fd, buf_reserve(&text, 4096), 4096)) > 0)
            text.len += (size_t)n;
    close(fd);
    if (n == 0 && text.len)
        value = js_parse(buf_str(&text), text.len, why, sizeof(why));
    buf_fini(&text);
    return value;
}
