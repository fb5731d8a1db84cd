/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* must - what OpenSSL fails at only when its installation is broken, a part of crypto.c
 */
#pragma once
#include <stdbool.h>

/* Ends the process, naming what cannot be done, unless it worked. */
void crypto_must(bool worked, const char *what);
