/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "stripe.h"

#include <string.h>

void stripe_call(const struct sb_event *event, struct sb_request *request,
                 const char *method, const char *path)
{
    const char *account = sb_option(event, "account");

    sb_call(request, method, path);
    sb_bearer(request, "api_key");
    sb_header(request, "Stripe-Version", sb_option(event, "api_version"));
    if (account)
        sb_header(request, "Stripe-Account", account);
}

/* --- errors --- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static void keep_details(const struct sb_json *error, struct sb_outcome *outcome)
{
    struct sb_json *data = sb_result(outcome);

    sb_put_text(data, "code", sb_text(error, "code"));
    sb_put_text(data, "decline_code", sb_text(error, "decline_code"));
    sb_put_text(data, "param", sb_text(error, "param"));
    sb_put_text(data, "charge", sb_text(error, "charge"));
    sb_put_text(data, "payment_intent", sb_text(error, "payment_intent.id"));
}

static enum sb_verdict declined(const struct sb_json *error, struct sb_outcome *outcome)
{
    const char *code = or_empty(sb_text(error, "code")),
               *decline = sb_text(error, "decline_code");

    return sb_fail(outcome, "the card was refused (%s%s%s): %s", code,
                   decline ? ", " : "", or_empty(decline),
                   or_empty(sb_text(error, "message")));
}

static enum sb_verdict refused(unsigned status, const struct sb_json *error,
                               struct sb_outcome *outcome)
{
    const char *code = sb_text(error, "code"), *param = sb_text(error, "param");
    const char *message = sb_text(error, "message");

    return sb_fail(outcome, "Stripe refused the request (%u%s%s%s%s): %s", status,
                   code ? ", " : "", or_empty(code), param ? ", parameter " : "",
                   or_empty(param), message ? message : "it gave no reason");
}

static enum sb_verdict key_refused(const struct sb_event *event, unsigned status,
                                   struct sb_outcome *outcome)
{
    const char *mode = sb_mode(event);

    /* Stripe's own message repeats a part of the key. */
    if (status == 403)
        return sb_fail(outcome,
                       "the API key may not do this: check the rights of the restricted "
                       "key in the secret \"api_key\" "
                       "of the integration %s",
                       sb_integration(event));
    return sb_fail(outcome,
                   "Stripe does not accept the API key: check the secret \"api_key\" of "
                   "the integration %s (mode %s)",
                   sb_integration(event), mode ? mode : "not set");
}

enum sb_verdict stripe_failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *error = sb_at(sb_answer_json(answer), "error");
    const char *type = or_empty(sb_text(error, "type")),
               *code = or_empty(sb_text(error, "code"));
    unsigned status = sb_status(answer);

    if (status == 401 || status == 403)
        return key_refused(event, status, outcome);
    if (error)
        keep_details(error, outcome);
    if (status == 402 || strcmp(type, "card_error") == 0)
        return declined(error, outcome);
    if (status == 409 ||
        status == 429) /* another request holds the key or the object; too many at once */
        return sb_retry(outcome, 0, "Stripe is busy (%u%s%s)", status, *code ? ", " : "",
                        code);
    if (strcmp(type, "idempotency_error") == 0)
        return sb_fail(outcome, "Stripe knows this idempotency key with other "
                                "parameters; the first request's result stands");
    if (status >= 400 && status < 500 && status != 408 && status != 425)
        return refused(status, error, outcome);
    return sb_default(outcome, "Stripe answered %u%s%s", status, *type ? ", " : "", type);
}

/* --- amounts --- */

bool stripe_currency(const char *currency, char ret_currency[4])
{
    if (!currency || strlen(currency) != 3)
        return false;
    for (int i = 0; i < 3; i++) {
        char c = currency[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
        ret_currency[i] = (char)(c >= 'a' ? c : c + 32);
    }
    ret_currency[3] = 0;
    return true;
}

static bool is_listed(const char *list, const char *currency)
{
    for (; *list; list += 4)
        if (strncmp(list, currency, 3) == 0)
            return true;
    return false;
}

int64_t stripe_millionths(const char *currency, int64_t minor_units)
{
    char lower[4];

    if (!stripe_currency(currency, lower))
        return 0;
    int64_t scale = 10000;
    if (is_listed("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf ",
                  lower))
        scale = 1000000;
    else if (is_listed("bhd jod kwd omr tnd ", lower))
        scale = 1000;
    int64_t product;
    return __builtin_mul_overflow(minor_units, scale, &product) ? INT64_MAX : product;
}

bool stripe_metadata_ok(const struct sb_json *data, const char *path)
{
    const struct sb_json *metadata = sb_at(data, path);

    if (!sb_has(data, path))
        return true;
    if (!sb_is_object(metadata, ""))
        return false;
    for (size_t i = 0; i < sb_count(metadata, ""); i++)
        if (sb_count(sb_member(metadata, i, NULL), "") ||
            sb_is_object(sb_member(metadata, i, NULL), ""))
            return false;
    return true;
}
