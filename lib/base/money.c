/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/money.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MICROS = 1000000 };

static bool read_code(const char *text, char ret_code[MONEY_CODE])
{
    for (int i = 0; i < 3; i++)
        if (text[i] < 'A' || text[i] > 'Z')
            return false;
    if (text[3])
        return false;
    memcpy(ret_code, text, MONEY_CODE);
    return true;
}

bool money_parse(const char *text, struct money *ret)
{
    struct money money = {0};
    const char *at = text;

    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++) {
        money.micros = money.micros * 10 + (*at - '0') * MICROS;
        if (money.micros > MONEY_MAX)
            return false;
    }
    if (*at == '.') {
        int64_t unit = MICROS / 10;
        for (at++; isdigit((unsigned char)*at) && unit > 0; at++, unit /= 10)
            money.micros += (*at - '0') * unit;
        if (at[-1] == '.')
            return false;
    }
    if (*at++ != ' ' || money.micros > MONEY_MAX || !read_code(at, money.currency))
        return false;
    *ret = money;
    return true;
}

void money_text(int64_t micros, const char *currency, char ret_text[MONEY_TEXT_SIZE])
{
    uint64_t amount = micros < 0 ? -(uint64_t)micros : (uint64_t)micros;
    char decimals[8];

    snprintf(decimals, sizeof(decimals), "%06" PRIu64, amount % MICROS);
    for (size_t n = 6; n > 2 && decimals[n - 1] == '0'; n--)
        decimals[n - 1] = 0;
    snprintf(ret_text, MONEY_TEXT_SIZE, "%s%" PRIu64 ".%s %.3s", micros < 0 ? "-" : "",
             amount / MICROS, decimals, currency);
}
