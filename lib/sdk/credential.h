/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* credential - what an access token of OAuth 2 is asked for with */
#pragma once

/* Owned texts. */
struct credential {
    char *token_url; /* NULL: none is needed */
    char *id, *secret, *scope /* may be NULL */;
};
/* Wipes. */
void credential_fini(struct credential *credential);
