/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a handler reads of a request. */
#include "lib/http/request.h"

#include <poll.h>
#include <strings.h>

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_target(const struct http_request *request)
{
    return request->target;
}

const char *http_query(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

struct count {
    const char *name;
    unsigned n;
};

static enum MHD_Result count_header(void *user, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    (void)kind;
    (void)value;
    struct count *count = user;
    if (!strcasecmp(name, count->name))
        count->n++;
    return MHD_YES;
}

unsigned http_header_count(const struct http_request *request, const char *name)
{
    struct count count = {.name = name};
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, count_header, &count);
    return count.n;
}

struct each {
    http_header_fn fn;
    void *user;
};

static enum MHD_Result each_header(void *user, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    struct each *each = user;
    each->fn(each->user, name, value ? value : "");
    return MHD_YES;
}

void http_each_header(const struct http_request *request, http_header_fn fn, void *user)
{
    struct each each = {fn, user};
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, each_header, &each);
}

struct each_query {
    http_query_fn fn;
    void *user;
};

static enum MHD_Result each_query(void *user, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    struct each_query *each = user;
    each->fn(each->user, name, value);
    return MHD_YES;
}

void http_each_query(const struct http_request *request, http_query_fn fn, void *user)
{
    struct each_query each = {fn, user};
    MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND, each_query, &each);
}

const void *http_body(const struct http_request *request, size_t *ret_len)
{
    *ret_len = request->body.len;
    return request->body.bytes ? (const void *)request->body.bytes : "";
}

const char *http_remote(const struct http_request *request)
{
    return request->connection->address;
}

void http_set_tag(struct http_request *request, unsigned tag)
{
    request->tag = tag;
}

unsigned http_tag(const struct http_request *request)
{
    return request->tag;
}

bool http_is_left(const struct http_request *request)
{
    struct pollfd connection = {.fd = request->connection->fd, .events = POLLRDHUP};
    return poll(&connection, 1, 0) == 1 && connection.revents != 0;
}

void http_set_user(struct http_request *request, void *user)
{
    request->user = user;
}

void *http_user(const struct http_request *request)
{
    return request->user;
}
