/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secrets - which version of a secret was used when, as the log has it (proto/used.h)
 *
 * The broker repeats what it knows with every checkpoint, so the newest one and what
 * follows it are read: at most CORE_CHECKPOINT_BYTES of log, and none of it is lost with
 * an old segment. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct ledger;
struct ledger_secrets;

/* Of one version, over everything it is used for. */
struct ledger_used {
    uint64_t first_us, last_us; /* 0: never, as far as the log goes */
};

/* NULL with ledger_error() when the log cannot be read. To be freed. */
struct ledger_secrets *ledger_secrets(struct ledger *ledger);
void ledger_secrets_free(struct ledger_secrets *secrets);
/* `secret` is "vault:NAME" or "file:PATH" as configured, `version` 0 where it has none.
 * By an integration's use of it; NULL: by any. */
struct ledger_used ledger_secrets_used(const struct ledger_secrets *secrets,
                                       const char *integration, const char *secret,
                                       int64_t version);
