/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* facts - may what a result brings along be said? */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;

/* Judge the facts among the (well-formed) records of a RESULT as the broker would: their
 * types are those of the manifest, or under the integration's own name with the
 * provider's id (proto/README.md, "What is found"). False with the first one that may not
 * be said in `why`. */
bool facts_may_be_said(const struct buf *records, const struct json *manifest,
                       const char *integration, char *why, size_t why_size);
