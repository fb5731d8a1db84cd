/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* input - what a request's data must be, whichever operation it is of
 *
 * Each is true when it is right; else the outcome has failed and says what was expected.
 */
#ifndef PAYMENT_INPUT_H
#define PAYMENT_INPUT_H
#include <stdbool.h>

#include <signalbox/connector.h>

/* An object with members of these names only, `metadata` among them a plain one. */
bool members_ok(const struct sb_json *data, const char *const *names,
                struct sb_outcome *outcome);
/* Members that are absent or texts that are not empty. */
bool texts_ok(const struct sb_json *data, const char *const *names,
              struct sb_outcome *outcome);
/* `amount` is a whole number above 0. */
bool amount_ok(const struct sb_json *data, struct sb_outcome *outcome);
/* `currency` is three letters; they are written in lower case. */
bool currency_ok(const struct sb_json *data, char ret_currency[4],
                 struct sb_outcome *outcome);
/* The member is there, and an address of the web that a browser can be sent to. */
bool url_ok(const struct sb_json *data, const char *name, struct sb_outcome *outcome);
#endif
