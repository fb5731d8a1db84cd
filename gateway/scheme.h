/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme - how a webhook is verified: one row for each way of signing
 *
 * A row says where the signature, the time and the event's name stand, which bytes are
 * signed, and with what key. Verification works on the raw bytes of header and body; the
 * body is parsed by nobody before it has passed, but for those rows whose provider put
 * the signature into it (scheme_body.h). A row whose signature does not cover the body is
 * weak, and the configuration must say why it is taken. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scheme_key;

enum {
    SCHEME_HEADER_MAX = 4096,   /* of a signature header; longer: refused */
    SCHEME_SIGNATURES_MAX = 16, /* candidates in one header; more: refused */
    SCHEME_URLS_MAX = 2,        /* under which one endpoint may be signed */
};

enum scheme_syntax {
    SYNTAX_PAIRS,  /* t=TIME,v1=SIGNATURE[,v1=...], other labels ignored, the last time
                      wins (Stripe; Paddle with ts, h1 and semicolons) */
    SYNTAX_PREFIX, /* LABEL=SIGNATURE, one only (GitHub, Slack) */
    SYNTAX_SPACED, /* LABEL,SIGNATURE LABEL,SIGNATURE, other labels ignored (Standard
                      Webhooks) */
    SYNTAX_WHOLE,  /* SIGNATURE */
    SYNTAX_BASIC,  /* Basic SIGNATURE, the word in any case (RFC 7617) */
};
enum scheme_algorithm {
    ALGORITHM_HMAC_SHA256,
    ALGORITHM_HMAC_SHA1,
    ALGORITHM_HMAC_SHA512,
    ALGORITHM_ECDSA_P256, /* with SHA-256, DER */
    ALGORITHM_RSA_SHA256, /* PKCS #1 v1.5, with the key of a certificate */
    ALGORITHM_RSA_SNS,  /* the same, or with SHA-1, as the body's SignatureVersion says */
    ALGORITHM_ED25519,  /* of keys that begin with whpk_ (public_label) */
    ALGORITHM_PASSWORD, /* the key itself: nothing is signed */
};
enum scheme_encoding { ENCODING_HEX /* lower case only */, ENCODING_BASE64 };
enum scheme_time { TIME_S /* since 1970 */, TIME_MS, TIME_DATE /* RFC 3339 */ };
enum scheme_key_form {
    KEY_TEXT,          /* the secret as it is, its prefix included */
    KEY_WHSEC_BASE64,  /* base64 after the prefix whsec_, which may be left out */
    KEY_WHSEC_OR_TEXT, /* base64 after the prefix whsec_; without it as it is */
    KEY_P256,          /* base64 of a public key (SubjectPublicKeyInfo), no PEM lines */
    KEY_HEX,
    KEY_BASE64,
};
/* Whose address a certificate must have (certificate.h). */
enum scheme_certificate { CERTIFICATE_NONE, CERTIFICATE_PAYPAL, CERTIFICATE_SNS };
enum scheme_handshake { HANDSHAKE_NONE, HANDSHAKE_SLACK, HANDSHAKE_ZOOM };
enum { SCHEME_PIECES_MAX = 8 }; /* of a template */

struct scheme {
    const char *name;
    bool is_weak; /* the signature does not cover the body */
    bool in_body; /* what is called a header here is a path in the JSON body */
    const char *signature_header;
    enum scheme_syntax syntax;
    const char *label;        /* of the signature: "v1" */
    const char *public_label; /* of SYNTAX_SPACED: that of signatures made with a pair of
                                 Ed25519, whose public key is a secret here, whpk_ and 32
                                 bytes in base64 (Standard Webhooks 1.0, v1a). NULL: none.
                                 Neither kind of key counts for the other's label. */
    const char *time_label;   /* of SYNTAX_PAIRS; NULL: "t" */
    char separator;           /* of SYNTAX_PAIRS; 0: a comma */
    const char *time_header;  /* NULL: the pair t, or the row has no time */
    const char *body_time; /* the time is a number at this path of the signed JSON body,
                              in ms (Linear) */
    enum scheme_time time_form;
    const char *id_header; /* part {id} of what is signed */
    /* Template of {time} {id} {method} {url} {body} {params} and literals. {url} is the
     * endpoint's public one with the request's query. {params} are the sorted fields of a
     * form; of another body nothing, if the URL carries its hash as bodySHA256 (Twilio).
     * {crc32} is that of the body in decimal, {key} the secret (PayPal), {fields} those
     * of the body that SNS signs. One of {body}, {params}, {crc32} and {fields} is in it,
     * unless the row is weak. */
    const char *signed_bytes;
    enum scheme_algorithm algorithm;
    enum scheme_encoding encoding;
    enum scheme_key_form key;
    enum scheme_certificate certificate;
    const char *certificate_header; /* its address */
    const char *algorithm_header;   /* must be one of these words, when the row has one */
    const char *algorithm_name;
    const char *key_path; /* the secret is the text at this path of the body (SNS: the
                             topic, since anybody may have one) */
    uint64_t past_s, future_s; /* tolerance; 0: that side is not checked */
    bool is_batch;             /* the body is an array: an event for each element */
    enum scheme_handshake handshake;
    const char *hint; /* for the operator, where nothing matches: what else is often
                         wrong; a hundred letters at most */
    /* Where the event's id and type stand (content.h). */
    const char *event_id;
    const char *event_type;
};

/* The row of a name, NULL when there is none; all rows up to a NULL name. */
const struct scheme *scheme_find(const char *name);
const struct scheme *scheme_rows(void);

/* What a sender gave; all borrowed. */
struct scheme_input {
    const char *signature; /* the header's value, NULL when it is absent */
    const char *time;      /* that of the time header, if the row has one */
    const char *id;
    const char *certificate_url, *algorithm; /* of rows that have such headers */
    const void
        *certificate; /* the public key at that address (DER); NULL: not to be had */
    size_t certificate_len;
    const char *method; /* of rows with {method} */
    const char
        *urls[SCHEME_URLS_MAX]; /* of rows with {url}: any one of them; NULL: none */
    bool is_form;               /* the body's content type is that of a form */
    unsigned repeats;           /* headers among these that came more than once */
    const void *body;
    size_t body_len;
};

enum scheme_result {
    SCHEME_OK,
    SCHEME_NO_HEADER,   /* a header is missing */
    SCHEME_REPEATED,    /* a header came twice */
    SCHEME_MALFORMED,   /* a header is not of the row's syntax, or over its bounds */
    SCHEME_BODY,        /* the body is none that this row could sign */
    SCHEME_FOREIGN,     /* the certificate it names is not at the provider's address */
    SCHEME_CERTIFICATE, /* that certificate is not to be had */
    SCHEME_MISMATCH,    /* no signature matches any key */
    SCHEME_STALE,       /* signed rightly, but too long ago */
    SCHEME_FUTURE,      /* signed rightly, but for later */
};
struct scheme_verdict {
    enum scheme_result result;
    int key; /* which one matched, -1 none */
    bool has_time;
    int64_t age_s;       /* of has_time: now - the time signed */
    bool is_late;        /* of a mismatch: the time is over the tolerance too */
    uint64_t allowed_s;  /* of a time that is off: how much of it was allowed */
    const char *missing; /* of a missing header: which one */
    bool signs_publicly; /* is one of the signatures under the row's public_label? */
    bool is_other_kind;  /* of a mismatch: no key is of a kind that a signature is of */
    unsigned signatures; /* candidates seen */
};

/* Verify. A past_s other than 0 replaces the row's, on the sides that the row checks. */
void scheme_verify(const struct scheme *scheme, const struct scheme_key *keys,
                   size_t n_keys, uint64_t past_s, uint64_t now_s,
                   const struct scheme_input *input, struct scheme_verdict *ret_verdict);
