/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/http/call.h"
#include "lib/http/courier.h"
#include "lib/http/dial.h"
#include "lib/http/mail.h"
#include "lib/http/multi.h"
#include "lib/loop/loop.h"

enum {
    TIMEOUT_US = 30000000,
    NAME_KEPT_S = 2, /* what a name resolved to: libcurl does not know for how long it is
                        good, and a provider that moves must be found before attempts run
                        out.  Connections are kept, so names are rarely asked for */
};

struct http_client {
    struct loop *loop;
    struct multi *multi;
    struct courier *courier; /* NULL before the first mail */
    struct http_call *running, *idle;
    unsigned n_running;
    bool allow_private_network;
    char *ca_file;
};

/* --- the end of a call --- */

/* Nothing is under way with it any more. */
static void call_free(struct http_call *call)
{
    curl_easy_cleanup(call->easy);
    mail_free(call->mail);
    buf_fini(&call->body);
    free(call);
}

/* It is no longer running. A mail's thread may be: it is freed when that is over. */
static void release(struct http_call *call)
{
    struct http_client *client = call->client;

    *(call->prev ? &call->prev->next : &client->running) = call->next;
    if (call->next)
        call->next->prev = call->prev;
    client->n_running--;
    if (call->mail)
        return;
    for (struct curl_slist *header = call->request_headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data)); /* credentials */
    curl_slist_free_all(call->request_headers);
    curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS, NULL); /* its copy of the body */
    free(call->method);
    buf_fini(&call->body);
    buf_fini(&call->headers);
    *call =
        (struct http_call){.client = client, .easy = call->easy, .next = client->idle};
    client->idle = call;
}

/* Take it out of whoever performs it. */
static void detach(struct http_call *call)
{
    if (call->mail)
        mail_drop(call->mail);
    else
        multi_remove(call->client->multi, call->easy);
}

static void finish(struct http_call *call, CURLcode code)
{
    call_judge(call, code);
    if (call->on_done)
        call->on_done(call->user, call);
    release(call);
}

static void on_done(void *user, CURL *easy, CURLcode code)
{
    struct http_call *call;

    (void)user;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
    finish(call, code);
}

static void mail_known(void *user, void *about, CURLcode code)
{
    (void)user;
    finish(about, code);
}

static void mail_over(void *user, void *about)
{
    (void)user;
    call_free(about);
}

/* --- the start of a call --- */

static void set_constants(struct http_call *call)
{
    CURL *easy = call->easy;
    const struct http_client *client = call->client;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver thread */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
                     client->allow_private_network ? "http,https" : "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* also none from the environment */
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 3600L);
    if (client->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)HTTP_CONNECT_TIMEOUT_US / 1000);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)NAME_KEPT_S);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 60L);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 600L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "signalbox/0.1");
    dial_guard(call, client->allow_private_network);
    call_take_answer(call);
}

static void add_header(struct http_call *call, const char *name, const char *value)
{
    /* "Name;" is libcurl's spelling of a header with an empty value */
    _free_ char *line =
        *value ? mem_format("%s: %s", name, value) : mem_format("%s;", name);

    call->request_headers = curl_slist_append(call->request_headers, line);
    explicit_bzero(line, strlen(line));
}

static void set_headers(struct http_call *call, const struct http_call_options *options)
{
    bool has_type = false;

    call->request_headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < options->n_headers; i++) {
        has_type |= strcasecmp(options->headers[i].name, "Content-Type") == 0;
        add_header(call, options->headers[i].name, options->headers[i].value);
    }
    if (!has_type) /* libcurl would make one up */
        call->request_headers = curl_slist_append(call->request_headers, "Content-Type:");
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->request_headers);
}

static void set_body(struct http_call *call, const struct http_call_options *options)
{
    const char *method = call->method;

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    } else if (options->body || strcmp(method, "GET") != 0) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)options->body_len);
        curl_easy_setopt(call->easy, CURLOPT_COPYPOSTFIELDS,
                         options->body ? options->body : "");
    }
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_request(struct http_call *call, const struct http_call_options *options)
{
    call->method = mem_text(options->method);
    set_headers(call, options);
    set_body(call, options);
}

static struct http_call *call_get(struct http_client *client, bool is_mail)
{
    struct http_call *call = is_mail ? NULL : client->idle;

    if (call) {
        client->idle = call->next;
        curl_easy_reset(call->easy);
    } else {
        call = mem_alloc(sizeof(*call));
        call->client = client;
        call->easy = curl_easy_init();
        if (!call->easy)
            mem_exhausted(0);
    }
    call->prev = NULL;
    call->next = client->running;
    if (call->next)
        call->next->prev = call;
    client->running = call;
    client->n_running++;
    return call;
}

static void start(struct http_call *call)
{
    struct http_client *client = call->client;

    if (!call->mail) {
        multi_add(client->multi, call->easy);
        return;
    }
    if (!client->courier)
        client->courier =
            courier_new(client->loop, &(struct courier_events){.on_known = mail_known,
                                                               .on_over = mail_over});
    mail_send(call->mail, client->courier, call->easy, call);
}

struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_options *options)
{
    struct http_call *call = call_get(client, options->mail != NULL);
    uint64_t timeout_us = options->timeout_us ? options->timeout_us : TIMEOUT_US;

    call->on_done = options->on_done;
    call->user = options->user;
    call->answer_max = options->answer_max ? options->answer_max : HTTP_ANSWER_MAX;
    call->tap = options->tap;
    set_constants(call);
    if (options->mail)
        call->mail = mail_new(call->easy, options, client->allow_private_network);
    else
        set_request(call, options);
    curl_easy_setopt(call->easy, CURLOPT_URL, options->url);
    /* what is declared; what comes without a length is counted in take_body */
    if (!call->tap.on_body)
        curl_easy_setopt(call->easy, CURLOPT_MAXFILESIZE_LARGE,
                         (curl_off_t)call->answer_max);
    curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)((timeout_us + 999) / 1000));
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, options->is_once ? 1L : 0L);
    start(call);
    return call;
}

void http_client_abort(struct http_call *call)
{
    detach(call);
    release(call);
}

void http_client_end(struct http_call *call, const char *why)
{
    detach(call);
    call->status = 0; /* how far a mail's thread has got is not known here */
    call->result = call->mail || call->was_ready ? HTTP_NO_ANSWER : HTTP_NOT_SENT;
    snprintf(call->error, sizeof(call->error), "%s", why);
    if (call->on_done)
        call->on_done(call->user, call);
    release(call);
}

void http_client_resume(struct http_call *call)
{
    curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

/* --- life --- */

/* libcurl asks us for its memory: what it could not keep of a request it would leave out,
 * and a call without its credential, its idempotency key or its body is another call. */
struct http_client *http_client_new(struct loop *loop,
                                    const struct http_client_options *options)
{
    struct http_client *client = mem_alloc(sizeof(*client));
    long connections = options->connections_max ? (long)options->connections_max : 32;

    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, mem_raw, free, mem_resize, mem_text,
                             mem_array) != CURLE_OK)
        mem_exhausted(0);
    client->loop = loop;
    client->allow_private_network = options->allow_private_network;
    client->ca_file = mem_text(options->ca_file);
    client->multi = multi_new(loop, connections, on_done, client);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->running)
        http_client_abort(client->running);
    courier_free(client->courier);
    for (struct http_call *call; (call = client->idle);) {
        client->idle = call->next;
        curl_easy_cleanup(call->easy);
        free(call);
    }
    multi_free(client->multi);
    curl_global_cleanup();
    free(client->ca_file);
    free(client);
}

unsigned http_client_running(const struct http_client *client)
{
    return client->n_running;
}
