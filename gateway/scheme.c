/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/certificate.h"
#include "gateway/form.h"
#include "gateway/scheme_body.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

const struct scheme *scheme_find(const char *name)
{
    for (const struct scheme *row = scheme_rows(); row->name; row++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}

static bool read_secret(enum scheme_key_form form, const char *secret, struct buf *out)
{
    bool has_prefix = !strncmp(secret, "whsec_", 6);
    if (form == KEY_TEXT || (form == KEY_WHSEC_OR_TEXT && !has_prefix)) {
        buf_text(out, secret);
        return true;
    }
    if (form == KEY_HEX)
        return text_parse_hex(secret, strlen(secret), out);
    if ((form == KEY_WHSEC_BASE64 || form == KEY_WHSEC_OR_TEXT) && has_prefix)
        secret += 6;
    return text_parse_base64(secret, strlen(secret), out) &&
           (form != KEY_P256 || crypto_is_p256_key(out->bytes, out->len));
}

bool scheme_key_init(struct scheme_key *key, const struct scheme *scheme,
                     const char *secret)
{
    struct buf bytes = {0};
    bool good = read_secret(scheme->key, secret, &bytes) && bytes.len > 0;
    if (good)
        *key = (struct scheme_key){mem_copy(bytes.bytes, bytes.len), bytes.len};
    crypto_wipe(bytes.bytes, bytes.len);
    buf_fini(&bytes);
    return good;
}

void scheme_key_fini(struct scheme_key *key)
{
    crypto_wipe(key->bytes, key->len);
    free(key->bytes);
    *key = (struct scheme_key){0};
}

/* --- reading the headers --- */

struct span {
    const char *text;
    size_t len;
};

struct parsed {
    struct span time, id;
    struct span signatures[SCHEME_SIGNATURES_MAX];
    unsigned n_signatures;
    struct buf params; /* of {params} or {fields} */
    char crc32[12];
};

static bool add_signature(struct parsed *parsed, struct span signature)
{
    if (parsed->n_signatures == SCHEME_SIGNATURES_MAX)
        return false;
    parsed->signatures[parsed->n_signatures++] = signature;
    return true;
}

/* Items between separators, each a label, a divider and a value. Items of other labels
 * are passed over. */
static bool parse_items(const struct scheme *scheme, const char *text, char separator,
                        char divider, struct parsed *parsed)
{
    const char *time_label = scheme->time_label ? scheme->time_label : "t";
    size_t label_len = strlen(scheme->label), time_len = strlen(time_label);
    for (;;) {
        const char *end = strchr(text, separator);
        size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n > label_len && !memcmp(text, scheme->label, label_len) &&
            text[label_len] == divider) {
            if (!add_signature(parsed,
                               (struct span){text + label_len + 1, n - label_len - 1}))
                return false;
        } else if (scheme->syntax == SYNTAX_PAIRS && n > time_len &&
                   !memcmp(text, time_label, time_len) && text[time_len] == '=') {
            parsed->time = (struct span){text + time_len + 1, n - time_len - 1};
        }
        if (!end)
            return true;
        text = end + 1;
    }
}

static bool parse_prefixed(const struct scheme *scheme, const char *text,
                           struct parsed *parsed)
{
    size_t n = strlen(scheme->label);
    if (strncmp(text, scheme->label, n) != 0 || text[n] != '=')
        return false;
    return add_signature(parsed, (struct span){text + n + 1, strlen(text + n + 1)});
}

/* Decimal digits; ten of them reach the year 2286 in seconds, thirteen in milliseconds.
 */
static bool parse_time(struct span time, enum scheme_time form, uint64_t *ret_s)
{
    uint64_t n = 0;
    if (form == TIME_DATE) {
        _free_ char *text = mem_copy(time.text, time.len);
        bool good = text_parse_time(text, &n);
        *ret_s = n / 1000000;
        return good;
    }
    if (time.len < 1 || time.len > (form == TIME_MS ? 15 : 12))
        return false;
    for (size_t i = 0; i < time.len; i++) {
        if (time.text[i] < '0' || time.text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(time.text[i] - '0');
    }
    *ret_s = form == TIME_MS ? n / 1000 : n;
    return true;
}

static bool parse_basic(const char *text, struct parsed *parsed)
{
    if (strncasecmp(text, "Basic ", 6) != 0)
        return false;
    text += 6 + strspn(text + 6, " ");
    return *text && add_signature(parsed, (struct span){text, strlen(text)});
}

static bool parse_signature(const struct scheme *scheme, const char *text,
                            struct parsed *parsed)
{
    switch (scheme->syntax) {
    case SYNTAX_PAIRS:
        return parse_items(scheme, text, scheme->separator ? scheme->separator : ',', '=',
                           parsed);
    case SYNTAX_SPACED:
        return parse_items(scheme, text, ' ', ',', parsed);
    case SYNTAX_PREFIX:
        return parse_prefixed(scheme, text, parsed);
    case SYNTAX_WHOLE:
        return *text && add_signature(parsed, (struct span){text, strlen(text)});
    case SYNTAX_BASIC:
        return parse_basic(text, parsed);
    }
    return false;
}

/* Is it one of the words between blanks? */
static bool is_word(const char *text, const char *words)
{
    size_t n = strlen(text);
    while (strcspn(words, " ") != n || strncmp(words, text, n) != 0) {
        words = strchr(words, ' ');
        if (!words)
            return false;
        words++;
    }
    return n > 0;
}

static enum scheme_result parse_headers(const struct scheme *scheme,
                                        const struct scheme_input *input,
                                        struct parsed *parsed)
{
    if (input->repeats)
        return SCHEME_REPEATED;
    if (!input->signature || (scheme->time_header && !input->time) ||
        (scheme->id_header && !input->id) ||
        (scheme->certificate_header && !input->certificate_url) ||
        (scheme->algorithm_header && !input->algorithm))
        return SCHEME_NO_HEADER;
    if (scheme->algorithm_header && !is_word(input->algorithm, scheme->algorithm_name))
        return SCHEME_MALFORMED;
    if (strlen(input->signature) > SCHEME_HEADER_MAX)
        return SCHEME_MALFORMED;
    if (input->time)
        parsed->time = (struct span){input->time, strlen(input->time)};
    if (input->id)
        parsed->id = (struct span){input->id, strlen(input->id)};
    if (parsed->id.len > SCHEME_HEADER_MAX ||
        !parse_signature(scheme, input->signature, parsed))
        return SCHEME_MALFORMED;
    return parsed->n_signatures > 0 ? SCHEME_OK : SCHEME_MALFORMED;
}

/* --- the signature --- */

/* What Twilio signs beside the URL. The body is covered by the fields of the form, or by
 * its hash in the URL, which is signed; a body that is covered by neither is refused. */
static bool read_params(const struct scheme_input *input, struct buf *out)
{
    static const char name[] = "bodySHA256=";
    const char *url = input->urls[0], *at = url ? strchr(url, '?') : NULL;
    while (at && strncmp(at + 1, name, sizeof(name) - 1) != 0)
        at = strchr(at + 1, '&');
    if (!at)
        return input->is_form && form_sorted(input->body, input->body_len, out);
    at += sizeof(name);
    uint8_t hash[CRYPTO_SHA256_SIZE];
    struct buf hex = {0};
    crypto_sha256(input->body, input->body_len, hash);
    text_hex(hash, sizeof(hash), &hex);
    bool fits = strcspn(at, "&#") == hex.len && crypto_equal(at, hex.bytes, hex.len);
    buf_fini(&hex);
    return fits;
}

struct token {
    const char *name;
    struct span bytes;
};

/* The template's next piece; its end in *ret_rest. */
static struct crypto_part next_part(const char *at, const struct token *tokens,
                                    const char **ret_rest)
{
    for (const struct token *token = tokens; token->name; token++) {
        size_t n = strlen(token->name);
        if (strncmp(at, token->name, n) != 0)
            continue;
        *ret_rest = at + n;
        return (struct crypto_part){token->bytes.text, token->bytes.len};
    }
    size_t n = 1 + strcspn(at + 1, "{");
    *ret_rest = at + n;
    return (struct crypto_part){at, n};
}

static struct span span_of(const char *text)
{
    return (struct span){text ? text : "", text ? strlen(text) : 0};
}

static size_t fill_template(const struct scheme *scheme, const struct parsed *parsed,
                            const struct scheme_input *input,
                            const struct scheme_key *key, const char *url,
                            struct crypto_part parts[SCHEME_PIECES_MAX])
{
    const struct token tokens[] = {
        {"{time}", parsed->time},
        {"{id}", parsed->id},
        {"{body}", {input->body ? input->body : "", input->body_len}},
        {"{method}", span_of(input->method)},
        {"{url}", span_of(url)},
        {"{params}", {(const char *)parsed->params.bytes, parsed->params.len}},
        {"{fields}", {(const char *)parsed->params.bytes, parsed->params.len}},
        {"{key}", {(const char *)key->bytes, key->len}},
        {"{crc32}", span_of(parsed->crc32)},
        {.name = NULL},
    };
    size_t n = 0;
    for (const char *at = scheme->signed_bytes; *at && n < SCHEME_PIECES_MAX;)
        parts[n++] = next_part(at, tokens, &at);
    return n;
}

typedef void (*mac_fn)(const void *key, size_t key_len, const struct crypto_part *parts,
                       size_t n_parts, uint8_t *ret_mac);

static void hmac_text(const struct scheme *scheme, const struct scheme_key *key,
                      const struct crypto_part *parts, size_t n, struct buf *ret_text)
{
    static const struct {
        mac_fn make;
        size_t size;
    } macs[] = {
        [ALGORITHM_HMAC_SHA256] = {crypto_hmac_sha256, CRYPTO_SHA256_SIZE},
        [ALGORITHM_HMAC_SHA1] = {crypto_hmac_sha1, CRYPTO_SHA1_SIZE},
        [ALGORITHM_HMAC_SHA512] = {crypto_hmac_sha512, CRYPTO_SHA512_SIZE},
    };
    uint8_t mac[CRYPTO_SHA512_SIZE];
    macs[scheme->algorithm].make(key->bytes, key->len, parts, n, mac);
    if (scheme->encoding == ENCODING_HEX)
        text_hex(mac, macs[scheme->algorithm].size, ret_text);
    else
        text_base64(mac, macs[scheme->algorithm].size, ret_text);
}

/* Compared as text, so that there is one spelling only; every signature is compared, in
 * time that does not depend on where it differs. */
static bool matches_hmac(const struct scheme *scheme, const struct scheme_key *key,
                         const struct parsed *parsed, const struct crypto_part *parts,
                         size_t n)
{
    bool found = false;
    struct buf text = {0};
    hmac_text(scheme, key, parts, n, &text);
    for (unsigned i = 0; i < parsed->n_signatures; i++) {
        const struct span *given = &parsed->signatures[i];
        if (given->len == text.len && crypto_equal(given->text, text.bytes, text.len))
            found = true;
    }
    buf_fini(&text);
    return found;
}

/* A signature's bytes. One spelling only here, too: bits behind the last byte of base64
 * must be zero. */
static bool read_base64(struct span given, struct buf *ret_bytes)
{
    struct buf again = {0};
    bool good = text_parse_base64(given.text, given.len, ret_bytes);
    if (good)
        text_base64(ret_bytes->bytes, ret_bytes->len, &again);
    good = good && again.len == given.len && !memcmp(again.bytes, given.text, given.len);
    buf_fini(&again);
    return good;
}

/* The name and the password in base64, compared by their hashes, so that the time tells
 * nothing of them. */
static bool matches_password(const struct scheme_key *key, struct span given)
{
    struct buf text = {0};
    uint8_t ours[CRYPTO_SHA256_SIZE], theirs[CRYPTO_SHA256_SIZE];
    text_base64(key->bytes, key->len, &text);
    crypto_sha256(text.bytes, text.len, ours);
    crypto_sha256(given.text, given.len, theirs);
    crypto_wipe(text.bytes, text.len);
    buf_fini(&text);
    return crypto_equal(ours, theirs, sizeof(ours));
}

static bool fits_public_key(const struct scheme *scheme, const struct scheme_key *key,
                            const struct scheme_input *input,
                            const struct crypto_part *parts, size_t n,
                            const struct buf *signature)
{
    if (scheme->algorithm == ALGORITHM_ECDSA_P256)
        return crypto_p256_verify(key->bytes, key->len, parts, n, signature->bytes,
                                  signature->len);
    bool is_sha1 =
        scheme->algorithm == ALGORITHM_RSA_SNS && strcmp(input->algorithm, "1") == 0;
    return crypto_rsa_verify(input->certificate, input->certificate_len, is_sha1, parts,
                             n, signature->bytes, signature->len);
}

static bool matches_public_key(const struct scheme *scheme, const struct scheme_key *key,
                               const struct scheme_input *input,
                               const struct parsed *parsed,
                               const struct crypto_part *parts, size_t n)
{
    bool found = false;
    for (unsigned i = 0; i < parsed->n_signatures && !found; i++) {
        struct buf signature = {0};
        found = read_base64(parsed->signatures[i], &signature) &&
                fits_public_key(scheme, key, input, parts, n, &signature);
        buf_fini(&signature);
    }
    return found;
}

static bool matches(const struct scheme *scheme, const struct scheme_key *key,
                    const struct scheme_input *input, const struct parsed *parsed,
                    const struct crypto_part *parts, size_t n)
{
    switch (scheme->algorithm) {
    case ALGORITHM_HMAC_SHA256:
    case ALGORITHM_HMAC_SHA1:
    case ALGORITHM_HMAC_SHA512:
        return matches_hmac(scheme, key, parsed, parts, n);
    case ALGORITHM_PASSWORD:
        return matches_password(key, parsed->signatures[0]);
    case ALGORITHM_ECDSA_P256:
    case ALGORITHM_RSA_SHA256:
    case ALGORITHM_RSA_SNS:
        return matches_public_key(scheme, key, input, parsed, parts, n);
    }
    return false;
}

/* The first key that made one of the signatures, over any one of the URLs. */
static int matching_key(const struct scheme *scheme, const struct scheme_key *keys,
                        size_t n_keys, const struct parsed *parsed,
                        const struct scheme_input *input, const char *topic)
{
    struct crypto_part parts[SCHEME_PIECES_MAX];
    for (size_t k = 0; k < n_keys; k++) {
        if (topic && (strlen(topic) != keys[k].len ||
                      memcmp(topic, keys[k].bytes, keys[k].len) != 0))
            continue;
        for (size_t u = 0; u == 0 || (u < 2 && input->urls[u]); u++) {
            size_t n =
                fill_template(scheme, parsed, input, &keys[k], input->urls[u], parts);
            if (matches(scheme, &keys[k], input, parsed, parts, n))
                return (int)k;
        }
    }
    return -1;
}

static enum scheme_result check_time(const struct scheme *scheme, uint64_t past_s,
                                     int64_t age_s)
{
    uint64_t past = past_s && scheme->past_s ? past_s : scheme->past_s;
    uint64_t future = past_s && scheme->future_s ? past_s : scheme->future_s;
    if (past && age_s > 0 && (uint64_t)age_s > past)
        return SCHEME_STALE;
    if (future && age_s < 0 && (uint64_t)-age_s > future)
        return SCHEME_FUTURE;
    return SCHEME_OK;
}

/* The time inside a body whose signature matched. */
static bool read_body_time(const struct scheme *scheme, const struct scheme_input *input,
                           uint64_t *ret_s)
{
    char error[64];
    struct json *body = js_parse(input->body, input->body_len, error, sizeof(error));
    int64_t ms = js_int(body, scheme->body_time, -1);
    js_free(body);
    *ret_s = (uint64_t)ms / 1000;
    return ms >= 0;
}

static enum scheme_result
verify_parsed(const struct scheme *scheme, const struct scheme_key *keys, size_t n_keys,
              uint64_t past_s, uint64_t now_s, const struct scheme_input *input,
              const struct parsed *parsed, const char *topic, struct scheme_verdict *v)
{
    uint64_t time_s = 0;
    v->signatures = parsed->n_signatures;
    v->has_time = strstr(scheme->signed_bytes, "{time}") ||
                  (scheme->in_body && scheme->time_header);
    if (v->has_time && !parse_time(parsed->time, scheme->time_form, &time_s))
        return SCHEME_MALFORMED;
    v->key = matching_key(scheme, keys, n_keys, parsed, input, topic);
    if (v->key >= 0 && scheme->body_time) {
        v->has_time = true;
        if (!read_body_time(scheme, input, &time_s))
            return SCHEME_MALFORMED;
    }
    v->age_s = v->has_time ? (int64_t)now_s - (int64_t)time_s : 0;
    enum scheme_result time = check_time(scheme, past_s, v->age_s);
    v->is_late = v->key < 0 && v->has_time && time != SCHEME_OK;
    return v->key < 0 ? SCHEME_MISMATCH : time;
}

/* What the template needs beside headers and body. */
static enum scheme_result prepare(const struct scheme *scheme,
                                  const struct scheme_input *input,
                                  const struct scheme_body *body, struct parsed *parsed)
{
    enum scheme_result result = parse_headers(scheme, input, parsed);
    if (result != SCHEME_OK)
        return result;
    if (scheme->certificate &&
        !certificate_url_fits(scheme->certificate, input->certificate_url))
        return SCHEME_FOREIGN;
    if (scheme->certificate && !input->certificate)
        return SCHEME_CERTIFICATE;
    if (strstr(scheme->signed_bytes, "{crc32}"))
        snprintf(parsed->crc32, sizeof(parsed->crc32), "%u",
                 (unsigned)crc32_of(input->body, input->body_len));
    if (strstr(scheme->signed_bytes, "{params}") && !read_params(input, &parsed->params))
        return SCHEME_MALFORMED;
    if (strstr(scheme->signed_bytes, "{fields}") &&
        !scheme_body_fields(body, &parsed->params))
        return SCHEME_MALFORMED;
    return SCHEME_OK;
}

void scheme_verify(const struct scheme *scheme, const struct scheme_key *keys,
                   size_t n_keys, uint64_t past_s, uint64_t now_s,
                   const struct scheme_input *given, struct scheme_verdict *ret_verdict)
{
    struct parsed parsed = {0};
    struct scheme_body body = {0};
    struct scheme_input input = *given;
    *ret_verdict = (struct scheme_verdict){.key = -1};
    if (scheme->in_body && !scheme_body_read(&body, scheme, &input))
        ret_verdict->result = SCHEME_MALFORMED;
    else
        ret_verdict->result = prepare(scheme, &input, &body, &parsed);
    if (ret_verdict->result == SCHEME_OK)
        ret_verdict->result = verify_parsed(scheme, keys, n_keys, past_s, now_s, &input,
                                            &parsed, body.topic, ret_verdict);
    scheme_body_fini(&body);
    buf_fini(&parsed.params);
}

/* --- for the operator --- */

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
