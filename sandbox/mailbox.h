/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mailbox - what becomes of a mail, by its recipient: the practice mail providers agree
 * on it
 *
 * The address's part before the @ (and before a +) decides: `bounce` or `bounced`
 * bounces, `deferred` is delayed and then delivered, `complaint` or `complained` is
 * delivered and complained about, `dropped` is not tried, `opened` and `clicked` are
 * delivered and then that, `invalid` is refused at once.  All others are delivered. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum mailbox_event {
    MAILBOX_DELIVERED,
    MAILBOX_DEFERRED,
    MAILBOX_BOUNCED,
    MAILBOX_COMPLAINED,
    MAILBOX_DROPPED,
    MAILBOX_OPENED,
    MAILBOX_CLICKED,
};
enum { MAILBOX_EVENTS_MAX = 2 };

/* What happens in its order; the number of events. `address` may have a name before it.
 */
size_t mailbox_events(const char *address, enum mailbox_event ret[MAILBOX_EVENTS_MAX]);
bool mailbox_is_invalid(const char *address);
/* A sender whose domain nobody verified: unverified.example. */
bool mailbox_is_unverified(const char *sender);
