/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* token - who may use the API
 *
 * The first start writes one random token with all scopes to a file that only its owner
 * can read. The gateway itself keeps the hash. */
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

struct token {
    const char *name; /* scopes idempotency keys */
    unsigned scopes;
    uint8_t hash[32]; /* SHA-256 of the text */
};

/* Read the token file, or make it (0600, no link followed) when there is none; *ret_made
 * says which. 0, or -1 with a reason, e.g. when others can read it. */
int token_load(const char *path, struct token *ret_token, bool *ret_made, char *error,
               size_t error_size);
/* Does the value of an Authorization header carry it? In time that does not depend on
 * where it differs. */
bool token_matches(const struct token *token, const char *authorization);
