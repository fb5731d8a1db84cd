/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pem - the certificate and the key of the HTTP side, from files */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { PEM_SIZE_MAX = 64 << 10 }; /* of a file */

struct pem {
    char *certificate, *key; /* texts, to be freed; the key wiped before */
};
/* Read both. Links are followed (certbot makes some); the key's file must give nothing to
 * group and others. They must belong together, and the certificate must be valid now.
 * False with a reason that names the file. */
bool pem_read(const char *certificate_path, const char *key_path, struct pem *ret,
              char *error, size_t error_size);
