/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stanza - an integration as it stands in the configuration */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;

struct stanza {
    const char *name, *connector;
    const char *provider; /* NULL: the connector has no such table */
    const struct json *manifest;
    const char *mode, *base_url; /* NULL: not written */
    bool allow_private_network;
    const struct json *options;  /* {"name": value}; NULL: none */
    const struct json *left_out; /* {"secret": true}: optional ones that are not stored */
    bool has_webhook; /* its lines are in force; else they are written as a comment */
};

/* The scheme its webhooks are signed by; NULL: it sends none that we could verify. */
const char *stanza_scheme(const struct stanza *stanza);
/* What the vault calls a secret of it; "webhook": that of its webhooks. To be freed. */
char *stanza_secret(const struct stanza *stanza, const char *secret);
/* How often a poll is proposed to run: seldom enough to cost next to nothing, and often
 * enough to heal a lost webhook before anybody asks. */
#define STANZA_POLL_EVERY "5m"

/* Each operation made for the clock.  It is ready when it takes no data and so can run as
 * it is; the lines of one that is not are written as a comment. */
void stanza_each_poll(const struct stanza *stanza,
                      void (*fn)(void *user, const struct json *poll, bool is_ready),
                      void *user);
/* Append the text, indented by two for `integrations:`. */
void stanza_write(const struct stanza *stanza, struct buf *out);
/* The configuration `text` with the stanza put in behind its line `integrations:`, or
 * with such a line at its end. False when `integrations` stands there in another form. */
bool stanza_insert(const char *text, const char *stanza, struct buf *out);
