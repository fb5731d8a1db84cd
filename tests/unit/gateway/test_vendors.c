/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Every row of the table: what the providers publish, what a signer made here signs, and
 * the same forged. The signers are written out one by one, not taken from the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

/* --- vectors --- */

static const struct {
    const char *name, *scheme, *secret;
    struct scheme_input input;
    uint64_t now_s;
    bool is_genuine;
} vectors[] = {
    {.name = "GitHub's documentation",
     .scheme = "github",
     .secret = "It's a Secret to Everybody",
     .input =
         {.signature =
              "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
          .body = "Hello, World!"},
     .is_genuine = true},
    {.name = "Slack's documentation",
     .scheme = "slack",
     .secret = "8f742231b10e8888abcd99yyyzzz85a5",
     .input = {.signature =
                   "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
               .time = "1531420618",
               .body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
                       "testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id="
                       "U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
                       "response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%"
                       "2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
                       "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"},
     .now_s = 1531420618,
     .is_genuine = true},
    {.name = "Standard Webhooks' library, as standard-webhooks",
     .scheme = "standard-webhooks",
     .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
     .input = {.signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330,
     .is_genuine = true},
    {.name = "Standard Webhooks' library, as svix",
     .scheme = "svix",
     .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
     .input = {.signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330,
     .is_genuine = true},
    {.name = "Standard Webhooks' library, as resend",
     .scheme = "resend",
     .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
     .input = {.signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330,
     .is_genuine = true},
    {.name = "Standard Webhooks' library, as anthropic",
     .scheme = "anthropic",
     .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
     .input = {.signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330,
     .is_genuine = true},
    {.name = "Svix' server, with a pair of Ed25519",
     .scheme = "standard-webhooks",
     .secret = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
     .input = {.signature = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
                            "enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330,
     .is_genuine = true},
    {.name = "Svix' server, its signature under the other label",
     .scheme = "standard-webhooks",
     .secret = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
     .input = {.signature = "v1,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/"
                            "enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
               .time = "1614265330",
               .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
               .body = "{\"test\": 2432232314}"},
     .now_s = 1614265330},
    {.name = "OpenAI's library",
     .scheme = "openai",
     .secret = "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
     .input = {.signature = "v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=",
               .time = "1750861210",
               .id = "wh_685c059ae39c8190af8c71ed1022a24d",
               .body = "{\"id\": \"evt_685c059ae3a481909bdc86819b066fb6\", \"object\": "
                       "\"event\", \"created_at\": 1750861210, \"type\": "
                       "\"response.completed\", \"data\": {\"id\": \"resp_123\"}}"},
     .now_s = 1750861210,
     .is_genuine = true},
    {.name = "Twilio, a form",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
               .urls = {"https://mycompany.com/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"},
     .is_genuine = true},
    {.name = "Twilio, the second URL",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "kvajT1Ptam85bY51eRf/AJRuM3w=",
               .urls = {"https://mycompany.com/myapp.php?foo=1&bar=2",
                        "https://mycompany.com:443/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"},
     .is_genuine = true},
    {.name = "Twilio, http-port-80",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "0ZXoZLH/DfblKGATFgpif+LLRf4=",
               .urls = {"http://mycompany.com:80/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"},
     .is_genuine = true},
    {.name = "Twilio, http-port-1234",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
               .urls = {"http://mycompany.com:1234/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"},
     .is_genuine = true},
    {.name = "Twilio, credentials-in-url",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "CukzLTc1tT5dXEDIHm/tKBanW10=",
               .urls = {"https://user:pass@mycompany.com/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"},
     .is_genuine = true},
    {.name = "Twilio, JSON",
     .scheme = "twilio",
     .secret = "12345",
     .input =
         {.signature = "a9nBmqA0ju/hNViExpshrM61xv4=",
          .urls = {"https://mycompany.com/"
                   "myapp.php?foo=1&bar=2&bodySHA256="
                   "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"},
          .body = "{\"property\": \"value\", \"boolean\": true}"},
     .is_genuine = true},
    {.name = "Twilio, JSON changed",
     .scheme = "twilio",
     .secret = "12345",
     .input =
         {.signature = "a9nBmqA0ju/hNViExpshrM61xv4=",
          .urls = {"https://mycompany.com/"
                   "myapp.php?foo=1&bar=2&bodySHA256="
                   "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"},
          .body = "{\"property\": \"value\", \"boolean\": true} "}},
    {.name = "Twilio, repeated fields",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "83O6e2vORAoJHUNzJjDWN1jz+BA=",
               .urls = {"https://mycompany.com/myapp.php?foo=1&bar=2"},
               .is_form = true,
               .body = "MessagingBinding.Address=%2B1415xxxxxxx&MessagingBinding.Address="
                       "%2B1325xxxxxxx&MessagingBinding.Address=%2B1325xxxxxxx"},
     .is_genuine = true},
    {.name = "Twilio, no form and no hash",
     .scheme = "twilio",
     .secret = "12345",
     .input = {.signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
               .urls = {"https://mycompany.com/myapp.php?foo=1&bar=2"},
               .body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From="
                       "%2B14158675309&To=%2B18005551212"}},
    {.name = "SendGrid, one event",
     .scheme = "sendgrid",
     .secret = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/"
               "7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
     .input = {.signature =
                   "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+"
                   "uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
               .time = "1600112502",
               .body =
                   "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":"
                   "\"Bounced "
                   "Address\",\"sg_event_id\":"
                   "\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_"
                   "id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-"
                   "5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@"
                   "ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n"},
     .now_s = 1600112502,
     .is_genuine = true},
    {.name = "SendGrid without the last line end",
     .scheme = "sendgrid",
     .secret = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/"
               "7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
     .input = {.signature =
                   "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+"
                   "uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=",
               .time = "1600112502",
               .body =
                   "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":"
                   "\"Bounced "
                   "Address\",\"sg_event_id\":"
                   "\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_"
                   "id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-"
                   "5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@"
                   "ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]"},
     .now_s = 1600112502},
    {.name = "SendGrid, two events",
     .scheme = "sendgrid",
     .secret = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEQ4LIFtWztlsF7skFqOncjD1lun4H5w8XOhyOA"
               "rHW9RcIx/FfEzx6cikC/yPfUvwaX/JScE7Fc9CJD2afQ9Ok3Q==",
     .input =
         {.signature =
              "MEYCIQC/I4o6vCgqRYrTljjoVWB/"
              "GRWNtxeePlLMHr3x9ETeRQIhAIpV+03nREPTTHWSW0wIOA0EoMPdcNgXa70yCaqDJlu5",
          .time = "1619651159",
          .body = "[{\"email\":\"invalid@gmail.com\",\"event\":\"processed\",\"send_at\":"
                  "0,\"sg_event_id\":"
                  "\"cHJvY2Vzc2VkLTE5OTQyMTEyLXFOd0JMZ1BRUWpXNkRKdktRd1NBYnctMA\",\"sg_"
                  "message_id\":\"qNwBLgPQQjW6DJvKQwSAbw.filterdrecv-canary-547b64655b-"
                  "cw6zx-1-6089EA4A-56.0\",\"smtp-id\":\"<qNwBLgPQQjW6DJvKQwSAbw@"
                  "ismtpd0178p1mdw1.sendgrid.net>\",\"timestamp\":1619651146},\r\n{"
                  "\"email\":\"invalid@gmail.com\",\"event\":\"bounce\",\"ip\":\"167.89."
                  "101.76\",\"reason\":\"552 5.2.2 The email account that you tried to "
                  "reach is over quota and inactive. Please direct the recipient to "
                  "https://support.google.com/mail/?p=OverQuotaPerm c17si1130468pgv.34 - "
                  "gsmtp\",\"sg_event_id\":"
                  "\"Ym91bmNlLTAtMTk5NDIxMTItcU53QkxnUFFRalc2REp2S1F3U0Fidy0w\",\"sg_"
                  "message_id\":\"qNwBLgPQQjW6DJvKQwSAbw.filterdrecv-canary-547b64655b-"
                  "cw6zx-1-6089EA4A-56.0\",\"smtp-id\":\"<qNwBLgPQQjW6DJvKQwSAbw@"
                  "ismtpd0178p1mdw1.sendgrid.net>\",\"status\":\"5.2.2\",\"timestamp\":"
                  "1619651147,\"tls\":1,\"type\":\"blocked\"}]\r\n"},
     .now_s = 1619651159,
     .is_genuine = true},
    {.name = "Paddle's library",
     .scheme = "paddle",
     .secret = "VALID_SECRET",
     .input = {.signature =
                   "ts=1698796800;h1="
                   "a300428748dce5c70e4da19bffd60769591ea969c99dea3105d0ec9612cf43f9",
               .body = "{\"data\": [\"1\", \"2\"]}"},
     .now_s = 1698796800,
     .is_genuine = true},
    {.name = "Paddle's library-2",
     .scheme = "paddle",
     .secret = "VALID_SECRET",
     .input = {.signature =
                   "ts=1698796800;h1="
                   "28981e941fae76e53db32f3d2a83cb69db41476595e84e1970a1b5d98f62b261",
               .body = "{\"data\": \"value\"}"},
     .now_s = 1698796800,
     .is_genuine = true},
};

static enum scheme_result verify(const char *scheme, const char *secret,
                                 const struct scheme_input *input, uint64_t now_s)
{
    const struct scheme *row = scheme_find(scheme);
    struct scheme_key key;
    struct scheme_verdict verdict;
    assert_non_null(row);
    assert_true(scheme_key_init(&key, row, secret));
    scheme_verify(row, &key, 1, 0, now_s, input, &verdict);
    scheme_key_fini(&key);
    return verdict.result;
}

static void published_vectors_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct scheme_input input = vectors[i].input;
        input.body_len = strlen(input.body);
        enum scheme_result result =
            verify(vectors[i].scheme, vectors[i].secret, &input, vectors[i].now_s);
        if ((result == SCHEME_OK) != vectors[i].is_genuine)
            fail_msg("%s: %d", vectors[i].name, result);
    }
}

/* --- forgeries --- */

#define NOW  1750000000
#define BODY "{\"id\":\"1\",\"webhookTimestamp\":1750000000000}"
#define FORM "Body=a+b&MessageSid=SM1"
#define URL  "https://hooks.example.com/webhooks/x?a=1"

/* What is signed is `before`, the body (or what stands for it), `after`. */
static const struct signer {
    const char *scheme, *secret, *other_secret, *header_start, *time, *id;
    const char *before, *after;
    bool is_base64, is_sha1;
    uint64_t past_s, future_s;
} signers[] = {
    {"stripe", "whsec_a", "whsec_b", "t=1750000000,v1=", .before = "1750000000.",
     .past_s = 300},
    {"github", "a", "b", "sha256=", .before = ""},
#define STANDARD                                                                         \
    "whsec_c2lnbmFsYm94", "whsec_c2lnbmFsYm95", "v1,", "1750000000", "msg_1",            \
        .before = "msg_1.1750000000.", .is_base64 = true, .past_s = 300, .future_s = 300
    {"standard-webhooks", STANDARD},
    {"svix", STANDARD},
    {"openai", STANDARD},
    {"anthropic", STANDARD},
    {"resend", STANDARD},
    {"slack", "a", "b", "v0=", "1750000000", .before = "v0:1750000000:", .past_s = 300},
    {"shopify", "a", "b", "", .before = "", .is_base64 = true},
    {"paddle", "pdl_a", "pdl_b",
     "ts=1750000000;h1=", .before = "1750000000:", .past_s = 5},
    {"zoom", "a", "b", "v0=", "1750000000", .before = "v0:1750000000:", .past_s = 300},
    {"linear", "a", "b", "", .before = "", .past_s = 60, .future_s = 60},
    {"square", "a", "b", "", .before = URL, .is_base64 = true},
    {"hubspot", "a", "b", "", "1750000000000", .before = "POST" URL,
     .after = "1750000000000", .is_base64 = true, .past_s = 300},
    {"twilio", "a", "b", "", .before = URL, .is_base64 = true, .is_sha1 = true},
};

static const char *body_of(const struct signer *s)
{
    return strcmp(s->scheme, "twilio") == 0 ? FORM : BODY;
}

/* The secret's bytes: "signalbox" in base64 for those of Standard Webhooks. */
static const char *key_of(const struct signer *s)
{
    return s->id ? "signalbox" : s->secret;
}

static void mac_of(const struct signer *s, struct buf *out)
{
    uint8_t mac[32];
    const char *key = key_of(s), *after = s->after ? s->after : "";
    const char *body = s->is_sha1 ? "Bodya bMessageSidSM1" : body_of(s);
    struct crypto_part parts[] = {
        {s->before, strlen(s->before)}, {body, strlen(body)}, {after, strlen(after)}};
    if (s->is_sha1)
        crypto_hmac_sha1(key, strlen(key), parts, 3, mac);
    else
        crypto_hmac_sha256(key, strlen(key), parts, 3, mac);
    if (s->is_base64)
        text_base64(mac, s->is_sha1 ? 20 : 32, out);
    else
        text_hex(mac, 32, out);
}

struct delivery {
    const struct signer *signer;
    struct buf header, body;
    struct scheme_input input;
};

static struct delivery *genuine(const struct signer *s)
{
    struct delivery *d = calloc(1, sizeof(*d));
    d->signer = s;
    buf_text(&d->header, s->header_start);
    mac_of(s, &d->header);
    buf_text(&d->body, body_of(s));
    d->input = (struct scheme_input){.signature = buf_str(&d->header),
                                     .time = s->time,
                                     .id = s->id,
                                     .method = "POST",
                                     .urls = {URL},
                                     .is_form = s->is_sha1,
                                     .body = buf_str(&d->body),
                                     .body_len = d->body.len};
    return d;
}

static void delivery_free(struct delivery *d)
{
    buf_fini(&d->header);
    buf_fini(&d->body);
    free(d);
}

static bool accepts(const struct delivery *d)
{
    return verify(d->signer->scheme, d->signer->secret, &d->input, NOW) == SCHEME_OK;
}

static void refused(const struct delivery *d, const char *what)
{
    if (accepts(d))
        fail_msg("%s accepted: %s", d->signer->scheme, what);
}

typedef void (*forgery_fn)(const struct signer *s);

static void for_each_signer(forgery_fn fn)
{
    for (size_t i = 0; i < sizeof(signers) / sizeof(signers[0]); i++)
        fn(&signers[i]);
}

static void try_genuine(const struct signer *s)
{
    struct delivery *d = genuine(s);
    if (!accepts(d))
        fail_msg("%s: the genuine one is refused", s->scheme);
    if (verify(s->scheme, s->other_secret, &d->input, NOW) != SCHEME_MISMATCH)
        fail_msg("%s: another secret", s->scheme);
    delivery_free(d);
}

static void genuine_ones_pass_with_their_secret_only(void **state)
{
    (void)state;
    for_each_signer(try_genuine);
}

/* Twilio's fields may stand in another order, and its escapes be written otherwise. */
static void try_bits(const struct signer *s)
{
    struct delivery *d = genuine(s);
    for (size_t bit = 0; bit < d->body.len * 8; bit++) {
        d->body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(d, "a bit of the body");
        d->body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < d->header.len * 8; bit++) {
        d->header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused(d, "a bit of the header");
        d->header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(accepts(d));
    delivery_free(d);
}

static void no_flipped_bit_is_accepted(void **state)
{
    (void)state;
    for_each_signer(try_bits);
}

/* The whole of a request as it comes: a body of 2 KiB and its header. */
static void no_flipped_bit_of_a_request_of_2_kib_is_accepted(void **state)
{
    (void)state;
    const struct signer *s = &signers[0]; /* Stripe's, whose header holds the time too */
    struct buf body = {0}, header = {0}, mac = {0};
    uint8_t bytes[CRYPTO_SHA256_SIZE];
    buf_text(&body, "{\"id\":\"evt_1\",\"type\":\"a.b\",\"data\":\"");
    while (body.len < 2046)
        buf_text(&body, "x");
    buf_text(&body, "\"}");
    struct crypto_part parts[] = {{s->before, strlen(s->before)}, {body.bytes, body.len}};
    crypto_hmac_sha256(s->secret, strlen(s->secret), parts, 2, bytes);
    text_hex(bytes, sizeof(bytes), &mac);
    buf_format(&header, "%s%s", s->header_start, buf_str(&mac));
    struct scheme_input input = {
        .signature = buf_str(&header), .body = body.bytes, .body_len = body.len};
    struct buf *const flipped[] = {&body, &header};
    size_t accepted = 0;
    for (size_t i = 0; i < 2; i++)
        for (size_t bit = 0; bit < flipped[i]->len * 8; bit++) {
            flipped[i]->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            accepted += verify(s->scheme, s->secret, &input, NOW) == SCHEME_OK;
            flipped[i]->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    assert_int_equal(accepted, 0);
    assert_int_equal(verify(s->scheme, s->secret, &input, NOW), SCHEME_OK);
    buf_fini(&body);
    buf_fini(&header);
    buf_fini(&mac);
}

static void try_bodies(const struct signer *s)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"id\": \"1\", \"webhookTimestamp\": 1750000000000}",
        (BODY "\n"),
        (" " BODY),
        "Body=a+b",
        "Body=a+b&MessageSid=SM1&x=",
        "Body=a+b&MessageSid=SM2",
        "Body=a%2&MessageSid=SM1"};
    struct delivery *d = genuine(s);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        d->input.body = bodies[i];
        d->input.body_len = strlen(bodies[i]);
        refused(d, bodies[i]);
    }
    d->input.body = buf_str(&d->body);
    d->input.body_len = d->body.len - 1;
    refused(d, "truncated body");
    delivery_free(d);
}

static void other_and_reserialised_bodies_are_refused(void **state)
{
    (void)state;
    for_each_signer(try_bodies);
}

static void try_times(const struct signer *s)
{
    struct delivery *d = genuine(s);
    if (s->past_s) {
        assert_int_equal(verify(s->scheme, s->secret, &d->input, NOW + s->past_s),
                         SCHEME_OK);
        assert_int_equal(verify(s->scheme, s->secret, &d->input, NOW + s->past_s + 1),
                         SCHEME_STALE);
    }
    assert_int_equal(verify(s->scheme, s->secret, &d->input, NOW - 100000),
                     s->future_s ? SCHEME_FUTURE : SCHEME_OK);
    if (s->future_s)
        assert_int_equal(verify(s->scheme, s->secret, &d->input, NOW - s->future_s),
                         SCHEME_OK);
    static const char *const times[] = {
        NULL,           "",  "1750000001",          "01750000000", "1750000000 ",
        "1750000000.0", "x", "17500000000000000000"};
    for (size_t i = 0; s->time && i < sizeof(times) / sizeof(times[0]); i++) {
        d->input.time = times[i];
        refused(d, "another time");
    }
    delivery_free(d);
}

static void stale_future_and_other_times_are_refused(void **state)
{
    (void)state;
    for_each_signer(try_times);
}

static void try_headers(const struct signer *s)
{
    struct delivery *d = genuine(s);
    const char *good = buf_str(&d->header);
    struct buf other = {0};
    d->input.signature = NULL;
    refused(d, "no header");
    d->input.signature = "";
    refused(d, "an empty header");
    d->input.signature = s->header_start;
    refused(d, "no signature in the header");
    buf_add(&other, good, d->header.len - 1);
    d->input.signature = buf_str(&other);
    refused(d, "truncated");
    buf_clear(&other);
    buf_format(&other, "%s=", good);
    d->input.signature = buf_str(&other);
    refused(d, "longer");
    buf_clear(&other);
    buf_format(&other, " %s", good);
    d->input.signature = buf_str(&other);
    if (s->id == NULL) /* items are parted by blanks there */
        refused(d, "a blank before it");
    d->input.signature = good;
    d->input.repeats = 1;
    refused(d, "twice");
    buf_fini(&other);
    delivery_free(d);
}

static void missing_cut_and_repeated_headers_are_refused(void **state)
{
    (void)state;
    for_each_signer(try_headers);
}

static void try_encodings(const struct signer *s)
{
    static const char *const labels[] = {"v1a,",
                                         "v0,",
                                         "sha1=",
                                         "sha512=",
                                         "v1=",
                                         "v2=",
                                         "ts=1750000000;h0=",
                                         "t=1750000000,v0=",
                                         "none="};
    struct delivery *d = genuine(s);
    struct buf other = {0}, mac = {0}, raw = {0};
    mac_of(s, &mac);
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        buf_clear(&other);
        buf_format(&other, "%s%s", labels[i], buf_str(&mac));
        d->input.signature = buf_str(&other);
        if (strcmp(labels[i], s->header_start) != 0)
            refused(d, labels[i]);
    }
    buf_clear(&other);
    buf_text(&other, s->header_start);
    if (s->is_base64 && text_parse_base64(buf_str(&mac), mac.len, &raw))
        text_hex(raw.bytes, raw.len, &other);
    else if (text_parse_hex(buf_str(&mac), mac.len, &raw))
        text_base64(raw.bytes, raw.len, &other);
    d->input.signature = buf_str(&other);
    refused(d, "the other encoding");
    for (size_t i = 0; i < d->header.len; i++)
        if (i >= strlen(s->header_start) && d->header.bytes[i] >= 'a' &&
            d->header.bytes[i] <= 'z')
            d->header.bytes[i] ^= 32;
    d->input.signature = buf_str(&d->header);
    refused(d, "upper case");
    buf_fini(&raw);
    buf_fini(&mac);
    buf_fini(&other);
    delivery_free(d);
}

static void downgraded_and_wrongly_encoded_ones_are_refused(void **state)
{
    (void)state;
    for_each_signer(try_encodings);
}

static void try_surroundings(const struct signer *s)
{
    struct delivery *d = genuine(s);
    if (strstr(s->before, URL)) {
        d->input.urls[0] = "https://hooks.example.com/webhooks/y?a=1";
        refused(d, "another address");
        d->input.urls[0] = "https://hooks.example.com/webhooks/x?a=2";
        refused(d, "another query");
        d->input.urls[0] = NULL;
        refused(d, "no address");
        d->input.urls[0] = URL;
    }
    if (s->after) {
        d->input.method = "PUT";
        refused(d, "another method");
        d->input.method = "POST";
    }
    if (s->id) {
        d->input.id = "msg_2";
        refused(d, "another id");
        d->input.id = NULL;
        refused(d, "no id");
    }
    delivery_free(d);
}

static void address_method_and_id_are_signed_where_the_row_says_so(void **state)
{
    (void)state;
    for_each_signer(try_surroundings);
}

static void forged_sendgrid(const struct scheme_input *good, const char *secret)
{
    struct scheme_input input = *good;
    struct buf body = {0}, header = {0};
    buf_add(&body, good->body, good->body_len);
    buf_text(&header, good->signature);
    input.body = buf_str(&body);
    for (size_t i = 0; i < body.len; i++) {
        body.bytes[i] ^= 1;
        assert_int_equal(verify("sendgrid", secret, &input, 1600112502), SCHEME_MISMATCH);
        body.bytes[i] ^= 1;
    }
    input.signature = buf_str(&header);
    for (size_t bit = 0; bit < header.len * 8; bit++) {
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(verify("sendgrid", secret, &input, 1600112502), SCHEME_OK);
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(verify("sendgrid", secret, &input, 1600112502), SCHEME_OK);
    assert_int_equal(verify("sendgrid", secret, &input, 1600112502 + 301), SCHEME_STALE);
    input.time = "1600112503";
    assert_int_equal(verify("sendgrid", secret, &input, 1600112502), SCHEME_MISMATCH);
    input.time = NULL;
    assert_int_equal(verify("sendgrid", secret, &input, 1600112502), SCHEME_NO_HEADER);
    buf_fini(&body);
    buf_fini(&header);
}

static void forged_sendgrid_deliveries_are_refused(void **state)
{
    (void)state;
    const char *other = NULL;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        if (!strcmp(vectors[i].name, "SendGrid, two events"))
            other = vectors[i].secret;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        if (!strcmp(vectors[i].name, "SendGrid, one event")) {
            struct scheme_input input = vectors[i].input;
            input.body_len = strlen(input.body);
            forged_sendgrid(&input, vectors[i].secret);
            assert_int_equal(verify("sendgrid", other, &input, 1600112502),
                             SCHEME_MISMATCH);
        }
}

static void secrets_of_another_form_are_no_keys(void **state)
{
    (void)state;
    struct scheme_key key;
    static const char *const bad[][2] = {
        {"svix", "whsec_not base64"},
        {"resend", "re_123"},
        {"openai", "whsec_%%"},
        {"sendgrid", "whsec_c2lnbmFsYm94"},
        {"sendgrid", "c2lnbmFsYm94"},
        {"sendgrid", "-----BEGIN PUBLIC KEY-----"},
        /* a key of the curve P-384 */
        {"sendgrid", "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEXTOeacGj0oSWsxOB/"
                     "DV+"
                     "PQpCPYekwSXVpo850DqlZ3U6yqQBAqb3lvFlX64eFcd1WNnSaKUwnt010H9FVAb9AgO"
                     "rrrMXC61eXgO9S03SYNxlnV7nO2osR2S/3BkMljjJ"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scheme_key_init(&key, scheme_find(bad[i][0]), bad[i][1]))
            fail_msg("%s takes %s", bad[i][0], bad[i][1]);
    assert_true(scheme_key_init(&key, scheme_find("openai"), "plain text"));
    scheme_key_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_are_told_apart),
        cmocka_unit_test(genuine_ones_pass_with_their_secret_only),
        cmocka_unit_test(no_flipped_bit_is_accepted),
        cmocka_unit_test(no_flipped_bit_of_a_request_of_2_kib_is_accepted),
        cmocka_unit_test(other_and_reserialised_bodies_are_refused),
        cmocka_unit_test(stale_future_and_other_times_are_refused),
        cmocka_unit_test(missing_cut_and_repeated_headers_are_refused),
        cmocka_unit_test(downgraded_and_wrongly_encoded_ones_are_refused),
        cmocka_unit_test(address_method_and_id_are_signed_where_the_row_says_so),
        cmocka_unit_test(forged_sendgrid_deliveries_are_refused),
        cmocka_unit_test(secrets_of_another_form_are_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
