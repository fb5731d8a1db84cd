/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* used - telling the broker which version of a secret was used (proto/used.h) */
#pragma once
#include <stdint.h>

struct peer;

/* When the broker was told last, of one version; zero at the start. */
struct used_mark {
    uint64_t told_us;
};

/* A secret was used for `use` of an integration. `origin` says which one
 * (secrets_origins(); NULL: nobody knows). Asks the broker to record it, unless it was
 * told within USED_EVERY_US or is not there: then a later use is told. The broker may
 * refuse while the log is full; the answer is not waited for. */
void used_tell(struct peer *peer, uint64_t steady_us, struct used_mark *mark,
               const char *integration, const char *use, const char *origin);
