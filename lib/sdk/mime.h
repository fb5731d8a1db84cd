/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mime - the encodings of a mail: headers (RFC 2047, 2231), bodies (RFC 2045)
 *
 * Everything written ends its lines with CRLF and keeps them below the 998 bytes of RFC
 * 5322, 2.1.1; encoded lines have at most 76. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf;

/* A header's text: as it is where it is ASCII, else as encoded words of UTF-8, each of
 * whole characters, on lines of their own. */
void mime_text(struct buf *out, const char *text);
/* "Name <a@b>", the name quoted or encoded where it has to be; NULL or empty: the address
 * alone. */
void mime_address(struct buf *out, const char *email, const char *name);
/* A parameter of a header: `; name="value"`, or with other than ASCII
 * `; name*=UTF-8''value` percent-encoded. */
void mime_parameter(struct buf *out, const char *name, const char *value);
/* RFC 5322's date in UTC: "Mon, 23 Nov 2026 10:00:00 +0000". */
void mime_date(struct buf *out, uint64_t time_us);
/* A text as quoted-printable; its line breaks (LF, CR or CRLF) are those of the mail, and
 * none is added at the end. */
void mime_quoted_printable(struct buf *out, const char *text);
/* Base64 that is there already, in lines. */
void mime_base64_lines(struct buf *out, const char *base64);
