/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* trial - every operation and webhook of an integration tried against the sandbox, with
 * its faults */
#pragma once

struct cli;
struct document;
struct json;

/* Try all of it, one after the other; each case is told as it ends, unless with --json.
 * The list of {name, what, passed, said}, to be freed; NULL after having said why there
 * is none (*ret_status). */
struct json *trial_run(struct cli *cli, const struct document *document, int *ret_status);
