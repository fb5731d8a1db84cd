/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* standard - webhooks signed as Standard Webhooks says (specification, "Signature
 * scheme"): "v1," and base64 of HMAC-SHA256 over "ID.TIME.BODY" */
#pragma once

struct provider_headers;
struct provider_signing;

/* What the three headers are called: webhook-signature, ... or svix-signature, ... */
struct standard_names {
    const char *signature, *id, *time;
};
extern const struct standard_names standard_names;

/* Add the headers. The key is what the secret is in base64 behind whsec_; a secret that
 * is no base64 makes a signature that is refused. */
void standard_sign(const struct provider_signing *signing,
                   const struct standard_names *names, struct provider_headers *ret);
