/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tokens - who may use the HTTP API: names, scopes, hashes
 *
 * A token is `sbx_` and 43 characters of base64url, 256 random bits, so its SHA-256 is
 * kept and needs no salt.  Several may have one name: after a rotation the old one stays
 * valid as long as it was given. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_scope {
    SCOPE_NONE = 0,
    SCOPE_PUBLISH = 1,
    SCOPE_CALL = 2,
    SCOPE_READ = 4,
    SCOPE_ADMIN = 8
};
enum { SCOPE_ALL = SCOPE_PUBLISH | SCOPE_CALL | SCOPE_READ | SCOPE_ADMIN };

enum {
    TOKENS_MAX = 256,             /* in the file; a further one is not made */
    TOKENS_FILE_MAX = 256 << 10,  /* bytes of the file; a larger one is not read */
    TOKEN_TEXT_SIZE = 4 + 43 + 1, /* with its NUL */
    TOKEN_NAME_SIZE = 64 + 1,     /* text_is_name() */
    TOKEN_SCOPES_SIZE = 32,       /* "publish,call,read,admin" */
};

struct token {
    char name[TOKEN_NAME_SIZE]; /* scopes idempotency keys; stands in records as actor */
    unsigned scopes;
    uint8_t hash[32];              /* SHA-256 of the text */
    uint64_t created_us, until_us; /* wall; until_us 0: it does not end by itself */
};
struct tokens {
    struct token items[TOKENS_MAX];
    size_t n;
};

/* <data>/tokens, to be freed. */
char *tokens_path(const char *data);
/* Read the file; one that is not there is an empty list. False with a reason in error[]
 * when others can read it or it is not as written by tokens_write; *ret is then empty. */
bool tokens_read(const char *path, struct tokens *ret, char *error, size_t error_size);
/* Replace the file whole, mode 0600, durably. */
bool tokens_write(const char *path, const struct tokens *tokens, char *error,
                  size_t error_size);
/* The one with this hash that is valid now, NULL when there is none. In a time that does
 * not depend on where hashes differ. */
const struct token *tokens_find(const struct tokens *tokens, uint64_t now_us,
                                const uint8_t hash[32]);
/* Make a text; the caller wipes it. */
void token_make(char ret_text[TOKEN_TEXT_SIZE]);
void token_hash(const char *text, uint8_t ret_hash[32]);

/* "publish,call" to bits; false when one is not known, named in *ret_unknown (borrowed
 * from text, *ret_len long), or when there is none. */
bool scopes_parse(const char *text, unsigned *ret_scopes, const char **ret_unknown,
                  size_t *ret_len);
void scopes_text(unsigned scopes, char ret_text[TOKEN_SCOPES_SIZE]);
