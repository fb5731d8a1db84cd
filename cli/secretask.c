/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/secretask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "lib/base/json.h"

/* Until EOF, or until the end of the line; then not a byte further where that is another
 * value's. Returns the length, -1 after having said what is wrong. */
static long read_value(int fd, char value[SECRET_SIZE_MAX + 2], bool is_line)
{
    size_t len = 0;
    ssize_t n = 0;

    while (len <= SECRET_SIZE_MAX && interrupt_wait(fd) &&
           (n = read(fd, value + len, is_line ? 1 : SECRET_SIZE_MAX + 1 - len)) > 0) {
        len += (size_t)n;
        if (is_line && value[len - 1] == '\n')
            break;
    }
    while (len && (value[len - 1] == '\n' || value[len - 1] == '\r'))
        len--;
    value[len] = 0;
    if (interrupt_came())
        return -1; /* who did it knows */
    if (n < 0)
        return cli_fail(CLI_USAGE, "the secret cannot be read: %s", strerror(errno)), -1;
    if (len > SECRET_SIZE_MAX)
        return cli_fail(CLI_USAGE, "the secret is larger than 8 KiB"), -1;
    return (long)len;
}

static long prompt(const char *name, char value[SECRET_SIZE_MAX + 2])
{
    struct termios before, silent;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    if (fd < 0 || tcgetattr(fd, &before) != 0) {
        if (fd >= 0)
            close(fd);
        return cli_fail(CLI_USAGE, "there is no terminal to ask for the secret"), -1;
    }
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    interrupt_catch(); /* whatever comes, the terminal shows again what is typed */
    (void)tcsetattr(fd, TCSAFLUSH,
                    &silent); /* a terminal that cannot be silent still works */
    dprintf(fd, "Value of %s (not shown): ", name);
    long len = read_value(fd, value, true);
    (void)tcsetattr(fd, TCSAFLUSH, &before);
    dprintf(fd, "\n");
    close(fd);
    interrupt_release();
    return len;
}

long secretask(const char *name, enum secretask_end end, char value[SECRET_SIZE_MAX + 2])
{
    long len = isatty(STDIN_FILENO)
                   ? prompt(name, value)
                   : read_value(STDIN_FILENO, value, end == SECRETASK_LINE);

    if (len <= 0)
        return len;
    js_wipe(true);
    struct json *text = js_from_text(value, (size_t)len); /* it is handed over as JSON */
    bool good =
        text && !memchr(value, 0, (size_t)len) && !memchr(value, '\n', (size_t)len);
    js_free(text);
    js_wipe(false);
    return good ? len
                : (cli_fail(CLI_USAGE, "the secret must be one line of UTF-8 text"), -1);
}
