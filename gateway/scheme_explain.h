/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_explain - a verdict in words for the operator, who shall know what to do next */
#pragma once
#include <stddef.h>

struct scheme_verdict;

/* Why, out of how many keys and for a body of which length; never a secret nor a part of
 * the body. */
void scheme_explain(const struct scheme_verdict *verdict, size_t n_keys, size_t body_len,
                    char *ret_text, size_t size);
