/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* summary - how often which event was seen and how it ended: `signalbox log --summary` */
#pragma once
#include <stdint.h>

struct cli;

/* For [since_us, until_us) in whole minutes; 0 is open. Returns the exit status. */
int summary_print(struct cli *cli, uint64_t since_us, uint64_t until_us);
