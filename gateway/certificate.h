/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* certificate - the certificates that requests of PayPal and Amazon SNS name by an
 * address
 *
 * An address that is not the provider's is never opened. What the configuration has for
 * an address is taken as it is; any other is fetched once over https, checked, and kept
 * until it ends. PayPal's must come, over the certificates in its file, from a trusted
 * authority and be issued to a name under paypal.com. Amazon serves the leaf alone: that
 * it came from Amazon's host is what TLS proves. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/scheme.h"

struct certificates;
struct loop;

enum {
    CERTIFICATES_MAX = 32,           /* kept; then the oldest fetched goes */
    CERTIFICATE_FETCHES_MAX = 4,     /* at one time; further ones are refused */
    CERTIFICATE_FETCHES_HOUR = 60,   /* begun within an hour; further ones are refused */
    CERTIFICATE_WAITERS_MAX = 64,    /* requests that wait for one; further: refused */
    CERTIFICATE_SIZE_MAX = 64 << 10, /* of a file */
    CERTIFICATE_URL_MAX = 512,
    CERTIFICATE_TIMEOUT_US = 5000000,
    CERTIFICATE_RETRY_US = 30000000, /* after a failure, the address is left alone */
};

struct certificates *certificates_new(struct loop *loop);
void certificates_free(struct certificates *certificates);

/* Is it an https address of this provider's, without a user, and not over-long? */
bool certificate_host_fits(enum scheme_certificate whose, const char *url);
/* And one at which it has its certificates? */
bool certificate_url_fits(enum scheme_certificate whose, const char *url);
/* Read a file for an address. 0, or -1 with a reason. */
int certificates_load(struct certificates *certificates, enum scheme_certificate whose,
                      const char *url, const char *path, char *error, size_t error_size);
/* The public key (DER) at an address; false when it is not here or has ended. */
bool certificates_find(const struct certificates *certificates, const char *url,
                       const void **ret_key, size_t *ret_len);
/* Fetch it. `fn` is called once, later, whether it came or not; false, and nothing is
 * called, when none is fetched: the address does not fit, it failed a moment ago, or too
 * many are on their way. */
typedef void (*certificate_fn)(void *user);
bool certificates_fetch(struct certificates *certificates, enum scheme_certificate whose,
                        const char *url, certificate_fn fn, void *user);
