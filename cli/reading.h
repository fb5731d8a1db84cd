/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* reading - what the commands that read the log share */
#pragma once
#include <stdbool.h>

struct cli;
struct ledger;

/* The log named by the configuration. NULL after having said why, with the exit status in
 * *ret_status. */
struct ledger *reading_open(struct cli *cli, int *ret_status);
/* A failure's class by name; false after having said which there are. */
bool reading_class(const char *text, int *ret);
struct ledger_filter;
/* Can anything fit this filter: is its type a pattern, and `since` before `until`? False
 * after having said why not. */
bool reading_filter_fits(const struct ledger_filter *filter);
