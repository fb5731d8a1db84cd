/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* trace - W3C Trace Context (https://www.w3.org/TR/trace-context/): who called on whose
 * behalf
 *
 * A traceparent is version, trace, the caller's span and flags, as hexadecimal digits:
 * 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    TRACE_PARENT_SIZE = 55 + 1, /* with its NUL */
    TRACE_STATE_MAX = 512,      /* bytes of a tracestate that is passed on */
};

/* Is it one (NULL is none)? Of a later version only the part that is known is looked at.
 */
bool trace_is_parent(const char *text);
/* Is it a tracestate that may be passed on: printable and not over the limit? */
bool trace_is_state(const char *text);
/* The traceparent of what is done on behalf of `parent` (which is one): its trace and
 * flags, and a span of its own. */
void trace_child(const char *parent, uint64_t span, char ret_text[TRACE_PARENT_SIZE]);
