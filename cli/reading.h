/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* reading - what the commands that read the log share */
#pragma once

struct cli;
struct ledger;

/* The log named by the configuration. NULL after having said why, with the exit status in
 * *ret_status. */
struct ledger *reading_open(struct cli *cli, int *ret_status);
