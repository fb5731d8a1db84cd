/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd before 1.0 takes a lone LF or CR as the end of a line, joins folded
 * lines, and passes a Content-Length beside a Transfer-Encoding.  A proxy in front that
 * reads these otherwise sees other requests than we do (request smuggling). libmicrohttpd
 * cuts the head up in place: where a line ended in CR LF, exactly two NULs stand between
 * a value and the next name.  Anything else (one NUL, a value moved elsewhere because
 * lines were joined, a NUL inside a value) shows as another distance, and the request is
 * refused. */
#include "lib/http/strict.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

struct head {
    const char *expected; /* where the next name must stand */
    const char *why;
    unsigned lengths, encodings, hosts;
    bool is_chunked;
};

/* RFC 9110, 5.6.2 */
static bool is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return n > 0;
}

static bool is_digits(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 32 && *text != '\t') || *text == 127)
            return true;
    return false;
}

/* RFC 9110, 7.2, without what no host's name has in practice. Empty where the target needs
 * none. */
static bool is_host(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "-._~%:[]") == strlen(text);
}

/* Of RFC 9112, 3.2, what two readers may cut differently: a fragment, and bytes that have
 * to be written as %XX. */
static bool is_target(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < '!' || *c > '~' || *c == '#')
            return false;
    return !strstr(text, "%00");
}

static void check_framing(struct head *head, const char *name, const char *value)
{
    if (!strcasecmp(name, "Content-Length")) {
        head->lengths++;
        if (!is_digits(value))
            head->why = "Content-Length is not a number";
    } else if (!strcasecmp(name, "Transfer-Encoding")) {
        head->encodings++;
        head->is_chunked = true;
        if (strcasecmp(value, "chunked") != 0)
            head->why = "a transfer encoding other than chunked";
    } else if (!strcasecmp(name, "Host")) {
        head->hosts++;
        if (!is_host(value))
            head->why = "Host is not a host and a port";
    }
}

static enum MHD_Result check_header(void *user, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    struct head *head = user;
    if (!value)
        value = "";
    if ((uintptr_t)name != (uintptr_t)head->expected)
        head->why = "a header line does not end in CR LF, is folded or holds a NUL";
    else if (!is_token(name, strlen(name)))
        head->why = "a header's name is not a token";
    else if (has_control(value))
        head->why = "a header's value holds a control character";
    else
        check_framing(head, name, value);
    head->expected = value + strlen(value) + 2;
    return head->why ? MHD_NO : MHD_YES;
}

/* Does the head, of which `end` is two bytes behind the last value, end there with an
 * empty line? */
static bool is_whole(struct MHD_Connection *connection, const char *method,
                     const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info && (uintptr_t)end + 2 - (uintptr_t)method == info->header_size;
}

const char *strict_check(struct MHD_Connection *connection, const char *method,
                         const char *target, const char *version)
{
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return "the protocol version is not HTTP/1.1 or 1.0";
    if (!is_token(method, strlen(method)))
        return "the method is not a token";
    if (!is_target(target))
        return "the target holds what must be written as %XX, or a fragment";
    if ((uintptr_t)version - (uintptr_t)method != strlen(method) + strlen(target) + 2)
        return "the request line is not three words with a space between";
    struct head head = {.expected = version + strlen(version) + 2};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, check_header, &head);
    if (head.why)
        return head.why;
    if (!is_whole(connection, method, head.expected))
        return "the head does not end in CR LF CR LF";
    if (head.lengths > 1 || head.encodings > 1 || (head.lengths && head.encodings))
        return "more than one header says how long the body is";
    if (head.is_chunked && !strcmp(version, "HTTP/1.0"))
        return "a transfer encoding in HTTP/1.0";
    if (head.hosts > 1 || (head.hosts == 0 && !strcmp(version, "HTTP/1.1")))
        return "Host must be there once";
    return NULL;
}
