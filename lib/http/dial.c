/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/dial.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "lib/http/address.h"
#include "lib/http/call.h"

static bool may_dial(const struct http_call *call, const struct sockaddr *address)
{
    switch (address_classify(address)) {
    case ADDRESS_PUBLIC:
        return true;
    case ADDRESS_PRIVATE:
        return call->allow_private_network;
    case ADDRESS_NEVER:
    default:
        return false;
    }
}

static curl_socket_t open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct http_call *call = user;

    (void)purpose;
    if (!may_dial(call, &address->addr)) {
        call->is_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool may_dial_text(const struct http_call *call, const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        return may_dial(call, (const struct sockaddr *)&in);
    if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
        return may_dial(call, (const struct sockaddr *)&in6);
    return false; /* also one with a zone: link-local */
}

/* Also on connections that were open already: libcurl does not ask open_socket for those.
 */
static int before_request(void *user, char *peer_ip, char *local_ip, int peer_port,
                          int local_port)
{
    struct http_call *call = user;

    (void)local_ip, (void)peer_port, (void)local_port;
    call->was_ready = true;
    call->is_forbidden = !may_dial_text(call, peer_ip);
    return call->is_forbidden ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

void dial_guard(struct http_call *call, bool allow_private_network)
{
    call->allow_private_network = allow_private_network;
    curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(call->easy, CURLOPT_PREREQDATA, call);
}
