/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stripe - what all calls to Stripe share: headers, errors, amounts; and its webhooks */
#ifndef PAYMENT_STRIPE_H
#define PAYMENT_STRIPE_H
#include <signalbox/connector.h>

/* The API version that is asked for, unless the option api_version names another. */
#define STRIPE_VERSION "2026-10-28.endive"

/* The member of an object's metadata that names the request it was made for. */
#define STRIPE_REFERENCE "signalbox_request"

/* Method, path, credentials and headers. */
void stripe_call(const struct sb_event *event, struct sb_request *request,
                 const char *method, const char *path);
/* What became of an answer that is not 2xx. Puts code, decline_code and the objects named
 * into the outcome's data. */
enum sb_verdict stripe_failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome);
/* Is `currency` three letters? Writes it in lower case. */
bool stripe_currency(const char *currency, char ret_currency[4]);
/* An amount in the currency's smallest unit as millionths of the unit: 1 cent is 10,000,
 * 1 yen 1,000,000. */
int64_t stripe_millionths(const char *currency, int64_t minor_units);
/* Is the value at `path` absent, or an object of plain values as Stripe takes for
 * metadata? */
bool stripe_metadata_ok(const struct sb_json *data, const char *path);

/* The operation `checkout`; stripe_failed is its third branch. */
enum sb_verdict checkout_request(const struct sb_event *event, struct sb_request *request,
                                 struct sb_outcome *outcome);
enum sb_verdict checkout_succeeded(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome);

extern const struct sb_webhook stripe_webhooks[];

/* A page of a hundred events, each with the object it is about. */
enum { EVENTS_ANSWER_MAX = 32 << 20 };
/* The operation `events`, a poll: {cursor}. */
enum sb_verdict events_request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome);
enum sb_verdict events_succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome);
#endif
