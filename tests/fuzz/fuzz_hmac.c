/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/scheme.h"
#include "gateway/scheme_config.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char before[] =
    "gateway: { public_url: https://a.test }\nintegrations:\n  a:\n    webhooks:\n"
    "      - { path: a, scheme: hmac, secrets: [vault:h], hmac: { signature_header: S, "
    "event_id: id, event_type: type, time_header: T, id_header: I, signed: ";

/* The row of a template, when the configuration takes it. The template is quoted as YAML
 * has it, so that every text can be tried. */
static struct config *config_of(const uint8_t *text, size_t n)
{
    struct buf yaml = {0}, errors = {0};
    buf_text(&yaml, before);
    buf_text(&yaml, "'");
    for (size_t i = 0; i < n; i++)
        buf_format(&yaml, text[i] == '\'' ? "''" : "%c", text[i]);
    buf_text(&yaml, "' } }\n");
    struct config *config = config_parse("/x.yaml", buf_str(&yaml), yaml.len, &errors);
    buf_fini(&yaml);
    buf_fini(&errors);
    return config;
}

/* What is signed, found naively: the template with each placeholder put in its place. */
static void expand(const char *text, const struct scheme_input *input, struct buf *out)
{
    const struct {
        const char *name, *value;
        size_t len;
    } all[] = {
        {"{time}", input->time, strlen(input->time)},
        {"{id}", input->id, strlen(input->id)},
        {"{method}", input->method, strlen(input->method)},
        {"{url}", input->urls[0], strlen(input->urls[0])},
        {"{body}", input->body, input->body_len},
    };
    while (*text) {
        size_t i = 0;
        while (i < 5 && strncmp(text, all[i].name, strlen(all[i].name)) != 0)
            i++;
        buf_add(out, i < 5 ? all[i].value : text, i < 5 ? all[i].len : 1);
        text += i < 5 ? strlen(all[i].name) : 1;
    }
}

static enum scheme_result verify(const struct scheme *scheme,
                                 const struct scheme_input *input)
{
    struct scheme_key key;
    struct scheme_verdict verdict;
    if (!scheme_key_init(&key, scheme, "secret"))
        abort();
    scheme_verify(scheme, &key, 1, 0, 1750000000, input, &verdict);
    scheme_key_fini(&key);
    return verdict.result;
}

/* Input: the template, a line feed, the body. Every template that is taken verifies what
 * was signed by it, and nothing that was signed of another body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *end = memchr(data, '\n', n);
    size_t len = end ? (size_t)(end - data) : n;
    struct config *config = config_of(data, len);
    if (!config)
        return 0;
    const struct config_hmac *row = &config->integrations[0].webhooks[0].hmac;
    struct scheme scheme = scheme_of_config(row);
    struct scheme_input input = {.time = "1750000000",
                                 .id = "msg_1",
                                 .method = "POST",
                                 .urls = {"https://a.test/webhooks/a"},
                                 .body = end ? end + 1 : data,
                                 .body_len = end ? n - len - 1 : 0};
    struct buf text = {0}, header = {0}, other = {0};
    uint8_t mac[CRYPTO_SHA256_SIZE];
    expand(row->signed_bytes, &input, &text);
    crypto_hmac_sha256("secret", 6, &(struct crypto_part){text.bytes, text.len}, 1, mac);
    text_hex(mac, sizeof(mac), &header);
    input.signature = buf_str(&header);
    assert(verify(&scheme, &input) == SCHEME_OK);
    buf_add(&other, input.body, input.body_len);
    buf_text(&other, "x");
    input.body = other.bytes;
    input.body_len = other.len;
    assert(verify(&scheme, &input) == SCHEME_MISMATCH);
    buf_fini(&text);
    buf_fini(&header);
    buf_fini(&other);
    config_free(config);
    return 0;
}
