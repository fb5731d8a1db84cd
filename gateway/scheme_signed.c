/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_signed.h"

#include <stdio.h>
#include <string.h>

#include "gateway/form.h"
#include "gateway/scheme_body.h"
#include "gateway/scheme_header.h"
#include "gateway/scheme_key.h"
#include "lib/base/hash.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

/* --- what must be made of the body --- */

static bool make_crc32(struct scheme_signed *s, const struct scheme_body *body)
{
    (void)body;
    snprintf(s->crc32, sizeof(s->crc32), "%u",
             (unsigned)crc32_of(s->input->body, s->input->body_len));
    return true;
}

/* The value of the query's member bodySHA256; NULL when there is none. */
static const char *hash_in_url(const char *url)
{
    static const char name[] = "bodySHA256=";
    const char *at = url ? strchr(url, '?') : NULL;
    while (at && strncmp(at + 1, name, sizeof(name) - 1) != 0)
        at = strchr(at + 1, '&');
    return at ? at + sizeof(name) : NULL;
}

static bool is_hash_of_body(const char *given, const struct scheme_input *input)
{
    uint8_t hash[CRYPTO_SHA256_SIZE];
    struct buf hex = BUF_NULL;
    crypto_sha256(input->body, input->body_len, hash);
    text_hex(hash, sizeof(hash), &hex);
    bool fits =
        strcspn(given, "&#") == hex.len && crypto_equal(given, hex.bytes, hex.len);
    buf_fini(&hex);
    return fits;
}

/* What Twilio signs beside the URL. The body is covered by the fields of the form, or by
 * its hash in the URL, which is signed; a body that is covered by neither is refused. */
static bool make_params(struct scheme_signed *s, const struct scheme_body *body)
{
    const char *hash = hash_in_url(s->input->urls[0]);
    (void)body;
    if (hash)
        return is_hash_of_body(hash, s->input);
    return s->input->is_form && form_sorted(s->input->body, s->input->body_len, &s->made);
}

static bool make_fields(struct scheme_signed *s, const struct scheme_body *body)
{
    return scheme_body_fields(body, &s->made);
}

bool scheme_signed_init(struct scheme_signed *s, const struct scheme *scheme,
                        const struct scheme_input *input,
                        const struct scheme_given *given, const struct scheme_body *body)
{
    static const struct {
        const char *token;
        bool (*make)(struct scheme_signed *s, const struct scheme_body *body);
    } makers[] = {
        {"{crc32}", make_crc32}, {"{params}", make_params}, {"{fields}", make_fields}};
    *s = (struct scheme_signed){.scheme = scheme, .input = input, .given = given};
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
        if (strstr(scheme->signed_bytes, makers[i].token) && !makers[i].make(s, body))
            return false;
    return true;
}

void scheme_signed_fini(struct scheme_signed *s)
{
    buf_fini(&s->made);
}

/* --- the template --- */

struct token {
    const char *name;
    struct crypto_part bytes;
};

static struct crypto_part part_of(const char *text)
{
    return (struct crypto_part){text ? text : "", text ? strlen(text) : 0};
}

/* The template's next piece; its end in *ret_rest. */
static struct crypto_part next_part(const char *at, const struct token *tokens,
                                    const char **ret_rest)
{
    for (const struct token *token = tokens; token->name; token++) {
        size_t n = strlen(token->name);
        if (strncmp(at, token->name, n) != 0)
            continue;
        *ret_rest = at + n;
        return token->bytes;
    }
    size_t n = 1 + strcspn(at + 1, "{");
    *ret_rest = at + n;
    return (struct crypto_part){at, n};
}

size_t scheme_signed_parts(const struct scheme_signed *s, const struct scheme_key *key,
                           const char *url, struct crypto_part *ret_parts)
{
    const struct scheme_input *input = s->input;
    const struct token tokens[] = {
        {"{time}", {s->given->time.text, s->given->time.len}},
        {"{id}", {s->given->id.text, s->given->id.len}},
        {"{body}", {input->body ? input->body : "", input->body_len}},
        {"{method}", part_of(input->method)},
        {"{url}", part_of(url)},
        {"{params}", {s->made.bytes, s->made.len}},
        {"{fields}", {s->made.bytes, s->made.len}},
        {"{key}", {key->bytes, key->len}},
        {"{crc32}", part_of(s->crc32)},
        {.name = NULL},
    };
    size_t n = 0;
    for (const char *at = s->scheme->signed_bytes; *at && n < SCHEME_PIECES_MAX;)
        ret_parts[n++] = next_part(at, tokens, &at);
    return n;
}
