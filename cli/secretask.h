/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secretask - a secret's value, from the terminal without echo or from stdin; never from
 * the command line */
#pragma once
#include "lib/vault/secretfile.h"

enum secretask_end {
    SECRETASK_WHOLE, /* stdin that is no terminal is one value, up to its end */
    SECRETASK_LINE,  /* one value is one line: several can be asked for */
};

/* Returns the length of the value, 0 when there is none, -1 after having said what is
 * wrong. It is one line of UTF-8 text. */
long secretask(const char *name, enum secretask_end end, char value[SECRET_SIZE_MAX + 2]);
