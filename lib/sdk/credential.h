/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* credential - what an access token of OAuth 2 is asked for with */
#pragma once
#include <stdbool.h>

/* Owned texts. */
struct credential {
    char *token_url; /* NULL: none is needed */
    char *id, *secret, *scope /* may be NULL */;
    bool is_in_body; /* id and secret are sent in the body (client_secret_post), and not
                        in the header (client_secret_basic) */
};
/* Wipes. */
void credential_fini(struct credential *credential);
