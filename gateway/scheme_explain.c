/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_explain.h"

#include <stdio.h>

#include "gateway/scheme.h"

/* What there is to say it with. */
struct facts {
    const struct scheme *scheme;
    const struct scheme_verdict *verdict;
    size_t n_keys, body_len;
    char *text;
    size_t size;
};

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void say_verified(const struct facts *f)
{
    snprintf(f->text, f->size, "verified with secret %d of %zu", f->verdict->key + 1,
             f->n_keys);
}

static void say_missing(const struct facts *f)
{
    snprintf(f->text, f->size,
             "no %s%s; %zu bytes: not from the provider, another scheme, or a proxy "
             "removed it%s%s",
             f->verdict->missing, f->scheme->in_body ? " in the body" : "", f->body_len,
             f->scheme->hint ? "; " : "", f->scheme->hint ? f->scheme->hint : "");
}

static void say_repeated(const struct facts *f)
{
    snprintf(
        f->text, f->size,
        "a header of the signature came twice; %zu bytes: a proxy added one, or forged",
        f->body_len);
}

static void say_malformed(const struct facts *f)
{
    snprintf(
        f->text, f->size,
        "the signature is not of the form of scheme %s; %zu bytes: another provider's "
        "address, another scheme, or forged",
        f->scheme->name, f->body_len);
}

static void say_body(const struct facts *f)
{
    snprintf(f->text, f->size,
             "the body is none that scheme %s signs; %zu bytes: another provider's "
             "address, another scheme, or a proxy changed it or its Content-Type",
             f->scheme->name, f->body_len);
}

static void say_foreign(const struct facts *f)
{
    snprintf(f->text, f->size,
             "the certificate it names is not at an address of the provider; %zu bytes: "
             "forged",
             f->body_len);
}

static void say_no_certificate(const struct facts *f)
{
    snprintf(f->text, f->size,
             "the certificate it names cannot be had; %zu bytes: forged, or the provider "
             "is not reached from here: see CERTIFICATE_FAILED in the log, or give it in "
             "`certificates`",
             f->body_len);
}

static void say_other_kind(const struct facts *f)
{
    snprintf(f->text, f->size,
             "matches none of %zu secret%s, for it is signed with the other kind of key; "
             "%zu bytes: add the sender's %s to `secrets`",
             f->n_keys, plural(f->n_keys), f->body_len,
             f->verdict->signs_publicly ? "public key (whpk_...)" : "secret (whsec_...)");
}

static void say_mismatch(const struct facts *f)
{
    const struct scheme_verdict *v = f->verdict;
    char time[64] = "no time signed";
    if (v->is_other_kind) {
        say_other_kind(f);
        return;
    }
    if (v->has_time && v->is_late)
        snprintf(time, sizeof(time), "time %lld s off", (long long)v->age_s);
    else if (v->has_time)
        snprintf(time, sizeof(time), "time ok");
    snprintf(f->text, f->size,
             "matches none of %zu secret%s; %s; %zu bytes: wrong secret, test and live "
             "mixed, or a proxy changed the body%s%s",
             f->n_keys, plural(f->n_keys), time, f->body_len, f->scheme->hint ? "; " : "",
             f->scheme->hint ? f->scheme->hint : "");
}

static void say_off(const struct facts *f)
{
    const struct scheme_verdict *v = f->verdict;
    snprintf(
        f->text, f->size,
        "matches secret %d of %zu; signed %lld s %s, %llu s are allowed; %zu bytes: "
        "replayed, held up on its way, or a clock is wrong (this one: see `date -u`)",
        v->key + 1, f->n_keys, (long long)(v->age_s < 0 ? -v->age_s : v->age_s),
        v->age_s < 0 ? "ahead" : "ago", (unsigned long long)v->allowed_s, f->body_len);
}

void scheme_explain(const struct scheme *scheme, const struct scheme_verdict *verdict,
                    size_t n_keys, size_t body_len, char *ret_text, size_t size)
{
    static void (*const say[])(const struct facts *f) = {
        [SCHEME_OK] = say_verified,
        [SCHEME_NO_HEADER] = say_missing,
        [SCHEME_REPEATED] = say_repeated,
        [SCHEME_MALFORMED] = say_malformed,
        [SCHEME_BODY] = say_body,
        [SCHEME_FOREIGN] = say_foreign,
        [SCHEME_CERTIFICATE] = say_no_certificate,
        [SCHEME_MISMATCH] = say_mismatch,
        [SCHEME_STALE] = say_off,
        [SCHEME_FUTURE] = say_off,
    };
    const struct facts facts = {scheme, verdict, n_keys, body_len, ret_text, size};
    say[verdict->result](&facts);
}
