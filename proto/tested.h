/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tested - the fact that tests of an integration were run, and how they ended
 *
 * Its data is {"integration", "stamp", "passed", "failed", "cases": [{"name", "what",
 * "passed", "said"}], "actor"}: `stamp` stands for what was tested, another one after a
 * change; `name` is an operation ("charge") or a webhook's event, `what` says under which
 * conditions, `said` what came.  The broker alone writes it, for who may administer it
 * (ADMIN `test`), and counts the cases itself. */
#pragma once

#define TESTED_TYPE "signalbox.tested"
enum {
    TESTED_CASES_MAX = 500, /* of one run; more are refused */
    TESTED_TEXT_MAX = 300,  /* bytes of a text in a case; a longer one is cut */
};
