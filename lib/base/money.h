/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* money - amounts in millionths of a currency's unit, and how they are written */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MONEY_CODE = 4,       /* ISO 4217, three letters and the NUL */
    MONEY_TEXT_SIZE = 32, /* of money_text() */
};
#define MONEY_MAX INT64_C(1000000000000000) /* a thousand million units */

struct money {
    int64_t micros;
    char currency[MONEY_CODE]; /* "" = no money at all */
};

/* "0.30 USD": digits, up to six decimals, a space, three capital letters; at most
 * MONEY_MAX, not negative. False, and *ret untouched, otherwise. */
bool money_parse(const char *text, struct money *ret);
/* The same form with two decimals at least: "0.30 USD", "0.000125 USD". */
void money_text(int64_t micros, const char *currency, char ret_text[MONEY_TEXT_SIZE]);
