/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tokens - what language models cost, by the tokens used and the operator's own prices
 *
 * A price of 2.50 US dollars for a million tokens is 2.5 millionths for one, kept as
 * 2,500,000 millionths of a millionth, so that a sum is exact. */
#include <stdlib.h>
#include <string.h>

#include "include/signalbox/connector.h"

enum {
    PRICES_OF_A_MODEL = 3, /* input, output, cached input */
    PRICE_DIGITS_MAX = 6,  /* behind the point */
    MILLION = 1000000,
};

static const char *skip(const char *text, const char *set)
{
    return text + strspn(text, set);
}

/* 2.50 as 2,500,000; false when it is no such number. */
static bool read_price(const char **at, int64_t *ret)
{
    const char *text = *at;
    size_t whole = strspn(text, "0123456789"), digits = 0;

    if (whole == 0 || whole > 9)
        return false;
    int64_t value = strtoll(text, NULL, 10) * MILLION;
    text += whole;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        if (digits == 0 || digits > PRICE_DIGITS_MAX)
            return false;
        for (int64_t i = 0, place = MILLION / 10; i < (int64_t)digits; i++, place /= 10)
            value += (*text++ - '0') * place;
    }
    *at = text;
    *ret = value;
    return true;
}

/* One entry, `MODEL INPUT [OUTPUT [CACHED]]`. Returns how many prices it has, 0 when it
 * is wrong. */
static int read_entry(const char **at, const char **ret_model, size_t *ret_len,
                      int64_t prices[PRICES_OF_A_MODEL])
{
    int n = 0;

    *ret_model = *at;
    *ret_len = strcspn(*at, " ,\n");
    *at = skip(*at + *ret_len, " ");
    while (n < PRICES_OF_A_MODEL && **at && !strchr(",\n", **at)) {
        if (!read_price(at, &prices[n++]) || (**at && !strchr(" ,\n", **at)))
            return 0;
        *at = skip(*at, " ");
    }
    return **at && !strchr(",\n", **at) ? 0 : n;
}

static int64_t total(const int64_t prices[], int n, const struct sb_tokens *used)
{
    int64_t cached = n == PRICES_OF_A_MODEL ? used->cached : 0;
    int64_t sum = (used->input - cached) * prices[0];

    if (n > 1)
        sum += used->output * prices[1];
    if (n > 2)
        sum += cached * prices[2];
    return (sum + MILLION - 1) / MILLION;
}

int64_t sb_token_cost(const char *prices, const char *model, const struct sb_tokens *used,
                      const char **ret_wrong)
{
    int64_t cost = -1;

    for (const char *at = skip(prices ? prices : "", " ,\n"); *at;
         at = skip(at, " ,\n")) {
        const char *entry = at, *name;
        size_t len;
        int64_t of[PRICES_OF_A_MODEL];
        int n = read_entry(&at, &name, &len, of);
        if (n == 0) {
            *ret_wrong = entry;
            return -1;
        }
        if (model && strlen(model) == len && memcmp(model, name, len) == 0)
            cost = total(of, n, used);
    }
    return cost;
}
