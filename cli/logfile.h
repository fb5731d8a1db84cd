/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* logfile - what `signalbox log` does with the log as a whole; each returns the exit
 * status after having said how it went */
#pragma once

struct cli;

/* Check it end to end. `head`: a link kept elsewhere (lib/ledger/seal.h), or NULL. */
int logfile_verify(struct cli *cli, const char *head);
/* Make the views anew, with no logger running. */
int logfile_rebuild_views(struct cli *cli);
/* A range to a file (- is stdout), and such a file into a data directory without a log.
 */
int logfile_export(struct cli *cli, const char *since, const char *until,
                   const char *path);
int logfile_import(struct cli *cli, const char *path);
