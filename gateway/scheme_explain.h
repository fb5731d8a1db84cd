/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_explain - a verdict in words for the operator: what is known, behind a colon
 * what it means, and where the fix is */
#pragma once
#include <stddef.h>

struct scheme;
struct scheme_verdict;

/* Why this row's verdict is what it is, out of how many keys and for a body of which
 * length; never a secret nor a part of the request. */
void scheme_explain(const struct scheme *scheme, const struct scheme_verdict *verdict,
                    size_t n_keys, size_t body_len, char *ret_text, size_t size);
