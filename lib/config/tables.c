/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/tables.h"

#include "lib/config/config.h"

#define MS     UINT64_C(1000)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    (UINT64_C(1) << 10)
#define MIB    (UINT64_C(1) << 20)
#define GIB    (UINT64_C(1) << 30)

#define AT(type, member)       .offset = offsetof(struct type, member)
#define COUNTED(type, list, n) AT(type, list), .count_offset = offsetof(struct type, n)
#define END                                                                              \
    {                                                                                    \
        .name = NULL                                                                     \
    }

/* The schemes the gateway can verify. There is no way to write "none". */
#define SCHEME(identifier, name, signs_url, is_weak) name,
static const char *const schemes[] = {
#include "lib/config/schemes.def"
    NULL};
#undef SCHEME
static const char *const modes[] = {"test", "live", NULL};
static const char *const missed[] = {"skip", "once", "all",
                                     NULL};                /* enum missed_policy */
static const char *const orders[] = {"none", "key", NULL}; /* enum order_policy */
static const char *const patterns[] = {"call", "webhook", "poll", "queue", NULL};

static const struct field tls_fields[] = {
    {"certificate", FIELD_PATH, AT(config, gateway.tls_certificate),
     .sentence = "PEM file: the certificate, then those above it."},
    {"key", FIELD_PATH, AT(config, gateway.tls_key),
     .sentence = "PEM file of its key, mode 0600."},
    END,
};
static const struct section tls_section = {"tls", .fields = tls_fields};

static const struct field gateway_fields[] = {
    {"listen", FIELD_ADDRESS, COUNTED(config, gateway.address, gateway.port),
     .fallback = "127.0.0.1:8080", .sentence = "Address and port of the HTTP side."},
    {"public_url", FIELD_URL, AT(config, gateway.public_url),
     .sentence =
         "Where providers reach it, without `/webhooks/...`; required by the schemes "
         "square, hubspot and twilio, which sign it."},
    {"token_file", FIELD_PATH, AT(config, gateway.token_file),
     .fallback = "<data>/api-token",
     .sentence = "Where the first start writes the API token."},
    {"max_body", FIELD_SIZE, AT(config, gateway.max_body), .fallback = "1MiB", .min = KIB,
     .max = MIB, .sentence = "Largest request body; a larger one is answered 413."},
    {"max_connections", FIELD_COUNT, AT(config, gateway.max_connections),
     .fallback = "16384", .min = 1, .max = 65536,
     .sentence = "Connections at one time; further ones wait in the kernel. The limit on "
                 "open files may set a lower one."},
    {"max_connections_per_address", FIELD_COUNT, AT(config, gateway.max_per_address),
     .fallback = "256", .min = 1, .max = 65536,
     .sentence = "Connections of one address (of IPv6: of one /64); further ones are "
                 "closed. Loopback, where a proxy is, is exempt."},
    {"max_waiting", FIELD_COUNT, AT(config, gateway.max_waiting), .fallback = "8192",
     .min = 1, .max = 65536,
     .sentence = "Requests that wait for a commit, an outcome or an event; further ones "
                 "are answered 503."},
    {"max_streams", FIELD_COUNT, AT(config, gateway.max_streams), .fallback = "256",
     .min = 1, .max = 4096,
     .sentence = "Streams (/v1/stream) at one time; a further one "
                 "is answered 429."},
    {"read_timeout", FIELD_DURATION, AT(config, gateway.read_timeout_us),
     .fallback = "10s", .min = 100 * MS, .max = 10 * MINUTE,
     .sentence = "The time a request's head and body may take in all, however steadily "
                 "they trickle in."},
    {"tls", FIELD_SECTION, .section = &tls_section,
     .sentence = "HTTPS by the gateway itself; left out: plain HTTP."},
    {"idempotency", FIELD_DURATION, AT(config, gateway.idempotency_us), .fallback = "7d",
     .min = MINUTE, .max = 90 * DAY,
     .sentence = "How long an idempotency key is remembered."},
    END,
};
static const struct section gateway_section = {"gateway", .fields = gateway_fields};

static const struct field log_fields[] = {
    {"retain_age", FIELD_DURATION, AT(config, log.retain_age_us), .fallback = "30d",
     .min = HOUR, .sentence = "How long settled events are kept at least."},
    {"retain_size", FIELD_SIZE, AT(config, log.retain_size), .fallback = "0",
     .sentence = "Above this size the oldest settled segments go; 0: age alone decides."},
    {"segment_size", FIELD_SIZE, AT(config, log.segment_size), .fallback = "1GiB",
     .min = 16 * MIB, .max = 64 * GIB, .sentence = "Size of one file of the log."},
    {"reserve", FIELD_SIZE, AT(config, log.reserve), .fallback = "64MiB", .min = 4 * MIB,
     .sentence = "Disk kept free for outcomes; below it intake is refused."},
    END,
};
static const struct section log_section = {"log", .fields = log_fields};

static const struct field vault_fields[] = {
    {"file", FIELD_PATH, AT(config, vault.vault_file), .fallback = "<data>/vault",
     .sentence = "The sealed file that holds the secrets."},
    {"master_key", FIELD_PATH, AT(config, vault.master_key_file),
     .fallback = "<here>/signalbox.key",
     .sentence =
         "The key that opens it, mode 0600; back it up apart from the vault. A systemd "
         "credential `signalbox.key` is used instead where there is one."},
    END,
};
static const struct section vault_section = {"vault", .fields = vault_fields};

static const char *const roles[] = {"connector", "client", NULL};
static const struct field peer_fields[] = {
    {"public_key", FIELD_KEY, .is_required = true, AT(config_peer, public_key),
     .sentence = "Whoever has the secret half of it is this peer."},
    {"role", FIELD_CHOICE, AT(config_peer, role), .fallback = "client", .choices = roles,
     .sentence = "What it joins as."},
    {"integration", FIELD_NAME, AT(config_peer, integration),
     .sentence = "A connector: the integration it serves; `up` then starts none here."},
    {"publish", FIELD_TYPES, COUNTED(config_peer, publish, n_publish),
     .sentence = "Event types it may publish, and wait for; a client without: none, a "
                 "connector without: what its manifest declares."},
    {"groups", FIELD_NAMES, COUNTED(config_peer, groups, n_groups),
     .sentence = "Consumer groups whose events it may take."},
    {"observe", FIELD_BOOL, AT(config_peer, observe), .fallback = "false",
     .sentence = "Let it replay the log, and subscribe to `live`."},
    END,
};
static const struct section peer_section = {
    "a peer",
    sizeof(struct config_peer),
    offsetof(struct config_peer, name),
    offsetof(struct config_peer, line),
    .fields = peer_fields,
};

static const struct field bus_fields[] = {
    {"listen", FIELD_ADDRESS, COUNTED(config, bus.listen, bus.listen_port),
     .sentence = "Where peers on other hosts reach the broker, encrypted; left out: "
                 "nowhere."},
    {"live", FIELD_ADDRESS, COUNTED(config, bus.live, bus.live_port),
     .sentence = "Where peers that may observe subscribe to live topics, encrypted."},
    {"connect", FIELD_ADDRESS, COUNTED(config, bus.connect, bus.connect_port),
     .sentence = "The broker is on another host, at its bus.listen; `up` then starts the "
                 "connectors only."},
    {"broker_key", FIELD_KEY, AT(config, bus.broker_key),
     .sentence = "With `connect`: the broker's public key; `signalbox key server` shows "
                 "it there."},
    {"key_file", FIELD_PATH, AT(config, bus.key_file), .fallback = "<here>/bus.key",
     .sentence = "The secret key of this side, mode 0600; `signalbox key` makes it."},
    {"peers", FIELD_NAMED_ITEMS, COUNTED(config, bus.peers, bus.n_peers),
     .section = &peer_section,
     .sentence = "Programs on other hosts, by name: who they are and what they may do."},
    END,
};
static const struct section bus_section = {"bus", .fields = bus_fields};

static const struct field group_fields[] = {
    {"types", FIELD_TYPES, .is_required = true, COUNTED(config_group, types, n_types),
     .sentence = "Event types it takes: `*` stands for one segment, `>` for the rest."},
    {"order", FIELD_ENUM, AT(config_group, order), .fallback = "none", .choices = orders,
     .sentence = "`key`: events of one key are handled in the log's order, one at a "
                 "time; one that fails holds up its key alone."},
    {"protect", FIELD_BOOL, AT(config_group, protect), .fallback = "true",
     .sentence =
         "Keep what it has not settled, whatever log.retain_age says; false: it goes on "
         "behind what is gone."},
    {"attempts", FIELD_COUNT, AT(config_group, attempts), .fallback = "8", .min = 1,
     .max = 255, .sentence = "Attempts before an event is given up as Failed/exhausted."},
    END,
};
static const struct section group_section = {
    "a group",
    sizeof(struct config_group),
    offsetof(struct config_group, name),
    offsetof(struct config_group, line),
    .fields = group_fields,
};

static const struct field deliver_fields[] = {
    {"name", FIELD_NAME, .is_required = true, AT(config_deliver, name),
     .sentence = "What it is called, as a consumer group is."},
    {"types", FIELD_TYPES, .is_required = true, COUNTED(config_deliver, types, n_types),
     .sentence = "Event types it takes: `*` stands for one segment, `>` for the rest."},
    {"to", FIELD_URL, .is_required = true, AT(config_deliver, to),
     .sentence = "Where each event is posted."},
    {"secret", FIELD_SECRET, .is_required = true,
     COUNTED(config_deliver, secrets, n_secrets),
     .sentence =
         "What the posts are signed with, as Standard Webhooks has it: `whsec_` and "
         "24 to 64 bytes in base64, or `whsk_` and a pair of Ed25519. All its valid "
         "versions sign."},
    {"allow_private_network", FIELD_BOOL, AT(config_deliver, allow_private_network),
     .fallback = "false", .sentence = "Let posts go to private and loopback addresses."},
    {"protect", FIELD_BOOL, AT(config_deliver, protect), .fallback = "true",
     .sentence = "Keep what it has not settled, whatever log.retain_age says."},
    {"order", FIELD_ENUM, AT(config_deliver, order), .fallback = "none",
     .choices = orders,
     .sentence =
         "With `key`, events of one key are posted in their order, one at a time."},
    {"attempts", FIELD_COUNT, AT(config_deliver, attempts), .fallback = "12", .min = 1,
     .max = 255, .sentence = "Attempts before an event is given up as Failed/exhausted."},
    {"concurrency", FIELD_COUNT, AT(config_deliver, concurrency), .fallback = "8",
     .min = 1, .max = 1024, .sentence = "Posts at one time."},
    {"timeout", FIELD_DURATION, AT(config_deliver, timeout_us), .fallback = "15s",
     .min = 10 * MS, .max = 5 * MINUTE, .sentence = "The time one post may take."},
    END,
};
static const struct section deliver_section = {
    "a delivery", sizeof(struct config_deliver),
    SECTION_NONE, offsetof(struct config_deliver, line),
    "name",       deliver_fields,
};

static const char *const forms[] = {"whole", "prefix", "pairs", "spaced", NULL};
static const char *const time_units[] = {"s", "ms", "date", NULL};
static const char *const hashes[] = {"sha256", "sha512", "sha1", NULL};
static const char *const encodings[] = {"hex", "base64", NULL};
static const char *const key_forms[] = {"text", "hex", "base64", "whsec", NULL};
static const struct field hmac_fields[] = {
    {"signature_header", FIELD_TEXT, .is_required = true,
     AT(config_webhook, hmac.signature_header),
     .sentence = "Where the signature stands."},
    {"form", FIELD_CHOICE, AT(config_webhook, hmac.form), .fallback = "whole",
     .choices = forms,
     .sentence = "How it stands there: the `whole` value; `prefix`: LABEL=SIGNATURE; "
                 "`pairs`: t=TIME,LABEL=SIGNATURE; `spaced`: LABEL,SIGNATURE and more "
                 "behind blanks."},
    {"label", FIELD_TEXT, AT(config_webhook, hmac.label),
     .sentence = "The label before the signature, such as sha256 or v1."},
    {"time_label", FIELD_TEXT, AT(config_webhook, hmac.time_label), .fallback = "t",
     .sentence = "Of `form: pairs`: the label before the time."},
    {"time_header", FIELD_TEXT, AT(config_webhook, hmac.time_header),
     .sentence = "Where the time stands, when it is signed."},
    {"time_unit", FIELD_CHOICE, AT(config_webhook, hmac.time_unit), .fallback = "s",
     .choices = time_units,
     .sentence = "Seconds or milliseconds since 1970, or a date as RFC 3339 has it."},
    {"id_header", FIELD_TEXT, AT(config_webhook, hmac.id_header),
     .sentence = "Where the id stands, when it is signed."},
    {"signed", FIELD_TEXT, .is_required = true, AT(config_webhook, hmac.signed_bytes),
     .sentence = "What is signed: {time} {id} {method} {url} {body} and texts between, "
                 "such as `{time}.{body}`; {body} must be in it."},
    {"hash", FIELD_CHOICE, AT(config_webhook, hmac.hash), .fallback = "sha256",
     .choices = hashes, .sentence = "The hash of the HMAC."},
    {"encoding", FIELD_CHOICE, AT(config_webhook, hmac.encoding), .fallback = "hex",
     .choices = encodings,
     .sentence = "How the signature is written; hex in lower case."},
    {"key", FIELD_CHOICE, AT(config_webhook, hmac.key), .fallback = "text",
     .choices = key_forms,
     .sentence = "How the secret gives the key's bytes; `whsec`: base64 behind whsec_."},
    {"event_id", FIELD_TEXT, .is_required = true, AT(config_webhook, hmac.event_id),
     .sentence = "Where the event's id stands: header:NAME, a path in the body such as "
                 "data.id, int:PATH of a number, #body for its hash; joined by `+`, "
                 "alternatives with blanks between."},
    {"event_type", FIELD_TEXT, .is_required = true, AT(config_webhook, hmac.event_type),
     .sentence = "Where its type stands, likewise; =TEXT is that text."},
    {"batch", FIELD_BOOL, AT(config_webhook, hmac.is_batch), .fallback = "false",
     .sentence = "The body is a list: an event for each element."},
    END,
};
static const struct section hmac_section = {"hmac", .fields = hmac_fields};

static const struct field certificate_fields[] = {
    {"url", FIELD_TEXT, .is_required = true, AT(config_certificate, url),
     .sentence = "The address that the provider's requests name, exactly."},
    {"file", FIELD_PATH, .is_required = true, AT(config_certificate, file),
     .sentence = "The certificate in PEM; it is trusted as it is."},
    END,
};
static const struct section certificate_section = {
    "a certificate", sizeof(struct config_certificate),
    SECTION_NONE,    offsetof(struct config_certificate, line),
    "url",           certificate_fields,
};

static const struct field webhook_fields[] = {
    {"path", FIELD_NAME, .is_required = true, AT(config_webhook, path),
     .sentence = "The endpoint is /webhooks/PATH."},
    {"scheme", FIELD_CHOICE, .is_required = true, AT(config_webhook, scheme),
     .choices = schemes, .sentence = "How a request is verified."},
    {"secrets", FIELD_SECRETS, .is_required = true,
     COUNTED(config_webhook, secrets, n_secrets),
     .sentence = "Signing secrets; any one of them may match."},
    {"tolerance", FIELD_DURATION, AT(config_webhook, tolerance_us), .fallback = "0",
     .max = DAY, .sentence = "How old a signature may be; 0: what the scheme says."},
    {"accept_weak", FIELD_TEXT, AT(config_webhook, accept_weak),
     .sentence = "The reason to take a scheme that signs too little; required by the "
                 "weak ones, mailgun and postmark."},
    {"hmac", FIELD_SECTION, .section = &hmac_section,
     .sentence = "The row of the scheme hmac, for a provider that has none of its own."},
    {"certificates", FIELD_ITEMS, COUNTED(config_webhook, certificates, n_certificates),
     .section = &certificate_section,
     .sentence = "Of paypal and sns: certificates that need not be fetched."},
    {"confirm_subscription", FIELD_BOOL, AT(config_webhook, confirm_subscription),
     .fallback = "false",
     .sentence = "Of sns: answer a subscription by opening its address at Amazon; false: "
                 "it is an event, and the operator's to open."},
    END,
};
static const struct section webhook_section = {
    "a webhook",  sizeof(struct config_webhook),
    SECTION_NONE, offsetof(struct config_webhook, line),
    "path",       webhook_fields,
};

static const struct field schedule_fields[] = {
    {"operation", FIELD_NAME, .is_required = true, AT(config_schedule, operation),
     .sentence = "The connector's operation that is called."},
    {"every", FIELD_DURATION, AT(config_schedule, every_us), .min = SECOND,
     .max = 366 * DAY, .sentence = "The time from one run to the next."},
    {"cron", FIELD_TEXT, AT(config_schedule, cron),
     .sentence = "In place of `every`: minute, hour, day of the month, month, day of the "
                 "week, as `\"*/5 * * * *\"`."},
    {"timezone", FIELD_TEXT, AT(config_schedule, timezone), .fallback = "UTC",
     .sentence = "Of `cron`: an IANA name such as Europe/Berlin."},
    {"missed", FIELD_ENUM, AT(config_schedule, missed), .fallback = "once",
     .choices = missed,
     .sentence =
         "What happens to runs that could not take place: none, one or all of them."},
    END,
};
static const struct section schedule_section = {
    "a schedule", sizeof(struct config_schedule),
    SECTION_NONE, offsetof(struct config_schedule, line),
    "operation",  schedule_fields,
};

static const struct field breaker_fields[] = {
    {"failures", FIELD_COUNT, AT(config_integration, limits.breaker.failures),
     .fallback = "10", .max = 100,
     .sentence = "It opens when so many attempts in a row failed for reasons of the "
                 "service; 0: never."},
    {"window", FIELD_DURATION, AT(config_integration, limits.breaker.window_us),
     .fallback = "1m", .min = SECOND, .max = DAY,
     .sentence = "The time within which they must have failed."},
    {"pause", FIELD_DURATION, AT(config_integration, limits.breaker.pause_us),
     .fallback = "30s", .min = 100 * MS, .max = DAY,
     .sentence = "How long nothing is called; then one call tries."},
    END,
};
static const struct section breaker_section = {"breaker", .fields = breaker_fields};

static const struct field limits_fields[] = {
    {"rate", FIELD_RATE, AT(config_integration, limits.rate), .fallback = "0",
     .sentence = "Calls in a time, as `100/s`, `60/m`, `1000/h`, over all its processes; "
                 "0: no limit."},
    {"concurrency", FIELD_COUNT, AT(config_integration, limits.concurrency),
     .fallback = "0", .max = 4096,
     .sentence = "Calls at one time, over all its processes; 0: as many as each process "
                 "takes, 32 with the SDK."},
    {"timeout", FIELD_DURATION, AT(config_integration, limits.timeout_us),
     .fallback = "30s", .min = 10 * MS, .max = HOUR,
     .sentence = "The time one call may take."},
    {"attempts", FIELD_COUNT, AT(config_integration, limits.attempts), .fallback = "8",
     .min = 1, .max = 255, .sentence = "Attempts before a request is Failed/exhausted."},
    {"deadline", FIELD_DURATION, AT(config_integration, limits.deadline_us),
     .fallback = "24h", .min = SECOND, .max = 90 * DAY,
     .sentence = "No attempt starts later than this after the request."},
    {"breaker", FIELD_SECTION, .section = &breaker_section,
     .sentence = "When a service that fails is left alone for a while."},
    END,
};
static const struct section limits_section = {"limits", .fields = limits_fields};

static const struct field budget_fields[] = {
    {"per_day", FIELD_MONEY, .is_required = true, AT(config_integration, budget.per_day),
     .sentence =
         "What its calls may cost in a day of UTC; a request that could exceed it "
         "is Failed/budget before the call."},
    END,
};
static const struct section budget_section = {"budget", .fields = budget_fields};

static const struct field why_fields[] = {
    {"pattern", FIELD_CHOICE, .is_required = true, AT(config_integration, why.pattern),
     .choices = patterns, .sentence = "The integration pattern that was chosen."},
    {"because", FIELD_TEXT, .is_required = true, AT(config_integration, why.because),
     .sentence = "Why it was chosen over the others; stands in the document."},
    END,
};
static const struct section why_section = {"why", .fields = why_fields};

static const struct field integration_fields[] = {
    {"connector", FIELD_NAME, AT(config_integration, connector),
     .sentence = "The program that speaks to the provider; left out: webhooks only."},
    {"program", FIELD_PATH, AT(config_integration, program),
     .sentence = "The connector's program; left out: signalbox-CONNECTOR beside ours."},
    {"command", FIELD_WORDS, COUNTED(config_integration, command, n_command),
     .sentence =
         "A program of any kind as the connector: it reads and writes JSON lines, "
         "see signalbox-exec(8). Started in this file's directory, without a "
         "shell."},
    {"workers", FIELD_COUNT, AT(config_integration, workers), .fallback = "1", .min = 1,
     .max = 256, .sentence = "How many of `command` run at one time."},
    {"manifest", FIELD_PATH, AT(config_integration, manifest),
     .sentence = "What `command` can do, as JSON; left out: what it prints when it is "
                 "asked with --manifest."},
    {"provider", FIELD_NAME, AT(config_integration, provider),
     .sentence = "Which of the connector's providers it is."},
    {"service", FIELD_TEXT, AT(config_integration, service),
     .sentence = "The name in the IntegrationLog; left out: the integration's name."},
    {"mode", FIELD_CHOICE, AT(config_integration, mode), .fallback = "test",
     .choices = modes,
     .sentence = "A live key under test, or the other way round, is refused."},
    {"default", FIELD_BOOL, AT(config_integration, is_default), .fallback = "false",
     .sentence = "The one that is meant where several share a connector."},
    {"order", FIELD_ENUM, AT(config_integration, order), .fallback = "none",
     .choices = orders,
     .sentence = "`key`: requests of one key are handled in the log's order, one at a "
                 "time; one that fails holds up its key alone."},
    {"base_url", FIELD_SERVICE_URL, AT(config_integration, base_url),
     .sentence = "Where the provider's API is; left out: what the connector says."},
    {"allow_private_network", FIELD_BOOL, AT(config_integration, allow_private_network),
     .fallback = "false", .sentence = "Let calls go to private and loopback addresses."},
    {"ca_file", FIELD_PATH, AT(config_integration, ca_file),
     .sentence = "Certificates (PEM) that the service's must come from; left out: the "
                 "system's."},
    {"secrets", FIELD_NAMED_SECRETS, COUNTED(config_integration, secrets, n_secrets),
     .sentence = "Credentials, by the name the connector gives them."},
    {"rotate_every", FIELD_DURATION, AT(config_integration, rotate_every_us),
     .fallback = "0",
     .sentence = "How often its secrets are to be changed; 0: not said."},
    {"owner", FIELD_TEXT, AT(config_integration, owner),
     .sentence = "Who is asked about it."},
    {"note", FIELD_TEXT, AT(config_integration, note),
     .sentence = "Anything a reader should know."},
    {"webhooks", FIELD_ITEMS, COUNTED(config_integration, webhooks, n_webhooks),
     .section = &webhook_section, .sentence = "Endpoints at which the provider calls."},
    {"schedules", FIELD_ITEMS, COUNTED(config_integration, schedules, n_schedules),
     .section = &schedule_section, .sentence = "Operations called by the clock."},
    {"limits", FIELD_SECTION, .section = &limits_section,
     .sentence = "Bounds on its calls."},
    {"budget", FIELD_SECTION, .section = &budget_section,
     .sentence = "What it may cost; left out: no bound."},
    {"prices", FIELD_PRICES, COUNTED(config_integration, prices, n_prices),
     .sentence = "What one call of an operation costs at most, in place of what the "
                 "connector says: `0.30 USD`, or a list with `since` days."},
    {"options", FIELD_OPTIONS, COUNTED(config_integration, option_names, n_options),
     .sentence = "The connector's own options; `CONNECTOR --manifest` lists them."},
    {"why", FIELD_SECTION, .section = &why_section,
     .sentence = "The architectural decision behind it."},
    END,
};
static const struct section integration_section = {
    "an integration",
    sizeof(struct config_integration),
    offsetof(struct config_integration, name),
    offsetof(struct config_integration, line),
    .fields = integration_fields,
};

static const char *const log_formats[] = {"text", "json", NULL};

static const struct field config_fields[] = {
    {"data", FIELD_PATH, AT(config, data), .fallback = "./data",
     .sentence =
         "The log, its views, the vault. Relative paths start at this file's directory."},
    {"run", FIELD_PATH, AT(config, run), .fallback = "./run",
     .sentence = "Sockets and locks."},
    {"log_format", FIELD_CHOICE, AT(config, log_format), .fallback = "text",
     .choices = log_formats,
     .sentence = "What the processes write to standard error: lines for people, or one "
                 "JSON object a line. SIGNALBOX_LOG, where it is set, counts instead."},
    {"gateway", FIELD_SECTION, .section = &gateway_section, .sentence = "The HTTP side."},
    {"bus", FIELD_SECTION, .section = &bus_section,
     .sentence = "More hosts; without it the bus is on this one only."},
    {"log", FIELD_SECTION, .section = &log_section, .sentence = "How much is kept."},
    {"vault", FIELD_SECTION, .section = &vault_section, .sentence = "Where secrets are."},
    {"groups", FIELD_NAMED_ITEMS, COUNTED(config, groups, n_groups),
     .section = &group_section, .sentence = "Consumers of your own, by name."},
    {"deliver", FIELD_ITEMS, COUNTED(config, deliver, n_deliver),
     .section = &deliver_section,
     .sentence = "Consumers without ZeroMQ: signed posts to your application."},
    {"integrations", FIELD_NAMED_ITEMS, COUNTED(config, integrations, n_integrations),
     .section = &integration_section, .sentence = "Connections to the world, by name."},
    END,
};
const struct section config_section = {"the file", .fields = config_fields};
