/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/config/config.h"

struct word {
    const char *name;
    int value;
};

/* The configuration has checked the words: another one is a table that is wrong. */
static int value_of(const struct word *words, const char *name)
{
    for (; words->name; words++)
        if (strcmp(words->name, name) == 0)
            return words->value;
    abort();
}

struct scheme scheme_of_config(const struct config_hmac *hmac)
{
    static const struct word forms[] = {{"whole", SYNTAX_WHOLE},
                                        {"prefix", SYNTAX_PREFIX},
                                        {"pairs", SYNTAX_PAIRS},
                                        {"spaced", SYNTAX_SPACED},
                                        {NULL, 0}};
    static const struct word units[] = {
        {"s", TIME_S}, {"ms", TIME_MS}, {"date", TIME_DATE}, {NULL, 0}};
    static const struct word hashes[] = {{"sha256", ALGORITHM_HMAC_SHA256},
                                         {"sha512", ALGORITHM_HMAC_SHA512},
                                         {"sha1", ALGORITHM_HMAC_SHA1},
                                         {NULL, 0}};
    static const struct word encodings[] = {
        {"hex", ENCODING_HEX}, {"base64", ENCODING_BASE64}, {NULL, 0}};
    static const struct word keys[] = {{"text", KEY_TEXT},
                                       {"hex", KEY_HEX},
                                       {"base64", KEY_BASE64},
                                       {"whsec", KEY_WHSEC_BASE64},
                                       {NULL, 0}};
    bool has_time = strstr(hmac->signed_bytes, "{time}") != NULL;
    return (struct scheme){
        .name = "hmac",
        .signature_header = hmac->signature_header,
        .syntax = (enum scheme_syntax)value_of(forms, hmac->form),
        .label = hmac->label,
        .time_label = hmac->time_label,
        .time_header = hmac->time_header,
        .time_form = (enum scheme_time)value_of(units, hmac->time_unit),
        .id_header = hmac->id_header,
        .signed_bytes = hmac->signed_bytes,
        .algorithm = (enum scheme_algorithm)value_of(hashes, hmac->hash),
        .encoding = (enum scheme_encoding)value_of(encodings, hmac->encoding),
        .key = (enum scheme_key_form)value_of(keys, hmac->key),
        .past_s = has_time ? SCHEME_HMAC_TOLERANCE_S : 0,
        .future_s = has_time ? SCHEME_HMAC_TOLERANCE_S : 0,
        .is_batch = hmac->is_batch,
        .event_id = hmac->event_id,
        .event_type = hmac->event_type,
    };
}
