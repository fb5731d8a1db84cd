/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The table. Its names are those of lib/config/schemes.def, which the configuration
 * takes. */
#include <string.h>

#include "gateway/scheme.h"

#define SCHEME(identifier, name, signs_url, is_weak) ROW_##identifier,
enum {
#include "lib/config/schemes.def"
    ROWS
};
#undef SCHEME

/* Of rows with {url}. */
#define SIGNS_ADDRESS "or gateway.public_url is not the address the provider calls"

/* Standard Webhooks, and who signs like it: names with `prefix`. */
#define STANDARD(prefix)                                                                 \
    .signature_header = prefix "-signature", .syntax = SYNTAX_SPACED, .label = "v1",     \
    .time_header = prefix "-timestamp", .id_header = prefix "-id",                       \
    .signed_bytes = "{id}.{time}.{body}", .encoding = ENCODING_BASE64, .past_s = 300,    \
    .future_s = 300, .event_id = "header:" prefix "-id"

static const struct scheme rows[ROWS + 1] = {
    [ROW_stripe] =
        {
            .name = "stripe",
            .signature_header = "Stripe-Signature",
            .syntax = SYNTAX_PAIRS,
            .label = "v1",
            .signed_bytes = "{time}.{body}",
            .past_s = 300, /* the future is not checked, as in Stripe's own libraries */
            .event_id = "id",
            .event_type = "type",
        },
    [ROW_github] =
        {
            .name = "github",
            .signature_header =
                "X-Hub-Signature-256", /* that of SHA-1 is not looked at */
            .syntax = SYNTAX_PREFIX,
            .label = "sha256",
            .signed_bytes = "{body}", /* no time: old deliveries cannot be told */
            .event_id = "header:X-GitHub-Delivery",
            .event_type = "header:X-GitHub-Event+action "
                          "header:X-GitHub-Event+payload.action header:X-GitHub-Event",
        },
    [ROW_standard_webhooks] =
        {
            .name = "standard-webhooks",
            STANDARD("webhook"),
            .public_label = "v1a", /* those who sign like it send v1 alone */
            .key = KEY_WHSEC_BASE64,
            .event_type = "type",
        },
    [ROW_svix] =
        {
            .name = "svix",
            STANDARD("svix"),
            .key = KEY_WHSEC_BASE64,
            .event_type = "type eventType",
        },
    [ROW_openai] =
        {
            .name = "openai",
            STANDARD("webhook"),
            .key = KEY_WHSEC_OR_TEXT,
            .event_type = "type",
        },
    [ROW_anthropic] =
        {
            .name = "anthropic",
            STANDARD("webhook"),
            .key = KEY_WHSEC_BASE64,
            .event_type = "data.type", /* `type` is always "event" */
        },
    [ROW_resend] =
        {
            .name = "resend",
            STANDARD("svix"),
            .key = KEY_WHSEC_BASE64,
            .event_type = "type",
        },
    [ROW_slack] =
        {
            .name = "slack",
            .signature_header = "X-Slack-Signature",
            .syntax = SYNTAX_PREFIX,
            .label = "v0",
            .time_header = "X-Slack-Request-Timestamp",
            .signed_bytes = "v0:{time}:{body}",
            .past_s = 300,
            .handshake = HANDSHAKE_SLACK,
            .event_id = "event_id payload.trigger_id trigger_id #body",
            .event_type = "event.type payload.type =command+command type",
        },
    [ROW_shopify] =
        {
            .name = "shopify",
            .signature_header = "X-Shopify-Hmac-Sha256",
            .syntax = SYNTAX_WHOLE,
            .signed_bytes = "{body}", /* X-Shopify-Triggered-At is not signed */
            .encoding = ENCODING_BASE64,
            .event_id = "header:X-Shopify-Webhook-Id",
            .event_type = "header:X-Shopify-Topic",
        },
    [ROW_paddle] =
        {
            .name = "paddle",
            .signature_header = "Paddle-Signature",
            .syntax = SYNTAX_PAIRS,
            .label = "h1",
            .time_label = "ts",
            .separator = ';',
            .signed_bytes = "{time}:{body}",
            .past_s = 5, /* as in Paddle's own library */
            .event_id = "event_id",
            .event_type = "event_type",
        },
    [ROW_zoom] =
        {
            .name = "zoom",
            .signature_header = "x-zm-signature",
            .syntax = SYNTAX_PREFIX,
            .label = "v0",
            .time_header = "x-zm-request-timestamp",
            .signed_bytes = "v0:{time}:{body}",
            .past_s = 300, /* Zoom says none */
            .handshake = HANDSHAKE_ZOOM,
            .event_id = "#body", /* there is no id */
            .event_type = "event",
        },
    [ROW_linear] =
        {
            .name = "linear",
            .signature_header = "Linear-Signature",
            .syntax = SYNTAX_WHOLE,
            .signed_bytes = "{body}",
            .body_time = "webhookTimestamp", /* the header of the time is not signed */
            .past_s = 60,
            .future_s = 60,
            .event_id = "header:Linear-Delivery",
            .event_type = "type+action type",
        },
    [ROW_square] =
        {
            .name = "square",
            .hint = SIGNS_ADDRESS,
            .signature_header = "x-square-hmacsha256-signature",
            .syntax = SYNTAX_WHOLE,
            .signed_bytes = "{url}{body}",
            .encoding = ENCODING_BASE64,
            .event_id = "event_id",
            .event_type = "type",
        },
    [ROW_hubspot] =
        {
            .name = "hubspot", /* version 3; 1 and 2 are plain hashes and not taken */
            .hint = SIGNS_ADDRESS,
            .signature_header = "X-HubSpot-Signature-v3",
            .syntax = SYNTAX_WHOLE,
            .time_header = "X-HubSpot-Request-Timestamp",
            .time_form = TIME_MS,
            .signed_bytes = "{method}{url}{body}{time}",
            .encoding = ENCODING_BASE64,
            .past_s = 300,
            .is_batch = true,
            .event_id = "int:eventId+int:subscriptionId+int:occurredAt int:eventId",
            .event_type = "subscriptionType",
        },
    [ROW_twilio] =
        {
            .name = "twilio",
            .hint = SIGNS_ADDRESS,
            .signature_header = "X-Twilio-Signature",
            .syntax = SYNTAX_WHOLE,
            .signed_bytes = "{url}{params}",
            .algorithm = ALGORITHM_HMAC_SHA1,
            .encoding = ENCODING_BASE64,
            .event_id = "MessageSid+MessageStatus MessageSid+SmsStatus MessageSid "
                        "CallSid+CallStatus+SequenceNumber CallSid+CallStatus #body",
            .event_type = "=message+MessageStatus =message+SmsStatus =call+CallStatus "
                          "=event",
        },
    [ROW_sendgrid] =
        {
            .name = "sendgrid",
            .hint = "the secret is the verification key of its Signed Event Webhook",
            .signature_header = "X-Twilio-Email-Event-Webhook-Signature",
            .syntax = SYNTAX_WHOLE,
            .time_header = "X-Twilio-Email-Event-Webhook-Timestamp",
            .signed_bytes = "{time}{body}",
            .algorithm = ALGORITHM_ECDSA_P256,
            .encoding = ENCODING_BASE64,
            .key = KEY_P256,
            .past_s = 300, /* SendGrid says none */
            .is_batch = true,
            .event_id = "sg_event_id",
            .event_type = "event",
        },
    [ROW_paypal] =
        {
            .name = "paypal",
            .hint = "the secret is the webhook's id, as its dashboard shows it",
            .signature_header = "PAYPAL-TRANSMISSION-SIG",
            .syntax = SYNTAX_WHOLE,
            .time_header = "PAYPAL-TRANSMISSION-TIME",
            .time_form = TIME_DATE,
            .id_header = "PAYPAL-TRANSMISSION-ID",
            .algorithm_header = "PAYPAL-AUTH-ALGO",
            .algorithm_name = "SHA256withRSA",
            .certificate = CERTIFICATE_PAYPAL,
            .certificate_header = "PAYPAL-CERT-URL",
            .signed_bytes = "{id}|{time}|{key}|{crc32}",
            .algorithm = ALGORITHM_RSA_SHA256,
            .encoding = ENCODING_BASE64,
            .past_s = 4 * 86400, /* PayPal says none, and tries again for three days */
            /* Not the body's id: a body that has the CRC of another is easily made, and
             * what is signed of it counts once. */
            .event_id = "header:PAYPAL-TRANSMISSION-ID",
            .event_type = "event_type",
        },
    [ROW_sns] =
        {
            .name = "sns",
            .hint = "the secret is the topic's ARN",
            .in_body = true,
            .signature_header = "Signature",
            .syntax = SYNTAX_WHOLE,
            .time_header = "Timestamp",
            .time_form = TIME_DATE,
            .algorithm_header = "SignatureVersion",
            .algorithm_name = "1 2",
            .certificate = CERTIFICATE_SNS,
            .certificate_header = "SigningCertURL",
            .key_path = "TopicArn",
            .signed_bytes = "{fields}",
            .algorithm = ALGORITHM_RSA_SNS,
            .encoding = ENCODING_BASE64,
            .past_s = 86400, /* Amazon says none, and tries again for an hour */
            .event_id = "MessageId",
            .event_type = "Type",
        },
    [ROW_mailgun] =
        {
            .name = "mailgun",
            .hint = "the secret is the HTTP webhook signing key, not an API key",
            .is_weak = true,
            .in_body = true,
            .signature_header = "signature.signature",
            .syntax = SYNTAX_WHOLE,
            .time_header = "signature.timestamp",
            .id_header = "signature.token",
            .signed_bytes = "{time}{id}",
            .past_s = 12 * 3600, /* Mailgun says none, and tries again for eight hours */
            .event_id = "signature.token", /* counts once, whatever else is in the body */
            .event_type = "event-data.event",
        },
    [ROW_postmark] =
        {
            .name = "postmark",
            .hint = "the secret is USER:PASSWORD, as in the webhook's address there",
            .is_weak = true,
            .signature_header = "Authorization",
            .syntax = SYNTAX_BASIC,
            .signed_bytes = "",
            .algorithm = ALGORITHM_PASSWORD,
            .encoding = ENCODING_BASE64,
            .event_id = "RecordType+MessageID+int:ID RecordType+MessageID+Recipient "
                        "RecordType+MessageID RecordType+int:ID MessageID #body",
            .event_type = "RecordType =inbound",
        },
    [ROW_hmac] =
        {
            .name = "hmac", /* the rest stands in the configuration (scheme_config.h) */
            .signature_header = "X-Signature",
            .syntax = SYNTAX_WHOLE,
            .signed_bytes = "{body}",
            .event_id = "#body",
            .event_type = "type",
        },
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
