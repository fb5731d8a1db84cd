/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* adding - one integration on its way into the configuration */
#pragma once
#include "cli/add/catalog.h"
#include "cli/add/stanza.h"
#include "lib/base/buf.h"

struct cli;
struct json;
struct vault;

/* What the command line says; NULL: nothing. */
struct add_args {
    const char *provider, *connector, *name, *mode, *options, *base_url, *is_private,
        *print, *no_try;
};

struct adding {
    struct cli *cli;
    const struct add_args *args;
    struct catalog_entry entry;
    struct stanza stanza;
    struct json *options;
    struct json *secrets;      /* {"name": value}: for the call that tries them */
    struct json *asked;        /* {"name in the vault": value}: what is to be stored */
    struct json *left_out;     /* as of the stanza */
    struct buf why_no_webhook; /* with its lines the configuration would be wrong */
    struct vault *vault;       /* as it was at the start, to look into */
};
