/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secrets - those the integration needs: taken from the vault, or asked for, and stored
 * at the end, when everything else is known to be right */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct adding;
struct vault;

/* The vault of the configuration; NULL with a reason. Only who writes keeps others from
 * it, so it is not held while somebody types. */
struct vault *secrets_vault(const struct adding *a, bool writable, char *error,
                            size_t error_size);
/* The secret of the stanza under `use`; *ret_value is NULL where none is given.  One that
 * the vault has already is taken from there.  A status of the command, as below. */
int secrets_take_one(struct adding *a, const char *use, const char *what,
                     const char **ret_value);
/* All that the manifest declares; one that is needed and not given, or is of the other
 * mode, is an error that was told. */
int secrets_take(struct adding *a);
/* Store what was asked for. */
int secrets_store(const struct adding *a);
