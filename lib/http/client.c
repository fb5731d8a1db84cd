/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/http/address.h"
#include "lib/http/courier.h"
#include "lib/http/crypto.h"
#include "lib/http/mail.h"
#include "lib/loop/loop.h"

enum {
    TIMEOUT_US = 30000000,
    TICK_US =
        1000000, /* libcurl is asked this often whether a timeout of its own slipped by */
    HEADERS_MAX = 200,
};

struct http_call {
    struct http_client *client;
    struct http_call *prev, *next; /* running, or idle (next only) */
    CURL *easy;
    struct curl_slist *request_headers;
    char *method;      /* libcurl reads it while the call runs */
    struct mail *mail; /* NULL: HTTP */
    size_t answer_max;
    struct http_tap tap;
    struct buf body;
    struct buf headers; /* "name\0value\0"... of the final answer */
    size_t header_bytes;
    unsigned n_headers;
    bool was_ready; /* connected, TLS and all: from here on bytes may have gone out */
    bool is_forbidden, is_too_large;
    bool
        has_all_headers; /* libcurl takes a connection closed inside them for their end */
    enum http_result result;
    unsigned status;
    char error[160];
    void (*on_done)(void *user, const struct http_call *call);
    void *user;
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer, *tick;
    struct courier *courier; /* NULL before the first mail */
    struct http_call *running, *idle;
    unsigned n_running;
    bool allow_private_network;
    char *ca_file;
};

/* --- what libcurl asks of the loop --- */

static void drain(struct http_client *client);

static void act(struct http_client *client, curl_socket_t fd, int what)
{
    int running;

    curl_multi_socket_action(client->multi, fd, what, &running);
    drain(client);
}

struct socket {
    struct http_client *client;
    curl_socket_t fd;
    struct loop_source *source;
};

static void socket_ready(void *user, uint32_t events)
{
    const struct socket *s = user;
    int what = 0;

    if (events & (EPOLLIN | EPOLLHUP))
        what |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        what |= CURL_CSELECT_OUT;
    if (events & EPOLLERR)
        what |= CURL_CSELECT_ERR;
    act(s->client, s->fd, what);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *user,
                        void *assigned)
{
    struct http_client *client = user;
    struct socket *s = assigned;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            loop_unwatch(s->source);
            free(s);
            curl_multi_assign(client->multi, fd, NULL);
        }
        return 0;
    }
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (!s) {
        s = mem_alloc(sizeof(*s));
        *s = (struct socket){.client = client, .fd = fd};
        s->source = loop_watch(client->loop, fd, events, socket_ready, s);
        curl_multi_assign(client->multi, fd, s);
    } else {
        loop_rewatch(s->source, events);
    }
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *user)
{
    struct http_client *client = user;

    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(client->timer);
    else /* 0 too: libcurl must not be called from its own callback */
        loop_timer_in(client->timer, (uint64_t)timeout_ms * 1000);
    return 0;
}

static void timer_due(void *user)
{
    act(user, CURL_SOCKET_TIMEOUT, 0);
}

static void tick_due(void *user)
{
    struct http_client *client = user;

    act(client, CURL_SOCKET_TIMEOUT, 0);
    if (client->n_running)
        loop_timer_in(client->tick, TICK_US);
}

/* --- the guard: who may be dialled --- */

static bool may_dial(const struct http_call *call, const struct sockaddr *address)
{
    switch (address_classify(address)) {
    case ADDRESS_PUBLIC:
        return true;
    case ADDRESS_PRIVATE:
        return call->client->allow_private_network;
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

/* --- the answer as it comes --- */

static size_t hand_on(struct http_call *call, const char *bytes, size_t n)
{
    size_t room = call->answer_max - call->body.len;

    if (!call->tap.on_body(call->tap.user, bytes, n))
        return CURL_WRITEFUNC_PAUSE;
    buf_add(&call->body, bytes, n < room ? n : room);
    return n;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
    struct http_call *call = user;

    n *= size;
    if (call->tap.on_body)
        return hand_on(call, bytes, n);
    if (n > call->answer_max - call->body.len) {
        call->is_too_large = true;
        return 0;
    }
    buf_add(&call->body, bytes, n);
    return n;
}

static void keep_header(struct http_call *call, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);

    if (!colon || memchr(line, 0, n))
        return;
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr("\r\n\t ", end[-1]))
        end--;
    buf_add(&call->headers, line, (size_t)(colon - line));
    buf_add(&call->headers, "", 1);
    buf_add(&call->headers, value, (size_t)(end - value));
    buf_add(&call->headers, "", 1);
}

static unsigned status_of(const struct http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned)status;
}

/* The headers are complete; those of a 1xx are not the answer's. */
static void end_headers(struct http_call *call)
{
    unsigned status = status_of(call);

    call->has_all_headers = true;
    if (!call->tap.on_head || status < 200)
        return;
    call->status = status;
    call->tap.on_head(call->tap.user, call);
}

static size_t take_header(char *bytes, size_t size, size_t n, void *user)
{
    struct http_call *call = user;

    n *= size;
    if (n > HTTP_ANSWER_HEADERS_MAX - call->header_bytes ||
        ++call->n_headers > HEADERS_MAX) {
        call->is_too_large = true;
        return 0;
    }
    call->header_bytes += n;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        buf_clear(&call->headers); /* the ones before belonged to a 1xx */
        call->has_all_headers = false;
    } else if (n && (*bytes == '\r' || *bytes == '\n')) {
        end_headers(call);
    } else {
        keep_header(call, bytes, n);
    }
    return n;
}

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
        curl_multi_remove_handle(call->client->multi, call->easy);
}

static void say_timeout(struct http_call *call)
{
    curl_off_t looked_up = 0, connected = 0, ready = 0;

    curl_easy_getinfo(call->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
    curl_easy_getinfo(call->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    snprintf(call->error, sizeof(call->error), "timed out %s",
             ready       ? "waiting for the answer"
             : connected ? "in the TLS handshake"
             : looked_up ? "connecting"
                         : "looking up the name");
}

/* libcurl has one sentence for all that can be wrong with a certificate. */
static void say_untrusted(struct http_call *call)
{
    long why = 0; /* 0 and 1: OpenSSL had nothing against it, so it was libcurl's own look,
                     which is at the name */

    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &why);
    snprintf(call->error, sizeof(call->error),
             "the service's certificate is not trusted: %s",
             why > 1 ? crypto_distrust(why) : "it is for another name");
}

static void say_code(struct http_call *call, CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        say_timeout(call);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        say_untrusted(call);
    else /* a fixed sentence; libcurl's error buffer would name host and port */
        snprintf(call->error, sizeof(call->error), "%s", curl_easy_strerror(code));
}

/* Of a mail there is more to know than libcurl's code. */
static void judge_mail(struct http_call *call, CURLcode code)
{
    call->result = mail_judge(call->mail, code, &call->status);
    if (call->result == HTTP_ANSWERED)
        buf_text(&call->body, mail_reply(call->mail));
    else if (call->result == HTTP_FORBIDDEN)
        snprintf(call->error, sizeof(call->error),
                 "the server does not offer TLS (see allow_private_network)");
    else
        say_code(call, code);
}

static void judge(struct http_call *call, CURLcode code)
{
    call->status = 0;
    /* "unsupported protocol" is also what libcurl calls an answer that is not HTTP */
    bool is_bad_url = !call->was_ready &&
                      (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT);

    if (call->is_forbidden || is_bad_url) {
        call->result = HTTP_FORBIDDEN;
        snprintf(call->error, sizeof(call->error), "%s",
                 call->is_forbidden ? "the service's address is one that may not be "
                                      "called (see allow_private_network)"
                 : call->mail       ? "the base_url is not an smtp:// or smtps:// address"
                                    : "the base_url is not an https:// address (http:// "
                                      "needs allow_private_network)");
    } else if (call->mail) {
        judge_mail(call, code);
    } else if (call->is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        call->result = HTTP_TOO_LARGE;
        snprintf(call->error, sizeof(call->error), "the answer is larger than the limit");
    } else if (code == CURLE_OK && !call->has_all_headers) {
        call->result = HTTP_NO_ANSWER;
        snprintf(call->error, sizeof(call->error),
                 "the connection was closed inside the answer's headers");
    } else if (code == CURLE_OK) {
        call->status = status_of(call);
        call->result = HTTP_ANSWERED;
    } else {
        call->result = call->was_ready ? HTTP_NO_ANSWER : HTTP_NOT_SENT;
        say_code(call, code);
    }
}

static void drain(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* gone once the handle is removed */
        struct http_call *call;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
        judge(call, code);
        curl_multi_remove_handle(client->multi, easy);
        if (call->on_done)
            call->on_done(call->user, call);
        release(call);
    }
}

static void mail_known(void *user, void *about, CURLcode code)
{
    struct http_call *call = about;

    (void)user;
    judge(call, code);
    if (call->on_done)
        call->on_done(call->user, call);
    release(call);
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
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 60L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 60L);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 600L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "signalbox/0.1");
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
        curl_multi_add_handle(client->multi, call->easy);
        if (!loop_timer_is_set(client->tick))
            loop_timer_in(client->tick, TICK_US);
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
    client->timer = loop_timer_new(loop, timer_due, client);
    client->tick = loop_timer_new(loop, tick_due, client);
    client->multi = curl_multi_init();
    if (!client->multi)
        mem_exhausted(0);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, connections);
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
    curl_multi_cleanup(client->multi);
    curl_global_cleanup();
    loop_timer_free(client->timer);
    loop_timer_free(client->tick);
    free(client->ca_file);
    free(client);
}

unsigned http_client_running(const struct http_client *client)
{
    return client->n_running;
}

/* --- reading the answer --- */

enum http_result http_call_result(const struct http_call *call)
{
    return call->result;
}

unsigned http_call_status(const struct http_call *call)
{
    return call->status;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    const char *at = (const char *)call->headers.bytes, *found = NULL;
    const char *end = at ? at + call->headers.len : NULL; /* without headers both NULL */

    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            found = value;
        at = value + strlen(value) + 1;
    }
    return found;
}

bool http_call_field(const struct http_call *call, size_t index, struct http_field *ret)
{
    const char *at = (const char *)call->headers.bytes;
    const char *end = at ? at + call->headers.len : NULL;

    for (; at < end; index--) {
        const char *value = at + strlen(at) + 1;
        if (index == 0) {
            *ret = (struct http_field){at, value};
            return true;
        }
        at = value + strlen(value) + 1;
    }
    return false;
}

const void *http_call_body(const struct http_call *call, size_t *ret_len)
{
    *ret_len = call->body.len;
    return call->body.len ? call->body.bytes : (const uint8_t *)"";
}

const char *http_call_refused(const struct http_call *call, size_t index,
                              unsigned *ret_code, const char **ret_text)
{
    return call->mail ? mail_refused(call->mail, index, ret_code, ret_text) : NULL;
}

const char *http_call_error(const struct http_call *call)
{
    return call->error;
}
