/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dossier - all that the document of an integration is made from, gathered for a command
 *
 * The manifest is the one the connector has joined with, as the log has it, or what its
 * program prints; of secrets the vault's metadata. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "cli/credential.h"
#include "lib/document/document.h"

struct cli;
struct ledger;

struct dossier {
    struct cli *cli;
    bool is_declared; /* no log, no vault */
    struct ledger *ledger;
    struct credentials credentials;
    struct document *documents;
    size_t n;
};

/* Gather for one integration, or (NULL) for all. CLI_DONE, or another status after having
 * said why; dossier_close in any case. */
int dossier_open(struct dossier *dossier, struct cli *cli, const char *integration,
                 bool is_declared);
void dossier_close(struct dossier *dossier);
