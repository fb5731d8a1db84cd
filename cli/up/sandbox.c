/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

int sandbox_free_port(int wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)wanted)};
    socklen_t n = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* as servers do */
    int port = bind(fd, (struct sockaddr *)&address, n) == 0 && listen(fd, 1) == 0 &&
                       getsockname(fd, (struct sockaddr *)&address, &n) == 0
                   ? ntohs(address.sin_port)
                   : 0;
    close(fd);
    return port || !wanted ? port : sandbox_free_port(0);
}

int sandbox_port_of(const char *url)
{
    const char *host = url ? strstr(url, "://") : NULL,
               *colon = host ? strchr(host + 3, ':') : NULL;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;

    return port > 0 && port < 65536 ? (int)port : 0;
}

bool sandbox_plays(const struct config_integration *integration, int port)
{
    const char *url = integration->base_url;

    return port && integration->provider && url && sandbox_port_of(url) == port &&
           strncmp(url, "http://127.0.0.1:", 17) == 0;
}

char *sandbox_webhooks(const struct config *config, int port)
{
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *in = &config->integrations[i];
        if (sandbox_plays(in, port) && in->n_webhooks)
            buf_format(&out, "%s%s=http://127.0.0.1:%u/webhooks/%s", out.len ? "," : "",
                       in->provider, config->gateway.port, in->webhooks[0].path);
    }
    char *text = mem_text(buf_str(&out));
    buf_fini(&out);
    return text;
}

/* --- the configuration --- */

/* What every integration of the sandbox has; %d is its port. */
static void add_integration(struct buf *out, const char *name, const char *connector,
                            const char *service, const char *prefix, int port)
{
    buf_format(out,
               "  %s:\n"
               "    connector: %s\n"
               "    provider: %s\n"
               "    service: %s\n"
               "    mode: test\n"
               "    base_url: http://127.0.0.1:%d%s\n"
               "    allow_private_network: true\n",
               name, connector, name, service, port, prefix);
}

static void add_payment(struct buf *out, int port, const char *poll_every)
{
    add_integration(out, SANDBOX_INTEGRATION, "payment", "Stripe", "", port);
    buf_format(
        out,
        "    secrets: { api_key: vault:stripe_api_key }\n"
        "    webhooks:\n"
        "      - { path: stripe, scheme: stripe, secrets: [vault:stripe_webhook] }\n"
        "    schedules:\n"
        "      - { operation: events, every: %s, missed: once }\n"
        "    why: { pattern: webhook, because: \"to practise\" }\n",
        poll_every);
}

static void add_email(struct buf *out, int port)
{
    add_integration(out, "resend", "email", "Resend", "/resend", port);
    buf_text(out,
             "    default: true\n"
             "    secrets: { api_key: vault:resend_api_key }\n"
             "    options: { from: \"Practice <practice@example.com>\" }\n"
             "    webhooks:\n"
             "      - { path: resend, scheme: resend, secrets: [vault:resend_webhook] "
             "}\n"
             "    why: { pattern: queue, because: \"to practise\" }\n");
    add_integration(out, "sendgrid", "email", "SendGrid", "/sendgrid", port);
    buf_text(out, "    secrets: { api_key: vault:sendgrid_api_key }\n"
                  "    options: { from: \"Practice <practice@example.com>\" }\n"
                  "    webhooks:\n"
                  "      - { path: sendgrid, scheme: sendgrid, secrets: "
                  "[vault:sendgrid_webhook] }\n"
                  "    why: { pattern: queue, because: \"to practise\" }\n");
}

static void add_messaging(struct buf *out, int port, int gateway)
{
    add_integration(out, "slack", "messaging", "Slack", "/slack", port);
    buf_text(out,
             "    default: true\n"
             "    secrets: { bot_token: vault:slack_bot_token }\n"
             "    webhooks:\n"
             "      - { path: slack, scheme: slack, secrets: [vault:slack_webhook] }\n"
             "    why: { pattern: queue, because: \"to practise\" }\n");
    add_integration(out, "twilio", "messaging", "Twilio", "/twilio", port);
    buf_format(
        out,
        "    secrets: { auth_token: vault:twilio_auth_token }\n"
        "    options:\n"
        "      account_sid: AC00000000000000000000000000000000\n"
        "      from: \"+15005550006\"\n"
        "      status_callback: http://127.0.0.1:%d/webhooks/twilio\n"
        "      segment_price: 7900\n"
        "    webhooks:\n"
        "      - { path: twilio, scheme: twilio, secrets: [vault:twilio_auth_token] "
        "}\n"
        "    why: { pattern: queue, because: \"to practise\" }\n",
        gateway);
}

static void add_ai(struct buf *out, int port, const char *today)
{
    /* made-up prices, so that a call costs something here */
    add_integration(out, "openai", "ai", "OpenAI", "/openai/v1", port);
    buf_format(out,
               "    default: true\n"
               "    secrets: { api_key: vault:openai_api_key }\n"
               "    options: { model: practice, prices: \"practice 1.00 2.00, "
               "practice-embed 0.10\", prices_date: \"%s\" }\n"
               "    webhooks:\n"
               "      - { path: openai, scheme: openai, secrets: [vault:openai_webhook] "
               "}\n"
               "    why: { pattern: call, because: \"to practise\" }\n",
               today);
    add_integration(out, "anthropic", "ai", "Anthropic", "/anthropic", port);
    buf_format(out,
               "    secrets: { api_key: vault:anthropic_api_key }\n"
               "    options: { model: practice, prices: \"practice 1.00 2.00\", "
               "prices_date: \"%s\" }\n"
               "    webhooks:\n"
               "      - { path: anthropic, scheme: anthropic, secrets: "
               "[vault:anthropic_webhook] }\n"
               "    why: { pattern: call, because: \"to practise\" }\n",
               today);
}

static void add_maps(struct buf *out, int port)
{
    add_integration(out, "google", "maps", "Google Maps", "/google", port);
    buf_text(out, "    default: true\n"
                  "    secrets: { api_key: vault:google_api_key }\n"
                  "    options: { call_price: 5000 }\n"
                  "    why: { pattern: call, because: \"to practise\" }\n");
    add_integration(out, "nominatim", "maps", "Nominatim", "/nominatim", port);
    buf_text(out, "    options: { user_agent: \"practice/1.0 (practice@example.com)\" }\n"
                  "    limits: { rate: 1/s }\n"
                  "    why: { pattern: call, because: \"to practise\" }\n");
}

/* The practice OpenAI once more, for applications with OpenAI's own SDK. */
static void add_proxy(struct buf *out, int port, int door, const char *today)
{
    buf_format(out,
               "  models:\n"
               "    connector: proxy\n"
               "    provider: openai\n"
               "    service: OpenAI\n"
               "    mode: test\n"
               "    base_url: http://127.0.0.1:%d/openai\n"
               "    allow_private_network: true\n"
               "    secrets: { api_key: vault:openai_api_key }\n"
               "    options: { listen: \"127.0.0.1:%d\", prices: \"practice 1.00 2.00\", "
               "prices_date: \"%s\" }\n"
               "    why: { pattern: call, because: \"to practise\" }\n",
               port, door, today);
}

static char *configuration(const struct sandbox_options *options)
{
    int gateway = sandbox_free_port(options->gateway_port ? options->gateway_port : 8080),
        port = sandbox_free_port(options->port ? options->port : 12111);
    struct buf out = BUF_NULL;
    char today[TEXT_TIME_SIZE];

    text_time(clock_wall_us(), today);
    today[strlen("2026-01-31")] = 0;
    buf_format(&out,
               "# Made by `signalbox up --sandbox`: everything here is for practice.\n"
               "data: ./data\n"
               "run: ./run\n"
               "gateway: { listen: 127.0.0.1:%d, public_url: http://127.0.0.1:%d }\n"
               "log: { segment_size: 64MiB, reserve: 16MiB }\n"
               "integrations:\n",
               gateway, gateway);
    add_payment(&out, port, options->poll_every);
    add_email(&out, port);
    add_messaging(&out, port, gateway);
    add_ai(&out, port, today);
    add_maps(&out, port);
    add_proxy(&out, port, sandbox_free_port(options->port ? 0 : 8091), today);
    char *text = mem_text(buf_str(&out));
    buf_fini(&out);
    return text;
}

/* --- secrets --- */

enum { RANDOM = 24 /* bytes of a made-up secret: what Standard Webhooks asks for */ };
enum secret_form {
    FORM_HEX,    /* the prefix and hex */
    FORM_BASE64, /* the prefix and base64 */
    FORM_P256    /* the public key of the pair made from the secret before it, as the
                    practice SendGrid makes it: SHA-256 of its API key is the seed */
};

static void make_secret(enum secret_form form, const char *prefix, const char *before,
                        struct buf *value)
{
    uint8_t random[RANDOM], seed[CRYPTO_SHA256_SIZE];
    struct buf der = BUF_NULL;

    id_random(random, sizeof(random));
    buf_text(value, prefix);
    if (form == FORM_HEX)
        text_hex(random, sizeof(random), value);
    else if (form == FORM_BASE64)
        text_base64(random, sizeof(random), value);
    else {
        crypto_sha256(before, strlen(before), seed);
        crypto_p256_public(seed, &der);
        text_base64(der.bytes, der.len, value);
    }
    buf_fini(&der);
}

static bool make_secrets(const char *dir, char *error, size_t error_size)
{
    static const struct {
        const char *name, *prefix;
        enum secret_form form;
    } secrets[] = {
        {"stripe_api_key", "sk_test_sandbox", FORM_HEX},
        {"stripe_webhook", "whsec_sandbox", FORM_HEX},
        {"resend_api_key", "re_sandbox_", FORM_HEX},
        {"resend_webhook", "whsec_", FORM_BASE64},
        {"sendgrid_api_key", "SG.sandbox.", FORM_HEX},
        {"sendgrid_webhook", "", FORM_P256},
        {"slack_bot_token", "xoxb-sandbox-", FORM_HEX},
        {"slack_webhook", "sandbox", FORM_HEX},
        {"twilio_auth_token", "sandbox", FORM_HEX},
        {"openai_api_key", "sk-sandbox", FORM_HEX},
        {"openai_webhook", "whsec_", FORM_BASE64},
        {"anthropic_api_key", "sk-ant-sandbox", FORM_HEX},
        {"anthropic_webhook", "whsec_", FORM_BASE64},
        {"google_api_key", "AIza", FORM_HEX},
    };
    _free_ char *file = mem_format("%s/data/vault", dir);
    _free_ char *key = mem_format("%s/signalbox.key", dir);
    struct vault *vault = vault_open(file, key, /* writable= */ true, error, error_size);
    struct buf before = BUF_NULL;

    for (size_t i = 0; vault && i < sizeof(secrets) / sizeof(*secrets); i++) {
        struct buf value = BUF_NULL;
        make_secret(secrets[i].form, secrets[i].prefix, buf_str(&before), &value);
        vault_set(vault, secrets[i].name, buf_str(&value), clock_wall_us(),
                  /* keep_old_us= */ 0);
        buf_fini(&before);
        before = value;
    }
    buf_fini(&before);
    bool good = vault && vault_save(vault, error, error_size);
    vault_close(vault);
    return good;
}

char *sandbox_prepare(const char *dir, const struct sandbox_options *options, char *error,
                      size_t error_size)
{
    char *path = mem_format("%s/%s", dir, CONFIG_FILE);

    if (access(path, F_OK) == 0)
        return path;
    _free_ char *text = configuration(options);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        snprintf(error, error_size, "%s: %s", dir, strerror(errno));
    else if (make_secrets(dir, error, error_size) &&
             secretfile_create(path, text, strlen(text), error, error_size))
        return path;
    free(path);
    return NULL;
}
