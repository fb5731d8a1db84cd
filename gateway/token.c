/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

enum { TOKEN_BYTES = 32, TOKEN_TEXT = 4 + 43, FILE_MAX = 256 };

/* sbx_ and 43 characters of base64url. */
static void make_text(char ret_text[TOKEN_TEXT + 1])
{
    uint8_t bytes[TOKEN_BYTES];
    id_random(bytes, sizeof(bytes));
    struct buf text = {0};
    buf_text(&text, "sbx_");
    text_base64(bytes, sizeof(bytes), &text);
    for (size_t i = 0; i < TOKEN_TEXT; i++) {
        char c = (char)text.bytes[i];
        ret_text[i] = c == '+' ? '-' : c == '/' && i >= 4 ? '_' : c;
    }
    ret_text[TOKEN_TEXT] = 0;
    crypto_wipe(bytes, sizeof(bytes));
    crypto_wipe(text.bytes, text.len);
    buf_fini(&text);
}

/* 0, 1 when the file is there already, -1 with a reason. */
static int make_file(const char *path, char *error, size_t error_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return 1;
    char line[TOKEN_TEXT + 2];
    make_text(line);
    memcpy(line + TOKEN_TEXT, "\n", 2);
    bool ok =
        fd >= 0 && write(fd, line, TOKEN_TEXT + 1) == TOKEN_TEXT + 1 && fsync(fd) == 0;
    int why = errno;
    crypto_wipe(line, sizeof(line));
    if (fd >= 0)
        close(fd);
    if (ok)
        return 0;
    if (fd >= 0)
        unlink(path);
    snprintf(error, error_size, "cannot make the token file %s: %s", path, strerror(why));
    return -1;
}

static int open_checked(const char *path, char *error, size_t error_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        snprintf(error, error_size, "cannot read the token file %s: %s", path,
                 errno == ELOOP ? "it is a symbolic link" : strerror(errno));
        return -1;
    }
    const char *why = NULL;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        why = "it is not a file";
    else if (st.st_mode & 077)
        why = "others may read it; its mode must be 0600";
    else if (st.st_uid != geteuid() && st.st_uid != 0)
        why = "it belongs to another user";
    if (!why)
        return fd;
    close(fd);
    snprintf(error, error_size, "the token file %s is not used: %s", path, why);
    return -1;
}

int token_load(const char *path, struct token *ret_token, bool *ret_made, char *error,
               size_t error_size)
{
    int made = make_file(path, error, error_size);
    if (made < 0)
        return -1;
    int fd = open_checked(path, error, error_size);
    if (fd < 0)
        return -1;
    char text[FILE_MAX] = {0};
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    size_t len = n > 0 ? strcspn(text, " \r\n\t") : 0;
    if (len >= 20) {
        *ret_token = (struct token){.name = "admin", .scopes = SCOPE_ALL};
        crypto_sha256(text, len, ret_token->hash);
        *ret_made = made == 0;
    } else {
        snprintf(error, error_size,
                 "the token file %s holds no token; remove it and start again", path);
    }
    crypto_wipe(text, sizeof(text));
    return len >= 20 ? 0 : -1;
}

bool token_matches(const struct token *token, const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *text = authorization + 7 + strspn(authorization + 7, " ");
    uint8_t hash[32];
    crypto_sha256(text, strlen(text), hash);
    return crypto_equal(hash, token->hash, sizeof(hash));
}
