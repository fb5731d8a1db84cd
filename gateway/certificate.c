/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/http/crypto.h"
#include "lib/loop/loop.h"

#define HOUR_US UINT64_C(3600000000)

struct waiter {
    certificate_fn fn;
    void *user;
};

/* An address. Once it has a key, it is here; `tried_us` is of a fetch that failed. */
struct certificate {
    struct certificates *owner;
    enum scheme_certificate whose;
    char *url;
    struct buf key;
    uint64_t until_us, tried_us;
    bool is_loaded; /* from a file: it stays */
    bool is_fetched_now;
    struct waiter waiters[CERTIFICATE_WAITERS_MAX];
    size_t n_waiters;
};

struct certificates {
    struct loop *loop;
    struct http_client *client; /* made when the first one is fetched */
    struct certificate *all[CERTIFICATES_MAX];
    size_t n;
    uint64_t hour_us; /* steady: since when fetches are counted */
    unsigned n_begun;
};

/* --- whose address it is --- */

static bool is_host_of_paypal(const char *host, size_t n)
{
    static const char name[] = ".paypal.com";
    size_t len = sizeof(name) - 1;
    return n > len && !memcmp(host + n - len, name, len) &&
           strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n;
}

/* sns.REGION.amazonaws.com, and .com.cn; the region of three characters at least. */
static bool is_host_of_sns(const char *host, size_t n)
{
    static const char *const ends[] = {".amazonaws.com", ".amazonaws.com.cn"};
    size_t region = 0;
    if (n <= 4 || strncmp(host, "sns.", 4) != 0)
        return false;
    region = strspn(host + 4, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (region >= 3 && n == 4 + region + strlen(ends[i]) &&
            !memcmp(host + 4 + region, ends[i], strlen(ends[i])))
            return true;
    return false;
}

bool certificate_host_fits(enum scheme_certificate whose, const char *url)
{
    size_t n = strlen(url);
    if (n > CERTIFICATE_URL_MAX || strncmp(url, "https://", 8) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (url[i] <= ' ' || url[i] == 0x7f)
            return false;
    const char *host = url + 8;
    size_t host_len = strcspn(host, "/?#");
    if (host[host_len] != '/')
        return false;
    return whose == CERTIFICATE_PAYPAL ? is_host_of_paypal(host, host_len)
                                       : is_host_of_sns(host, host_len);
}

bool certificate_url_fits(enum scheme_certificate whose, const char *url)
{
    size_t n = strlen(url);
    return certificate_host_fits(whose, url) &&
           (whose == CERTIFICATE_PAYPAL ||
            (!strpbrk(url, "?#") && !strcmp(url + n - 4, ".pem")));
}

/* --- those that are here --- */

struct certificates *certificates_new(struct loop *loop)
{
    struct certificates *certificates = mem_alloc(sizeof(*certificates));
    certificates->loop = loop;
    return certificates;
}

static void wake(struct certificate *c)
{
    struct waiter waiters[CERTIFICATE_WAITERS_MAX];
    size_t n = c->n_waiters;
    memcpy(waiters, c->waiters, n * sizeof(*waiters));
    c->n_waiters = 0;
    for (size_t i = 0; i < n; i++)
        waiters[i].fn(waiters[i].user);
}

static void certificate_free(struct certificate *c)
{
    buf_fini(&c->key);
    free(c->url);
    free(c);
}

void certificates_free(struct certificates *certificates)
{
    if (!certificates)
        return;
    http_client_free(certificates->client);
    for (size_t i = 0; i < certificates->n; i++) {
        wake(certificates->all[i]);
        certificate_free(certificates->all[i]);
    }
    free(certificates);
}

static struct certificate *find(const struct certificates *certificates, const char *url)
{
    for (size_t i = 0; i < certificates->n; i++)
        if (!strcmp(certificates->all[i]->url, url))
            return certificates->all[i];
    return NULL;
}

bool certificates_find(const struct certificates *certificates, const char *url,
                       const void **ret_key, size_t *ret_len)
{
    const struct certificate *c = find(certificates, url);
    if (!c || !c->key.len || c->until_us < loop_wall_us(certificates->loop))
        return false;
    *ret_key = c->key.bytes;
    *ret_len = c->key.len;
    return true;
}

/* The oldest that may go: one that never came, else one that did. CERTIFICATES_MAX when
 * all stay. */
static size_t choose_leaver(const struct certificates *certificates)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < certificates->n; i++) {
            const struct certificate *c = certificates->all[i];
            if (!c->is_loaded && !c->is_fetched_now && (pass == 1 || !c->key.len))
                return i;
        }
    return CERTIFICATES_MAX;
}

/* A place for an address; NULL when there is none. */
static struct certificate *add(struct certificates *certificates,
                               enum scheme_certificate whose, const char *url)
{
    if (certificates->n == CERTIFICATES_MAX) {
        size_t at = choose_leaver(certificates);
        if (at == CERTIFICATES_MAX)
            return NULL;
        certificate_free(certificates->all[at]);
        certificates->n--;
        for (; at < certificates->n; at++)
            certificates->all[at] = certificates->all[at + 1];
    }
    struct certificate *c = mem_alloc(sizeof(*c));
    c->owner = certificates;
    c->whose = whose;
    c->url = mem_text(url);
    certificates->all[certificates->n++] = c;
    return c;
}

/* --- from a file --- */

static int read_file(const char *path, struct buf *text, char *error, size_t error_size)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(error, error_size, "%s cannot be read: %s", path, strerror(errno));
        return -1;
    }
    size_t n = fread(buf_reserve(text, CERTIFICATE_SIZE_MAX + 1), 1,
                     CERTIFICATE_SIZE_MAX + 1, file);
    text->len += n;
    bool is_good = !ferror(file) && n <= CERTIFICATE_SIZE_MAX;
    fclose(file);
    if (!is_good)
        snprintf(error, error_size, "%s cannot be read, or is over %d bytes", path,
                 CERTIFICATE_SIZE_MAX);
    return is_good ? 0 : -1;
}

/* The place of an address that the configuration has a file for; two endpoints may name
 * it. NULL with a reason. */
static struct certificate *place_for(struct certificates *certificates,
                                     enum scheme_certificate whose, const char *url,
                                     const char *path, char *error, size_t error_size)
{
    if (!certificate_url_fits(whose, url)) {
        snprintf(error, error_size,
                 "the certificate %s is for %s, which is no address of the provider",
                 path, url);
        return NULL;
    }
    struct certificate *c = find(certificates, url);
    if (!c)
        c = add(certificates, whose, url);
    if (!c)
        snprintf(error, error_size, "there are more than %d certificates",
                 CERTIFICATES_MAX);
    return c;
}

/* It is taken as it is: whose it is, the operator has said. */
static int load(struct certificate *c, const struct buf *text, const char *path,
                char *error, size_t error_size)
{
    struct crypto_trust trust = {.now_us = loop_wall_us(c->owner->loop)};
    char why[160];
    c->is_loaded = true;
    buf_clear(&c->key);
    if (crypto_certificate_key((const char *)text->bytes, text->len, &trust, &c->key,
                               &c->until_us, why, sizeof(why)))
        return 0;
    snprintf(error, error_size, "the certificate %s is not one to verify with: %s", path,
             why);
    return -1;
}

int certificates_load(struct certificates *certificates, enum scheme_certificate whose,
                      const char *url, const char *path, char *error, size_t error_size)
{
    struct buf text = BUF_NULL;
    int result = read_file(path, &text, error, error_size);
    if (result == 0) {
        struct certificate *c =
            place_for(certificates, whose, url, path, error, error_size);
        result = c ? load(c, &text, path, error, error_size) : -1;
    }
    buf_fini(&text);
    return result;
}

/* --- from the provider --- */

static void take(struct certificate *c, const struct http_call *call)
{
    struct crypto_trust trust = {
        .needs_chain = c->whose == CERTIFICATE_PAYPAL,
        .name_suffix = c->whose == CERTIFICATE_PAYPAL ? ".paypal.com" : NULL,
        .now_us = loop_wall_us(c->owner->loop)};
    char why[160] = "";
    size_t n;
    const char *text = http_call_body(call, &n);
    if (http_call_result(call) == HTTP_TOO_LARGE)
        snprintf(why, sizeof(why), "the answer is over %d bytes", CERTIFICATE_SIZE_MAX);
    else if (http_call_result(call) != HTTP_ANSWERED)
        snprintf(why, sizeof(why), "%s", http_call_error(call));
    else if (http_call_status(call) != 200)
        snprintf(why, sizeof(why), "status %u", http_call_status(call));
    else if (crypto_certificate_key(text, n, &trust, &c->key, &c->until_us, why,
                                    sizeof(why)))
        return;
    c->tried_us = loop_steady_us(c->owner->loop);
    log_say(CERTIFICATE_FAILED, "%s: %s", c->url, why);
}

static void on_done(void *user, const struct http_call *call)
{
    struct certificate *c = user;
    c->is_fetched_now = false;
    buf_clear(&c->key);
    take(c, call);
    wake(c);
}

static void start(struct certificate *c)
{
    struct certificates *certificates = c->owner;
    const struct http_client_options options = {.connections_max =
                                                    CERTIFICATE_FETCHES_MAX};
    const struct http_call_options call = {.method = "GET",
                                           .url = c->url,
                                           .timeout_us = CERTIFICATE_TIMEOUT_US,
                                           .answer_max = CERTIFICATE_SIZE_MAX,
                                           .on_done = on_done,
                                           .user = c};
    if (!certificates->client)
        certificates->client = http_client_new(certificates->loop, &options);
    c->is_fetched_now = true;
    certificates->n_begun++;
    http_client_call(certificates->client, &call);
}

/* May one more be begun now? Requests that anybody may send lead to these. */
static bool has_room(struct certificates *certificates)
{
    uint64_t now_us = loop_steady_us(certificates->loop);
    unsigned running = 0;
    for (size_t i = 0; i < certificates->n; i++)
        running += certificates->all[i]->is_fetched_now;
    if (now_us - certificates->hour_us > HOUR_US) {
        certificates->hour_us = now_us;
        certificates->n_begun = 0;
    }
    return running < CERTIFICATE_FETCHES_MAX &&
           certificates->n_begun < CERTIFICATE_FETCHES_HOUR;
}

static bool failed_just_now(const struct certificate *c)
{
    return c->tried_us &&
           loop_steady_us(c->owner->loop) - c->tried_us < CERTIFICATE_RETRY_US;
}

bool certificates_fetch(struct certificates *certificates, enum scheme_certificate whose,
                        const char *url, certificate_fn fn, void *user)
{
    struct certificate *c = find(certificates, url);
    if (!certificate_url_fits(whose, url) ||
        (c && (c->is_loaded || failed_just_now(c))) ||
        (!(c && c->is_fetched_now) && !has_room(certificates)))
        return false;
    if (!c)
        c = add(certificates, whose, url);
    if (!c || c->n_waiters == CERTIFICATE_WAITERS_MAX)
        return false;
    c->waiters[c->n_waiters++] = (struct waiter){fn, user};
    if (!c->is_fetched_now)
        start(c);
    return true;
}
