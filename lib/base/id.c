/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/hash.h"

void id_random(void *ret_bytes, unsigned n)
{
    if (getrandom(ret_bytes, n, 0) != (ssize_t)n) {
        fprintf(stderr, "signalbox: getrandom failed\n");
        abort();
    }
}

/* A millisecond, then a 74-bit counter that starts at random and steps by a random amount within
 * the millisecond, so that ids ascend and cannot be guessed from each other's neighbours alone. */
void id_new(uint64_t now_us, uint8_t ret_id[16])
{
    static uint64_t last_ms, low;
    static uint16_t high;
    static uint32_t pool[64];
    static unsigned used = 64;
    uint64_t ms = now_us / 1000;

    if (used >= 62) {
        id_random(pool, sizeof(pool));
        used = 0;
    }
    if (ms > last_ms) {
        last_ms = ms;
        low = ((uint64_t)pool[used] << 29 ^ pool[used + 1]) & 0x1fffffffffffffffu;
        high = (uint16_t)(pool[used] >> 20 & 0x7ff);
        used += 2;
    } else {
        low += (uint64_t)pool[used++] + 1;
        if (low >> 62) {
            low &= 0x3fffffffffffffffu;
            if (++high > 0xfff) {
                high = 0;
                last_ms++;
            }
        }
    }
    for (int i = 0; i < 6; i++)
        ret_id[i] = (uint8_t)(last_ms >> (40 - 8 * i));
    ret_id[6] = (uint8_t)(0x70 | high >> 8);
    ret_id[7] = (uint8_t)high;
    ret_id[8] = (uint8_t)(0x80 | low >> 56);
    for (int i = 0; i < 7; i++)
        ret_id[9 + i] = (uint8_t)(low >> (48 - 8 * i));
}

void id_format(const uint8_t id[16], char ret_text[ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *out = ret_text;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[id[i] >> 4];
        *out++ = digits[id[i] & 15];
    }
    *out = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool id_parse(const char *text, uint8_t ret_id[16])
{
    uint8_t id[16];

    if (strlen(text) != 36)
        return false;
    for (int i = 0, at = 0; i < 16; i++) {
        if (at == 8 || at == 13 || at == 18 || at == 23)
            if (text[at++] != '-')
                return false;
        int high = digit(text[at]), low = digit(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    memcpy(ret_id, id, 16);
    return true;
}

static void mark_v8(uint8_t id[16])
{
    id[6] = (uint8_t)(0x80 | (id[6] & 0x0f));
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
}

void id_foreign(const char *text, uint8_t ret_id[16])
{
    hash_pair("id", text, strlen(text), ret_id);
    mark_v8(ret_id);
}

void id_derive(const char *name, uint64_t number, uint8_t ret_id[16])
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);

    hash_pair(name, digits, (size_t)n, ret_id);
    mark_v8(ret_id);
}

uint64_t id_time_us(const uint8_t id[16])
{
    uint64_t ms = 0;

    if (id[6] >> 4 != 7)
        return 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id[i];
    return ms * 1000;
}

bool id_is_zero(const uint8_t id[16])
{
    static const uint8_t zero[16];

    return memcmp(id, zero, 16) == 0;
}
