/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/curve.h"

#include <stdint.h>
#include <string.h>

#include <zmq.h>

bool curve_pair(char ret_public[CURVE_KEY_SIZE], char ret_secret[CURVE_KEY_SIZE])
{
    return zmq_curve_keypair(ret_public, ret_secret) == 0;
}

bool curve_is_key(const char *text)
{
    uint8_t key[CURVE_KEY_LEN / 5 * 4];
    bool is_key =
        text && strlen(text) == CURVE_KEY_LEN && zmq_z85_decode(key, text) != NULL;

    explicit_bzero(key, sizeof(key));
    return is_key;
}

bool curve_public(const char *secret, char ret_public[CURVE_KEY_SIZE])
{
    return curve_is_key(secret) && zmq_curve_public(ret_public, secret) == 0;
}
