/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"

enum { TOKEN_TEXT = TOKEN_TEXT_SIZE - 1, FILE_MAX = 256 };

/* 0, 1 when the file is there already, -1 with a reason. */
static int make_file(const char *path, char *error, size_t error_size)
{
    char line[TOKEN_TEXT + 2], why[512];
    struct stat st;

    if (lstat(path, &st) == 0)
        return 1;
    token_make(line);
    memcpy(line + TOKEN_TEXT, "\n", 2);
    bool ok = secretfile_create(path, line, TOKEN_TEXT + 1, why, sizeof(why));
    crypto_wipe(line, sizeof(line));
    if (!ok)
        snprintf(error, error_size, "cannot make the token file %s", why);
    return ok ? 0 : -1;
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

/* --- the list --- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static void refresh(struct token_book *book)
{
    char error[512];
    struct stat now = {0};
    if (!book->path)
        return;
    if (stat(book->path, &now) != 0)
        now = (struct stat){.st_ino = 0}; /* none, or one that is being looked for */
    if (is_same_file(&now, &book->seen))
        return;
    book->seen = now;
    if (!tokens_read(book->path, &book->listed, error, sizeof(error)))
        log_say(TOKENS_BAD, "%s", error);
}

static const struct token *find_hash(struct token_book *book, uint64_t now_us,
                                     const uint8_t hash[32])
{
    refresh(book);
    if (crypto_equal(hash, book->first.hash, sizeof(book->first.hash)))
        return &book->first;
    return tokens_find(&book->listed, now_us, hash);
}

bool token_is_valid(struct token_book *book, uint64_t now_us, const uint8_t hash[32])
{
    return find_hash(book, now_us, hash) != NULL;
}

const struct token *token_find(struct token_book *book, uint64_t now_us,
                               const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return NULL;
    const char *text = authorization + 7 + strspn(authorization + 7, " ");
    char token[FILE_MAX];
    uint8_t hash[32];
    size_t n = strcspn(text, " \t"); /* blanks behind a header's value are none of it */
    if (n >= sizeof(token) || text[n + strspn(text + n, " \t")])
        return NULL;
    memcpy(token, text, n);
    token[n] = '\0';
    token_hash(token, hash);
    crypto_wipe(token, sizeof(token));
    return find_hash(book, now_us, hash);
}

void token_book_fini(struct token_book *book)
{
    free(book->path);
    book->path = NULL;
}
