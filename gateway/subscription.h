/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* subscription - Amazon SNS asks whether a topic may send here
 *
 * The question is an event like any other: verified, committed, the operator's to answer.
 * With `confirm_subscription: true` it is answered here, once it is committed, by opening
 * its address, which must be Amazon's. */
#pragma once
#include <stdbool.h>

struct content;
struct loop;
struct subscriptions;

enum { SUBSCRIPTIONS_MAX = 4 /* opened at one time; further ones are the operator's */ };

struct subscriptions *subscriptions_new(struct loop *loop);
void subscriptions_free(struct subscriptions *subscriptions);
/* The address of a message that asks, a copy to be freed. NULL when it does not ask, or
 * its address is not at Amazon. */
char *subscription_url(const struct content *content);
/* Open it; what comes of it is in the process's log. */
void subscription_confirm(struct subscriptions *subscriptions, const char *endpoint,
                          const char *url);
