/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_explain.h"

#include <stdio.h>

#include "gateway/scheme.h"

static void explain_mismatch(const struct scheme_verdict *v, size_t n_keys,
                             size_t body_len, char *out, size_t size)
{
    char time[64] = "no time signed";
    if (v->has_time && v->is_late)
        snprintf(time, sizeof(time), "time %lld s off", (long long)v->age_s);
    else if (v->has_time)
        snprintf(time, sizeof(time), "time ok");
    snprintf(out, size,
             "matches none of %zu secret%s; %s; %zu bytes: wrong secret, test and live "
             "mixed, or a proxy changed "
             "the body",
             n_keys, n_keys == 1 ? "" : "s", time, body_len);
}

void scheme_explain(const struct scheme_verdict *v, size_t n_keys, size_t body_len,
                    char *ret_text, size_t size)
{
    switch (v->result) {
    case SCHEME_OK:
        snprintf(ret_text, size, "verified with secret %d of %zu", v->key + 1, n_keys);
        return;
    case SCHEME_NO_HEADER:
        snprintf(ret_text, size,
                 "a signature header is missing; %zu bytes: not from the provider, or a "
                 "proxy removed it",
                 body_len);
        return;
    case SCHEME_REPEATED:
        snprintf(ret_text, size, "a signature header came twice; %zu bytes", body_len);
        return;
    case SCHEME_MALFORMED:
        snprintf(ret_text, size,
                 "the signature header is not of this scheme's form; %zu bytes: another "
                 "scheme, or forged",
                 body_len);
        return;
    case SCHEME_FOREIGN:
        snprintf(ret_text, size,
                 "the certificate it names is not at an address of the provider; %zu "
                 "bytes: forged",
                 body_len);
        return;
    case SCHEME_CERTIFICATE:
        snprintf(ret_text, size,
                 "the certificate it names cannot be had; %zu bytes: forged, or the "
                 "gateway cannot reach the provider: see `certificates`",
                 body_len);
        return;
    case SCHEME_MISMATCH:
        explain_mismatch(v, n_keys, body_len, ret_text, size);
        return;
    case SCHEME_STALE:
    case SCHEME_FUTURE:
        snprintf(ret_text, size,
                 "matches secret %d of %zu; signed %lld s %s; %zu bytes: replayed, or a "
                 "clock is wrong",
                 v->key + 1, n_keys, (long long)(v->age_s < 0 ? -v->age_s : v->age_s),
                 v->age_s < 0 ? "ahead" : "ago", body_len);
        return;
    }
}
