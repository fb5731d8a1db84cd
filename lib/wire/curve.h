/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* curve - the keys of encrypted links (CurveZMQ, RFC 26): 40 characters of Z85 text each
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { CURVE_KEY_LEN = 40, CURVE_KEY_SIZE = CURVE_KEY_LEN + 1 };

/* A new pair. False when libzmq has no CURVE. */
bool curve_pair(char ret_public[CURVE_KEY_SIZE], char ret_secret[CURVE_KEY_SIZE]);
/* The public half of a secret key. False when the text is no key. */
bool curve_public(const char *secret, char ret_public[CURVE_KEY_SIZE]);
/* Could the text be a key, public or secret? */
bool curve_is_key(const char *text);
