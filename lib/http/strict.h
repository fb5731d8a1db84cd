/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* strict - which requests are so malformed that two parsers could read them differently
 */
#pragma once

struct MHD_Connection;

/* NULL when the request's head is as RFC 9112 wants it; else why it is refused with 400.
 * For use in the first call of the access handler only: later the memory looked at is
 * used again. */
const char *strict_check(struct MHD_Connection *connection, const char *method,
                         const char *target, const char *version);
