/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proto/dealing.h"

#include <string.h>

#include "lib/base/hash.h"

void dealing_name(const uint8_t id[16], uint32_t group, unsigned number,
                  uint8_t ret_name[16])
{
    uint8_t key[24];
    uint32_t n = number;

    memcpy(key, id, 16);
    memcpy(key + 16, &group, 4);
    memcpy(key + 20, &n, 4);
    hash_pair("signalbox.dealing", (const char *)key, sizeof(key), ret_name);
}
