/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/certificate.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/http/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Asked naively: https, and a host of letters, digits, dots and dashes that ends like
 * this. */
static bool ends_at(const char *url, const char *end)
{
    static const char scheme[] = "https://";
    size_t n = 0, len = strlen(end);
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
        return false;
    url += sizeof(scheme) - 1;
    while ((url[n] >= 'a' && url[n] <= 'z') || (url[n] >= 'A' && url[n] <= 'Z') ||
           (url[n] >= '0' && url[n] <= '9') || url[n] == '.' || url[n] == '-')
        n++;
    return url[n] == '/' && n > len && strncmp(url + n - len, end, len) == 0;
}

/* Input: an address, and a certificate: the whole bytes as either. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = mem_copy(data, n);
    const struct crypto_trust trust = {.now_us = UINT64_C(1800000000000000),
                                       .name_suffix = ".paypal.com"};
    struct buf key = {0};
    uint64_t until_us = 0;
    char error[160];
    if (certificate_url_fits(CERTIFICATE_PAYPAL, text))
        assert(ends_at(text, ".paypal.com"));
    if (certificate_host_fits(CERTIFICATE_SNS, text))
        assert(ends_at(text, ".amazonaws.com") || ends_at(text, ".amazonaws.com.cn"));
    if (crypto_certificate_key(text, n, &trust, &key, &until_us, error, sizeof(error)))
        assert(key.len > 0 && until_us > trust.now_us);
    buf_fini(&key);
    free(text);
    return 0;
}
