/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* config - signalbox.yaml, read and checked
 *
 * One table per section (lib/config/tables.c) gives the parser, the defaults, `config check`, `config reference` and the manual.
 * Every error is `file:line:col: what; expected ...; did you mean ...?` and never shows a value: it could be a secret
 * in the wrong place.  Only lib/config/ (node.c) touches libyaml. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/money.h"

struct buf;

enum secret_from { SECRET_VAULT, SECRET_FILE };
struct config_secret {      /* vault:NAME or file:PATH */
    char *use;              /* what the connector calls it: "api_key"; of an endpoint's: "webhook" */
    enum secret_from from;
    char *name;             /* of the vault entry, or the path */
};
/* A provider's certificate that is here already: a request that names `url` is verified
 * with `file` (PEM, the leaf first). */
struct config_certificate {
    char *url, *file;
    int line;
};
/* The row of the scheme `hmac`; what each member means is in gateway/scheme.h. */
enum { CONFIG_TEMPLATE_PIECES_MAX = 8 };
struct config_hmac {
    char *signature_header; /* NULL: the webhook has no row */
    char *form /* whole, prefix, pairs, spaced */, *label, *time_label;
    char *time_header, *time_unit /* s, ms, date */, *id_header;
    char *signed_bytes, *hash /* sha256, sha512, sha1 */, *encoding /* hex, base64 */;
    char *key /* text, hex, base64, whsec */, *event_id, *event_type;
    bool is_batch;
};
struct config_webhook {
    char *path;             /* the endpoint: /webhooks/{path} */
    char *scheme;           /* a row of the gateway's scheme table */
    struct config_secret *secrets;
    size_t n_secrets;
    uint64_t tolerance_us;  /* 0 = the scheme's own */
    char *accept_weak;      /* reason; NULL unless the scheme is weak */
    struct config_hmac hmac;
    struct config_certificate *certificates;
    size_t n_certificates;
    bool confirm_subscription;
    int line;
};
struct config_price {       /* what one call of an operation costs at most, from a day on */
    char *operation;
    struct money price;
    uint64_t since_us;      /* wall time; 0 = always. Of several the newest that has begun is in force */
};
enum missed_policy { MISSED_SKIP, MISSED_ONCE, MISSED_ALL };
struct config_schedule {
    char *operation;
    uint64_t every_us;      /* 0: cron says when */
    char *cron, *timezone;  /* cron: NULL where `every` says when; both were checked */
    enum missed_policy missed;
    int line;
};
enum order_policy { ORDER_NONE, ORDER_KEY };
struct config_integration {
    char *name, *connector /* NULL: webhooks only */, *provider, *service, *mode, *base_url, *ca_file, *owner, *note;
    char *program;          /* the connector's, where it is not beside ours; else NULL */
    char **command, *manifest; /* a program of any kind as the connector, ended by NULL; NULL: none */
    size_t n_command;
    uint32_t workers;       /* of the command */
    bool is_default, allow_private_network;
    enum order_policy order;
    struct config_secret *secrets;
    size_t n_secrets;
    uint64_t rotate_every_us;
    struct config_webhook *webhooks;
    size_t n_webhooks;
    struct config_schedule *schedules;
    size_t n_schedules;
    struct { double rate; uint32_t concurrency, attempts; uint64_t timeout_us, deadline_us;
             struct { uint32_t failures /* 0: none */; uint64_t window_us, pause_us; } breaker; } limits;
    struct { struct money per_day; /* no currency: no budget */ } budget;
    struct config_price *prices; /* by operation as written, then by `since` */
    size_t n_prices;
    struct { char *pattern, *because; } why;
    char **option_names, **option_values; /* `options:` map, checked against the connector's manifest */
    size_t n_options;
    int line;
};
struct config_group {
    char *name;
    char **types;
    size_t n_types;
    bool protect;
    enum order_policy order;
    uint32_t attempts;
    int line;
};
struct config_deliver {     /* a consumer without ZeroMQ: signed POSTs. A group of its name is in `groups` too. */
    char *name;
    char **types;
    size_t n_types;
    char *to;
    struct config_secret *secrets; /* one; its versions are the vault's */
    size_t n_secrets;
    bool allow_private_network, protect;
    enum order_policy order;
    uint32_t attempts, concurrency;
    uint64_t timeout_us;
    int line;
};
struct config_peer {        /* a program on another host, known by its key */
    char *name, *public_key, *role /* "connector" or "client" */, *integration;
    char **publish, **groups;
    size_t n_publish, n_groups;
    bool observe;
    int line;
};
struct config_bus {
    char *listen, *live, *connect; /* addresses; NULL: not over the network */
    uint16_t listen_port, live_port, connect_port;
    char *key_file, *broker_key;
    struct config_peer *peers;
    size_t n_peers;
};
struct config {
    char *path;             /* the file, absolute */
    char *data, *run;       /* absolute directories */
    char *log_format;       /* "text" or "json" */
    struct { char *address; uint16_t port; char *public_url, *token_file; uint64_t max_body; uint64_t idempotency_us;
             uint32_t max_connections, max_per_address, max_waiting, max_streams; uint64_t read_timeout_us;
             char *tls_certificate, *tls_key /* both or neither */; } gateway;
    struct { uint64_t retain_age_us, retain_size, segment_size, reserve; } log;
    struct { char *vault_file, *master_key_file; } vault;
    struct config_bus bus;
    struct config_group *groups; /* those of `deliver` last */
    size_t n_groups;
    struct config_deliver *deliver;
    size_t n_deliver;
    struct config_integration *integrations;
    size_t n_integrations;
};

/* What the file is called and how large it may be; at most this many errors are listed. */
#define CONFIG_FILE "signalbox.yaml"
enum { CONFIG_SIZE_MAX = 1 << 20, CONFIG_ERRORS_MAX = 100 };

/* Read and check. NULL, and every error one per line in *errors (to be buf_fini'd), when anything is wrong. */
struct config *config_load(const char *path, struct buf *errors);
/* The same for a text that is already there; `path` names it in errors and relative paths start at its directory. */
struct config *config_parse(const char *path, const char *text, size_t n, struct buf *errors);
void config_free(struct config *config);
/* The price of an operation at a time: the newest of its entries that has begun; NULL when the configuration has none. */
const struct config_price *config_price(const struct config_integration *integration, const char *operation, uint64_t at_us);
const struct config_integration *config_integration(const struct config *config, const char *name);
const struct config_deliver *config_deliver(const struct config *config, const char *name);
/* The reference page (Markdown), from the tables. */
void config_reference(struct buf *out);
/* What differs between two, one line each, for `reload`. Secrets by name only. */
void config_diff(const struct config *before, const struct config *after, struct buf *out);

/* The line of what stands at a dotted path ("integrations.stripe.secrets.api_key") in a file's text, or of what is
 * nearest above it; 0 when not even the first segment is there. */
int config_line(const char *text, size_t n, const char *path);
/* Endpoints and paths; texts to be freed. */
char *config_bus_endpoint(const struct config *config);    /* ipc://<run>/bus.sock, or tcp://<bus.connect> */
char *config_live_endpoint(const struct config *config);   /* ipc://<run>/live.sock */
char *config_logger_endpoint(const struct config *config); /* ipc://<run>/logger.sock */
/* bus.listen and bus.live as endpoints; NULL where they are not set. */
char *config_bus_listen(const struct config *config);
char *config_live_listen(const struct config *config);
/* The peer of bus.peers with this public key; NULL when there is none. */
const struct config_peer *config_peer_of_key(const struct config *config, const char *key);
/* Does the integration's connector run on another host? */
bool config_is_elsewhere(const struct config *config, const char *integration);
char *config_log_dir(const struct config *config);         /* <data>/log */
/* Where a provider sends the webhooks of an endpoint: below gateway.public_url, without
 * one below the gateway's own address. To be freed. */
char *config_webhook_url(const struct config *config, const char *path);
