/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <string.h>

#include "stripe.h"

enum { URL_MAX = 5000 /* Stripe's */ };

bool members_ok(const struct sb_json *data, const char *const *names,
                struct sb_outcome *outcome)
{
    const char *stranger = sb_stranger(data, names);

    if (!sb_is_object(data, ""))
        sb_fail(outcome, "the data must be a JSON object");
    else if (stranger)
        sb_fail(outcome, "\"%s\" is not a member this operation knows", stranger);
    else if (!stripe_metadata_ok(data, "metadata"))
        sb_fail(outcome, "metadata must be an object of texts");
    else
        return true;
    return false;
}

bool texts_ok(const struct sb_json *data, const char *const *names,
              struct sb_outcome *outcome)
{
    for (; *names; names++) {
        const char *text = sb_text(data, *names);
        if (sb_has(data, *names) && (!text || !*text)) {
            sb_fail(outcome, "%s must be a text that is not empty", *names);
            return false;
        }
    }
    return true;
}

bool amount_ok(const struct sb_json *data, struct sb_outcome *outcome)
{
    int64_t amount;

    if (sb_int(data, "amount", &amount) && amount > 0)
        return true;
    sb_fail(
        outcome,
        "amount must be a whole number above 0, in the currency's smallest unit (cents)");
    return false;
}

bool currency_ok(const struct sb_json *data, char ret_currency[4],
                 struct sb_outcome *outcome)
{
    if (stripe_currency(sb_text(data, "currency"), ret_currency))
        return true;
    sb_fail(outcome, "currency must be three letters, like \"eur\"");
    return false;
}

bool url_ok(const struct sb_json *data, const char *name, struct sb_outcome *outcome)
{
    const char *url = sb_text(data, name);
    const char *host = !url                               ? NULL
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                       : strncmp(url, "http://", 7) == 0  ? url + 7
                                                          : NULL;

    if (host && *host && strlen(url) <= URL_MAX && !strpbrk(url, " \t\r\n"))
        return true;
    sb_fail(outcome,
            "%s must be an https:// or http:// address of at most %d bytes, to which the "
            "customer's browser is sent",
            name, URL_MAX);
    return false;
}
