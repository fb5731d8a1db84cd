/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mail - a request that is a mail: what the connector said of it, and the message that
 * comes of it */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct http_mail;
struct mail_draft;

enum {
    MAIL_ADDRESSES_MAX = 1000, /* of all roles; more: the outcome is Failed */
    MAIL_PARTS_MAX = 100,      /* texts and attachments; more: the outcome is Failed */
};

void mail_draft_free(struct mail_draft *draft);
/* Append the message. `id` names it for good (Message-ID, boundaries), `time_us` is its
 * date: the same two give the same bytes. False, with why, when something is missing. */
bool mail_draft_write(const struct mail_draft *draft, const char *id, uint64_t time_us,
                      struct buf *out, const char **ret_why);
/* Envelope and login; borrowed from the draft. */
void mail_draft_envelope(const struct mail_draft *draft, struct http_mail *ret);
