/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* credential - what is known of the secrets that a configuration names, without a value:
 * how old, how long valid, used when
 *
 * `secret list`, `config check`, `doc` and `doc --check` all ask here, so they agree.  Of
 * a secret in a file the age is that of the file's last change: nothing else is known. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/document/document.h"

struct config;
struct config_secret;
struct ledger_secrets;
struct vault;

struct credentials {
    const struct config *config;
    struct vault *vault;         /* NULL: it is not open */
    struct ledger_secrets *used; /* NULL: there is no log to ask */
};

/* False: nothing is known of it here, as its vault is not open. */
bool credential_about(const struct credentials *all, const struct config_secret *secret,
                      struct document_secret *ret);
/* Of the version of a number (0: it has none). */
struct document_use credential_used(const struct credentials *all,
                                    const struct config_secret *secret, int64_t version);
/* What an old version still is to those who send, as a part of a sentence: that is what
 * one waits for. As the log is exact to a minute, two must have passed in which only the
 * newer one matched before the old one is said to have gone out of use. */
const char *credential_old(const struct document_use *old,
                           const struct document_use *newer);
/* When one that was made then is to be changed: by the strictest `rotate_every` of the
 * integrations that use it. 0: none says. */
uint64_t credential_due_us(const struct config *config,
                           const struct config_secret *secret, uint64_t created_us);

/* Does an integration use it, so that the log says when it matched? What is delivered is
 * signed with every version, and nobody hears which one the application took. */
bool credential_is_matched(const struct config *config,
                           const struct config_secret *secret);

/* A secret where the configuration names it: `at` is its dotted path. */
typedef void (*credential_fn)(void *user, const struct config_secret *secret,
                              const char *at);
/* Those of all integrations of this host, their endpoints, and what is delivered to. */
void credential_each(const struct config *config, credential_fn fn, void *user);
