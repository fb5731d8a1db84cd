/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* redrive - POST /v1/redrive: what failed is tried again, once
 *
 * As `signalbox redrive` does: what failed is looked up in the log here, whether it may
 * be tried again the broker decides, and each event is answered for itself. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct http_request;
struct redrives;

enum {
    REDRIVE_LIMIT = 1000, /* events of one request, unless it says `limit` */
    REDRIVE_LIMIT_MAX =
        10000, /* what `limit` may say; the answer says if there are more */
};

struct redrives *redrives_new(struct gateway *gateway);
void redrives_free(struct redrives *redrives);
/* From the bus: the answer to an ADMIN. False when it is not one of ours. */
bool redrives_answer(struct redrives *redrives, uint64_t ref, bool ok, const char *json);

/* Body: {"ids": [...]}, or a filter of type, service, integration, key, class, since,
 * until, limit; beside either `dry_run`, `again`.  200 {items: [{id, type, ok, redrive,
 * key, why}], redriven, refused, more}. */
void redrive_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params);
