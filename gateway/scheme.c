/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

static const struct scheme rows[] = {
    {
        .name = "stripe",
        .signature_header = "Stripe-Signature",
        .syntax = SYNTAX_PAIRS,
        .label = "v1",
        .signed_bytes = "{time}.{body}",
        .encoding = ENCODING_HEX,
        .key = KEY_TEXT,
        .past_s = 300, /* the future is not checked, as in Stripe's own libraries */
        .event_id = "id",
        .event_type = "type",
    },
    {.name = NULL},
};

const struct scheme *scheme_rows(void)
{
    return rows;
}

const struct scheme *scheme_find(const char *name)
{
    for (const struct scheme *row = rows; row->name; row++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}

bool scheme_key_init(struct scheme_key *key, const struct scheme *scheme,
                     const char *secret)
{
    struct buf bytes = {0};
    if (scheme->key == KEY_TEXT) {
        buf_text(&bytes, secret);
    } else {
        if (!strncmp(secret, "whsec_", 6))
            secret += 6;
        if (!text_parse_base64(secret, strlen(secret), &bytes))
            return false;
    }
    if (bytes.len == 0) {
        buf_fini(&bytes);
        return false;
    }
    *key = (struct scheme_key){mem_copy(bytes.bytes, bytes.len), bytes.len};
    crypto_wipe(bytes.bytes, bytes.len);
    buf_fini(&bytes);
    return true;
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
    size_t label_len = strlen(scheme->label);
    for (;;) {
        const char *end = strchr(text, separator);
        size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n > label_len && !memcmp(text, scheme->label, label_len) &&
            text[label_len] == divider) {
            if (!add_signature(parsed,
                               (struct span){text + label_len + 1, n - label_len - 1}))
                return false;
        } else if (scheme->syntax == SYNTAX_PAIRS && n >= 2 && !memcmp(text, "t=", 2)) {
            parsed->time = (struct span){text + 2, n - 2};
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

/* Whole seconds in decimal digits; ten of them reach the year 2286. */
static bool parse_time(struct span time, uint64_t *ret_s)
{
    uint64_t s = 0;
    if (time.len < 1 || time.len > 12)
        return false;
    for (size_t i = 0; i < time.len; i++) {
        if (time.text[i] < '0' || time.text[i] > '9')
            return false;
        s = s * 10 + (uint64_t)(time.text[i] - '0');
    }
    *ret_s = s;
    return true;
}

static bool parse_signature(const struct scheme *scheme, const char *text,
                            struct parsed *parsed)
{
    switch (scheme->syntax) {
    case SYNTAX_PAIRS:
        return parse_items(scheme, text, ',', '=', parsed);
    case SYNTAX_SPACED:
        return parse_items(scheme, text, ' ', ',', parsed);
    case SYNTAX_PREFIX:
        return parse_prefixed(scheme, text, parsed);
    }
    return false;
}

static enum scheme_result parse_headers(const struct scheme *scheme,
                                        const struct scheme_input *input,
                                        struct parsed *parsed)
{
    if (input->repeats)
        return SCHEME_REPEATED;
    if (!input->signature || (scheme->time_header && !input->time) ||
        (scheme->id_header && !input->id))
        return SCHEME_NO_HEADER;
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

/* The template's next piece; its end in *ret_rest. */
static struct crypto_part next_part(const char *at, const struct parsed *parsed,
                                    const struct scheme_input *input,
                                    const char **ret_rest)
{
    static const char time[] = "{time}", id[] = "{id}", body[] = "{body}";
    if (!strncmp(at, time, sizeof(time) - 1)) {
        *ret_rest = at + sizeof(time) - 1;
        return (struct crypto_part){parsed->time.text, parsed->time.len};
    }
    if (!strncmp(at, id, sizeof(id) - 1)) {
        *ret_rest = at + sizeof(id) - 1;
        return (struct crypto_part){parsed->id.text, parsed->id.len};
    }
    if (!strncmp(at, body, sizeof(body) - 1)) {
        *ret_rest = at + sizeof(body) - 1;
        return (struct crypto_part){input->body, input->body_len};
    }
    size_t n = 1 + strcspn(at + 1, "{");
    *ret_rest = at + n;
    return (struct crypto_part){at, n};
}

static void sign(const struct scheme *scheme, const struct scheme_key *key,
                 const struct parsed *parsed, const struct scheme_input *input,
                 struct buf *ret_text)
{
    enum { PARTS_MAX = 8 };
    struct crypto_part parts[PARTS_MAX];
    size_t n = 0;
    for (const char *at = scheme->signed_bytes; *at && n < PARTS_MAX;)
        parts[n++] = next_part(at, parsed, input, &at);
    uint8_t mac[CRYPTO_SHA256_SIZE];
    crypto_hmac_sha256(key->bytes, key->len, parts, n, mac);
    if (scheme->encoding == ENCODING_HEX)
        text_hex(mac, sizeof(mac), ret_text);
    else
        text_base64(mac, sizeof(mac), ret_text);
}

/* The first key that made one of the signatures. Compared as text, so that there is one
 * spelling only; every signature is compared, in time that does not depend on where it
 * differs. */
static int matching_key(const struct scheme *scheme, const struct scheme_key *keys,
                        size_t n_keys, const struct parsed *parsed,
                        const struct scheme_input *input)
{
    int found = -1;
    struct buf text = {0};
    for (size_t k = 0; k < n_keys && found < 0; k++) {
        buf_clear(&text);
        sign(scheme, &keys[k], parsed, input, &text);
        for (unsigned i = 0; i < parsed->n_signatures; i++) {
            const struct span *given = &parsed->signatures[i];
            if (given->len == text.len && crypto_equal(given->text, text.bytes, text.len))
                found = (int)k;
        }
    }
    buf_fini(&text);
    return found;
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

void scheme_verify(const struct scheme *scheme, const struct scheme_key *keys,
                   size_t n_keys, uint64_t past_s, uint64_t now_s,
                   const struct scheme_input *input, struct scheme_verdict *ret_verdict)
{
    struct parsed parsed = {0};
    uint64_t time_s = 0;
    bool has_time = strstr(scheme->signed_bytes, "{time}") != NULL;
    *ret_verdict = (struct scheme_verdict){.key = -1, .has_time = has_time};
    ret_verdict->result = parse_headers(scheme, input, &parsed);
    if (ret_verdict->result != SCHEME_OK)
        return;
    ret_verdict->signatures = parsed.n_signatures;
    if (has_time && !parse_time(parsed.time, &time_s)) {
        ret_verdict->result = SCHEME_MALFORMED;
        return;
    }
    ret_verdict->age_s = has_time ? (int64_t)now_s - (int64_t)time_s : 0;
    ret_verdict->key = matching_key(scheme, keys, n_keys, &parsed, input);
    ret_verdict->result = ret_verdict->key < 0
                              ? SCHEME_MISMATCH
                              : check_time(scheme, past_s, ret_verdict->age_s);
    if (ret_verdict->key < 0 && has_time &&
        check_time(scheme, past_s, ret_verdict->age_s) != SCHEME_OK)
        ret_verdict->is_late = true;
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
