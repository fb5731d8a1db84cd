/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "include/signalbox/connector.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/http/server.h"
#include "lib/sdk/call.h"
#include "lib/service/service.h"

/* --- where --- */

bool guard_is_local(const char *host)
{
    char name[64];
    struct in_addr address;
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

    if (n >= sizeof(name) || (host[n] && host[n] != ':'))
        return false;
    memcpy(name, host, n);
    name[n] = 0;
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
           (inet_pton(AF_INET, name, &address) == 1 &&
            ntohl(address.s_addr) >> 24 == 127);
}

/* 127.0.0.1:8091 or [::1]:8091 */
static bool read_address(struct guard *guard, const char *text)
{
    const char *colon = strrchr(text, ':');
    struct in6_addr six;
    struct in_addr four;
    char *end;

    if (!colon || colon == text)
        return false;
    long port = strtol(colon + 1, &end, 10);
    bool is_six = *text == '[' && colon[-1] == ']';
    guard->address = is_six ? mem_copy(text + 1, (size_t)(colon - text) - 2)
                            : mem_copy(text, (size_t)(colon - text));
    guard->port = (uint16_t)port;
    return colon[1] && !*end && port >= 0 && port < 65536 &&
           inet_pton(is_six ? AF_INET6 : AF_INET, guard->address,
                     is_six ? (void *)&six : (void *)&four) == 1;
}

bool guard_read(struct guard *guard, const struct sb_event *options,
                const struct service_run *run, char *error, size_t error_size)
{
    const char *access = sb_option(options, "access"), *name = sb_integration(options);
    bool is_local = strcmp(access, "local") == 0;
    const char *listen = sb_option(options, "listen");

    guard->needs_token = strcmp(access, "token") == 0;
    guard->tokens_path = tokens_path(run->config->data);
    if (!is_local && !guard->needs_token)
        snprintf(error, error_size,
                 "integrations.%s.options.access: expected local or token", name);
    else if (!read_address(guard, listen))
        snprintf(error, error_size,
                 "integrations.%s.options.listen: expected an address and a port, as "
                 "127.0.0.1:8091",
                 name);
    else if (is_local && !guard_is_local(listen))
        snprintf(error, error_size,
                 "integrations.%s.options.listen: expected a loopback address, or "
                 "access: token: whoever reaches it uses the credential",
                 name);
    else
        return true;
    return false;
}

bool guard_read_tls(struct guard *guard, const struct integration *integration,
                    uint64_t now_us, char *error, size_t error_size)
{
    void *user = integration->secret_user;
    const char *name = integration->name;
    char why[200];

    guard->certificate = integration->secret(user, GUARD_CERTIFICATE);
    guard->key = integration->secret(user, GUARD_KEY);
    if (!guard->certificate != !guard->key)
        snprintf(error, error_size,
                 "integrations.%s.secrets: " GUARD_CERTIFICATE " and " GUARD_KEY
                 " are given together, or neither",
                 name);
    else if (guard->key && !crypto_certificate_fits(guard->certificate, guard->key,
                                                    now_us, why, sizeof(why)))
        snprintf(error, error_size, "integrations.%s.secrets." GUARD_CERTIFICATE ": %s",
                 name, why);
    else
        return true;
    return false;
}

void guard_fini(struct guard *guard)
{
    free(guard->address);
    free(guard->tokens_path);
    *guard = (struct guard){0};
}

/* --- who --- */

static void refresh(struct guard *guard)
{
    struct stat now = {0};
    char error[512];

    if (stat(guard->tokens_path, &now) != 0)
        now = (struct stat){0};
    if (now.st_ino == guard->seen.st_ino && now.st_size == guard->seen.st_size &&
        now.st_mtim.tv_sec == guard->seen.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == guard->seen.st_mtim.tv_nsec &&
        now.st_mode == guard->seen.st_mode)
        return;
    guard->seen = now;
    if (!tokens_read(guard->tokens_path, &guard->tokens, error, sizeof(error)))
        log_say(TOKENS_BAD, "%s", error);
}

/* Where the SDKs put what they are given as a key. */
static const char *given(const struct http_request *request)
{
    const char *value = http_header(request, "Authorization");

    if (value && strncasecmp(value, "Bearer ", 7) == 0)
        return value + 7 + strspn(value + 7, " ");
    return http_header(request, "x-api-key");
}

static const struct token *token_of(struct guard *guard,
                                    const struct http_request *request)
{
    const char *text = given(request);
    uint8_t hash[32];

    if (!text)
        return NULL;
    refresh(guard);
    token_hash(text, hash);
    return tokens_find(&guard->tokens, clock_wall_us(), hash);
}

const char *guard_refuses(struct guard *guard, const struct http_request *request,
                          const char **ret_actor, unsigned *ret_status)
{
    const char *host = http_header(request, "Host");

    *ret_status = 403;
    if (http_header(request, "Origin"))
        return "requests of web pages are not taken";
    if (!guard->needs_token)
        return host && guard_is_local(host)
                   ? NULL
                   : "the Host is not of this machine: expected 127.0.0.1 or localhost";
    const struct token *token = token_of(guard, request);
    *ret_status = token ? 403 : 401;
    if (!token)
        return "give the SDK a token of signalbox in place of the provider's key "
               "(signalbox token new NAME --scope call)";
    if (!(token->scopes & SCOPE_CALL))
        return "this token does not have the scope call";
    *ret_actor = token->name;
    return NULL;
}
