/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/hash.h"

#include <string.h>

#include <isa-l/crc.h>
#include <xxhash.h>

#include "lib/base/buf.h"

uint64_t hash64(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

uint64_t hash_text(const char *text)
{
    return XXH3_64bits(text, strlen(text));
}

void hash_pair(const char *scope, const char *key, size_t key_len, uint8_t ret_hash[16])
{
    struct buf joined = BUF_NULL;
    XXH128_canonical_t canonical;

    buf_add(&joined, scope, strlen(scope) + 1);
    buf_add(&joined, key, key_len);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(joined.bytes, joined.len));
    memcpy(ret_hash, canonical.digest, 16);
    buf_fini(&joined);
}

uint32_t crc32c(uint32_t crc, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    const size_t step = 1u << 30; /* the library counts in int */

    crc = ~crc;
    while (n > 0) {
        size_t part = n < step ? n : step;
        crc = crc32_iscsi((unsigned char *)(uintptr_t)p, (int)part, crc);
        p += part;
        n -= part;
    }
    return ~crc;
}

uint32_t crc32_of(const void *bytes, size_t n)
{
    return crc32_gzip_refl(0, bytes, n);
}
