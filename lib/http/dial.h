/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dial - the guard of a client's calls: which addresses may be dialled */
#pragma once
#include <stdbool.h>

struct http_call;

/* Judge each address that the call's handle would dial, and the one of a connection that
 * is open already. One that may not be called ends it, with is_forbidden. */
void dial_guard(struct http_call *call, bool allow_private_network);
