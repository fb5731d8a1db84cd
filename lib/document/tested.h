/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tested - the fact that tests of an integration were run, and how they ended
 *
 * {"integration", "stamp", "passed", "failed", "cases": [{"name", "what", "passed",
 * "said"}]}: `stamp` is document_stamp() of what was tested; `name` is an operation
 * ("charge") or a webhook's event, `what` says under which fault, `said` what came.  The
 * broker alone writes it, for who may administer it (`signalbox simulate --all`). */
#pragma once

#define TESTED_TYPE "signalbox.tested"
enum {
    TESTED_CASES_MAX = 1000, /* of one run; more are refused */
    TESTED_TEXT_MAX = 500,   /* bytes of a text in a case; what is longer is cut */
};
