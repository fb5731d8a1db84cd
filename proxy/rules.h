/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* rules - what is particular to a provider behind the proxy: how the credential is sent,
 * which header is an idempotency key, and which headers go on in either direction */
#pragma once
#include <stdbool.h>

struct rule {
    const char *provider;
    const char *secret_header; /* where the key goes; NULL: Authorization: Bearer */
    const char *key_header;    /* an idempotency key the provider minds; NULL: none */
    bool has_models; /* what is asked names a model, and answers say the usage */
    bool is_slack;   /* says `ok: false` inside 200 */
};

/* Of a provider of the table; never NULL. */
const struct rule *rule_of(const char *provider);

/* Does a request's header go on to the provider? Credentials, what is about the
 * connection, and what tells whence it comes do not. */
bool rule_sends(const char *name);
/* Does an answer's header go on to the application? */
bool rule_answers(const char *name);
