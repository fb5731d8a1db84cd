/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/add/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/add/adding.h"
#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

enum { CONFIG_MAX = 4 << 20 };

static bool read_file(const char *path, struct buf *text, struct stat *ret_about)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;

    bool is_good = file && fstat(fileno(file), ret_about) == 0;
    while (is_good && text->len < CONFIG_MAX &&
           (n = fread(buf_reserve(text, 65536), 1, 65536, file)) > 0)
        text->len += n;
    is_good = is_good && !ferror(file) && text->len < CONFIG_MAX;
    if (file)
        (void)fclose(file); /* it was only read */
    return is_good;
}

bool place_stanza(const struct adding *a, struct buf *ret_text, mode_t *ret_mode,
                  struct buf *why)
{
    const char *path = a->cli->config_path;
    struct buf before = BUF_NULL, stanza = BUF_NULL, errors = BUF_NULL;
    struct stat about;
    struct config *config = NULL;

    stanza_write(&a->stanza, &stanza);
    if (!read_file(path, &before, &about))
        buf_format(why, "%s cannot be read: %s\n", path, strerror(errno));
    else if (!stanza_insert(buf_str(&before), buf_str(&stanza), ret_text))
        buf_format(why,
                   "%s: `integrations` is not a block of lines; put the stanza in by "
                   "hand (add --print)\n",
                   path);
    else if (!(config = config_parse(path, (const char *)ret_text->bytes, ret_text->len,
                                     &errors)))
        buf_format(why, "with the new stanza the configuration is wrong:\n%s",
                   buf_str(&errors));
    else
        *ret_mode = about.st_mode;
    bool is_good = config != NULL;
    config_free(config);
    buf_fini(&before);
    buf_fini(&stanza);
    buf_fini(&errors);
    return is_good;
}

bool place_replace(const char *path, mode_t mode, const struct buf *text)
{
    _free_ char *beside = mem_format("%s.new", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_good = fd >= 0 && write(fd, text->bytes, text->len) == (ssize_t)text->len &&
                   fchmod(fd, mode & 0777) == 0 && fsync(fd) == 0;

    if (fd >= 0 && close(fd) != 0)
        is_good = false;
    if (is_good && rename(beside, path) == 0)
        return true;
    cli_fail(CLI_FAILED, "%s: %s", beside, strerror(errno));
    if (fd >= 0)
        (void)unlink(beside); /* it is ours, and of no use */
    return false;
}
