/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* refusal - webhook requests that were not taken, told to the operator
 *
 * Of each endpoint the first REFUSALS_TOLD of a minute are a line and a fact in the log
 * (`signalbox.webhook.refused`, Failed, unverified), without body and without secret, but
 * for those that the sender is told to bring again; the
 * others are counted, and told as one when the minute is over or the process stops: a
 * flood of forgeries does not fill the log.  A process that is killed takes the counts of
 * its minute with it, and of the facts those that were not committed (HOLD_US). */
#pragma once
struct endpoint;
struct gateway;

enum { UNKNOWN_PATH_MAX = 80 };
enum {
    REFUSALS_TOLD = 60,
    UNKNOWN_TOLD = 6,
    REFUSAL_WINDOW_US = 60 * 1000 * 1000,
    REFUSAL_WHY_SIZE = 256
};

/* What kind it is of; each has a bound of its own. */
enum refusal {
    REFUSAL_UNVERIFIED, /* it failed verification */
    REFUSAL_NO_EVENT,   /* it passed, and will never be stored */
    REFUSAL_NOT_NOW,    /* it passed, and is to come again: no fact */
    REFUSAL_KINDS
};

/* Note one that came `from` an address. */
void refusal_note(struct gateway *gateway, struct endpoint *endpoint, const char *from,
                  const char *why, enum refusal kind);
/* Tell now what was only counted, before a stop: it is then on its way into the log
 * (hold_count). The minute goes on. */
void refusal_tell_rest(struct gateway *gateway);
/* Note a request to an address of webhooks that nobody has; `target` as it came. The
 * first UNKNOWN_TOLD of a minute are a line each, in no case a fact: anybody may send
 * them. */
void refusal_unknown(struct gateway *gateway, const char *target, const char *from);
/* No further minute. */
void refusal_close(struct gateway *gateway);
