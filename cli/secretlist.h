/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secretlist - `secret list`: versions, ages, when each was used last and is due; never a
 * value */
#pragma once

struct cli;

/* The vault's, then the files that the configuration names. Returns the exit status. */
int secretlist(struct cli *cli);
