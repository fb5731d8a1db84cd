/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* rows - how rows of the log are printed: a table for people, CSV or JSON for programs
 *
 * service, event_type, status, timestamp and error_msg come first.  A table is cut to the
 * terminal's width and coloured there; elsewhere nothing is cut. */
#pragma once
#include <stdbool.h>

struct cli;
struct ledger_row;

enum rows_form { ROWS_TABLE, ROWS_CSV, ROWS_JSON };

struct rows {
    const struct cli *cli;
    enum rows_form form;
    unsigned columns;     /* of the terminal; 0: it is none */
    unsigned type, error; /* widths of these two */
    bool is_wide;         /* ids stand in the row */
};

/* Lay out for where stdout goes, and print the head where the form has one. */
void rows_begin(struct rows *rows, const struct cli *cli, enum rows_form form);
/* A ledger_fn; `user` is the struct rows. Stops when stdout cannot be written. */
bool rows_print(void *user, const struct ledger_row *row);
