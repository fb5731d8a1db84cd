/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme.h"

#include <string.h>

#include "gateway/certificate.h"
#include "gateway/scheme_body.h"
#include "gateway/scheme_header.h"
#include "gateway/scheme_key.h"
#include "gateway/scheme_match.h"
#include "gateway/scheme_signed.h"
#include "lib/base/json.h"

/* A request in front of a row: what there is to decide with. */
struct verification {
    const struct scheme *scheme;
    const struct scheme_key *keys;
    size_t n_keys;
    uint64_t past_s, now_s;
    struct scheme_input input;
    struct scheme_body body; /* of rows that have the signature in it */
    struct scheme_given given;
    struct scheme_signed is_signed;
};

/* --- the time --- */

static bool signs_time(const struct scheme *scheme)
{
    return strstr(scheme->signed_bytes, "{time}") ||
           (scheme->in_body && scheme->time_header);
}

static enum scheme_result check_time(const struct verification *v, int64_t age_s,
                                     uint64_t *ret_allowed_s)
{
    const struct scheme *scheme = v->scheme;
    uint64_t past = v->past_s && scheme->past_s ? v->past_s : scheme->past_s;
    uint64_t future = v->past_s && scheme->future_s ? v->past_s : scheme->future_s;
    *ret_allowed_s = age_s > 0 ? past : future;
    if (past && age_s > 0 && (uint64_t)age_s > past)
        return SCHEME_STALE;
    if (future && age_s < 0 && (uint64_t)-age_s > future)
        return SCHEME_FUTURE;
    return SCHEME_OK;
}

/* The time inside a body whose signature matched. */
static bool read_body_time(const struct verification *v, uint64_t *ret_s)
{
    char error[64];
    struct json *body = js_parse(v->input.body, v->input.body_len, error, sizeof(error));
    int64_t ms = js_int(body, v->scheme->body_time, -1);
    js_free(body);
    *ret_s = (uint64_t)ms / 1000;
    return ms >= 0;
}

/* --- the decision --- */

static enum scheme_result check_certificate(const struct verification *v)
{
    if (!v->scheme->certificate)
        return SCHEME_OK;
    if (!certificate_url_fits(v->scheme->certificate, v->input.certificate_url))
        return SCHEME_FOREIGN;
    return v->input.certificate ? SCHEME_OK : SCHEME_CERTIFICATE;
}

static enum scheme_result read_request(struct verification *v)
{
    if (v->scheme->in_body && !scheme_body_read(&v->body, v->scheme, &v->input))
        return SCHEME_BODY;
    enum scheme_result result = scheme_header_read(v->scheme, &v->input, &v->given);
    if (result == SCHEME_OK)
        result = check_certificate(v);
    if (result == SCHEME_OK &&
        !scheme_signed_init(&v->is_signed, v->scheme, &v->input, &v->given, &v->body))
        result = SCHEME_BODY;
    return result;
}

/* Is no key of a kind that a signature is of? */
static bool is_other_kind(const struct verification *v)
{
    for (size_t k = 0; k < v->n_keys; k++)
        for (unsigned i = 0; i < v->given.n_signatures; i++)
            if (v->keys[k].is_public == v->given.signatures[i].is_public)
                return false;
    return true;
}

static enum scheme_result decide(struct verification *v, struct scheme_verdict *verdict)
{
    uint64_t time_s = 0;
    verdict->signatures = v->given.n_signatures;
    for (unsigned i = 0; i < v->given.n_signatures; i++)
        verdict->signs_publicly |= v->given.signatures[i].is_public;
    verdict->has_time = signs_time(v->scheme);
    if (verdict->has_time &&
        !scheme_header_time(v->given.time, v->scheme->time_form, &time_s))
        return SCHEME_MALFORMED;
    verdict->key = scheme_match(&v->is_signed, v->keys, v->n_keys, v->body.topic);
    if (verdict->key >= 0 && v->scheme->body_time) {
        verdict->has_time = true;
        if (!read_body_time(v, &time_s))
            return SCHEME_MALFORMED;
    }
    verdict->age_s = verdict->has_time ? (int64_t)v->now_s - (int64_t)time_s : 0;
    enum scheme_result time = check_time(v, verdict->age_s, &verdict->allowed_s);
    verdict->is_other_kind = verdict->key < 0 && is_other_kind(v);
    verdict->is_late = verdict->key < 0 && verdict->has_time && time != SCHEME_OK;
    return verdict->key < 0 ? SCHEME_MISMATCH : time;
}

void scheme_verify(const struct scheme *scheme, const struct scheme_key *keys,
                   size_t n_keys, uint64_t past_s, uint64_t now_s,
                   const struct scheme_input *input, struct scheme_verdict *ret_verdict)
{
    struct verification v = {.scheme = scheme,
                             .keys = keys,
                             .n_keys = n_keys,
                             .past_s = past_s,
                             .now_s = now_s,
                             .input = *input};
    *ret_verdict = (struct scheme_verdict){.key = -1};
    ret_verdict->result = read_request(&v);
    if (ret_verdict->result == SCHEME_NO_HEADER)
        ret_verdict->missing = scheme_header_missing(scheme, &v.input);
    if (ret_verdict->result == SCHEME_OK)
        ret_verdict->result = decide(&v, ret_verdict);
    scheme_signed_fini(&v.is_signed);
    scheme_body_fini(&v.body);
}
