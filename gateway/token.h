/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* token - who sent this request
 *
 * The first start writes one random token with all scopes to a file that only its owner
 * can read. The gateway itself keeps the hash. Beside it there is the list that
 * `signalbox token` writes; a change of that file counts from the next request on. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/tokens/tokens.h"

/* All tokens that may be used. */
struct token_book {
    struct token first; /* of the first start, named `admin` */
    char *path;         /* of the list; NULL: there is none */
    struct stat seen;   /* the list's file as it was read */
    struct tokens listed;
};

/* Read the token file, or make it (0600, no link followed) when there is none; *ret_made
 * says which. 0, or -1 with a reason, e.g. when others can read it. */
int token_load(const char *path, struct token *ret_token, bool *ret_made, char *error,
               size_t error_size);
/* The token that the value of an Authorization header (may be NULL) carries, if it is
 * valid now; borrowed until the next call. Reads the list again when its file was
 * changed; one that cannot be read is logged and leaves the first start's token only. */
const struct token *token_find(struct token_book *book, uint64_t now_us,
                               const char *authorization);
/* Is the token with this hash (still) valid? For what outlives its request. */
bool token_is_valid(struct token_book *book, uint64_t now_us, const uint8_t hash[32]);
void token_book_fini(struct token_book *book);
