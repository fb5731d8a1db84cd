/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* client - HTTP out, and mail: calls on the loop; with mail.c the only place that knows
 * libcurl
 *
 * HTTP/1.1 over verified TLS, no redirects, no proxy from the environment, no cookies, no
 * netrc.  Verification cannot be switched off.  The address that is dialled is judged
 * (lib/http/address.h), so no spelling of a URL and no name that changes its mind reaches
 * a forbidden one.  Texts of errors never hold a URL, a header or a body. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_client;
struct http_call;

enum {
    HTTP_ANSWER_MAX = 4 << 20, /* of an answer's body, where the call says nothing;
                                  larger: HTTP_TOO_LARGE */
    HTTP_ANSWER_HEADERS_MAX = 64
                              << 10, /* of an answer's headers; larger: HTTP_TOO_LARGE */
    HTTP_CONNECT_TIMEOUT_US = 3000000,
};

struct http_client_options {
    unsigned connections_max;   /* open at once; calls beyond it wait, their timeout
                                   running. 0 = 32 */
    bool allow_private_network; /* loopback and private networks, and http:// */
    const char *ca_file;        /* PEM; NULL: the system's */
};

/* One header, either way. */
struct http_field {
    const char *name, *value;
};

/* A mail instead of an HTTP request, to an smtp:// or smtps:// URL; the body is the
 * message. STARTTLS is required, but with allow_private_network used where it is offered.
 * Each has a thread and a connection of its own. */
struct http_mail {
    const char *sender; /* of the envelope, as all addresses: "a@example.com" */
    const char *const *recipients;
    size_t n_recipients;
    const char *user, *password; /* NULL: no login */
};

/* The answer as it comes, for who hands it on. Called from the loop; may not start, end
 * or abort calls. */
struct http_tap {
    /* Status and headers of the final answer are there: http_call_status and the like. */
    void (*on_head)(void *user, const struct http_call *call);
    /* The next bytes of the body. False: not now; they come again after
     * http_client_resume. */
    bool (*on_body)(void *user, const void *bytes, size_t n);
    void *user;
};

/* All is copied. */
struct http_call_options {
    const char *method; /* of a mail: not looked at */
    const char *url;
    const struct http_mail *mail; /* NULL: HTTP */
    const struct http_field *headers;
    size_t n_headers;
    const void *body; /* NULL: none */
    size_t body_len;
    uint64_t timeout_us; /* of the whole call; 0 = 30 s */
    size_t answer_max; /* bytes of body; 0 = HTTP_ANSWER_MAX. With a tap the answer may be
                          longer, and its first bytes, as many, are kept */
    struct http_tap tap; /* without on_body: none */
    bool is_once; /* a new connection: libcurl sends a request again when a kept one turns
                     out dead */
    /* Called once, from the loop, never from inside http_client_call; may start calls. */
    void (*on_done)(void *user, const struct http_call *call);
    void *user;
};

enum http_result {
    HTTP_ANSWERED,  /* a whole answer of any status; of a mail: the deciding reply */
    HTTP_NOT_SENT,  /* no byte of the request went out: name, connection, TLS; of a mail:
                       its end did not */
    HTTP_NO_ANSWER, /* it went out, at least in part, and no whole answer came */
    HTTP_TOO_LARGE, /* the answer is over a limit */
    HTTP_FORBIDDEN, /* the URL or the address is not one that may be called */
};

struct http_client *http_client_new(struct loop *loop,
                                    const struct http_client_options *options);
/* Drops calls that run, without on_done. Not from inside on_done. */
void http_client_free(struct http_client *client);
/* Start a call. */
struct http_call *http_client_call(struct http_client *client,
                                   const struct http_call_options *options);
/* Drop a call, without on_done. Not after on_done. */
void http_client_abort(struct http_call *call);
/* End a call now, with on_done: HTTP_NOT_SENT or HTTP_NO_ANSWER, for this reason. From
 * the loop, not from inside a tap. */
void http_client_end(struct http_call *call, const char *why);
/* The tap can take bytes again. Not from inside a tap. */
void http_client_resume(struct http_call *call);
unsigned http_client_running(const struct http_client *client);

/* --- of a call that is done, until on_done returns --- */
enum http_result http_call_result(const struct http_call *call);
unsigned
http_call_status(const struct http_call *call); /* 0 unless HTTP_ANSWERED, or in a tap */
/* NULL when absent; the last of several. Names in any case. */
const char *http_call_header(const struct http_call *call, const char *name);
/* The answer's header number `index`, in the order they came; false when there are fewer.
 */
bool http_call_field(const struct http_call *call, size_t index, struct http_field *ret);
const void *http_call_body(const struct http_call *call,
                           size_t *ret_len); /* a NUL stands behind it */
/* Of a mail: the recipient number `index` that was refused, and the reply it got; NULL
 * when there are fewer.  The body is then the deciding reply's text, the status its code.
 */
const char *http_call_refused(const struct http_call *call, size_t index,
                              unsigned *ret_code, const char **ret_text);
/* Why there is no answer, for people. */
const char *http_call_error(const struct http_call *call);
