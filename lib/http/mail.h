/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mail - one message handed to an SMTP server (RFC 5321), a part of client.c
 *
 * libcurl speaks; here it is listened to, because it does not say what one has to know:
 * which recipients were refused and with what reply, and whether the message's end may
 * have reached the server.  The message counts as handed over from the moment its last
 * byte was given to libcurl: before, a lost connection means that nothing was sent. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

#include "lib/http/client.h"

struct courier;
struct mail;

/* Sets the handle up for options->mail and a copy of options->body; it has the other
 * options already.  `allow_plain`: without TLS where the server offers none. */
struct mail *mail_new(CURL *easy, const struct http_call_options *options,
                      bool allow_plain);
/* Wipes and frees, when nothing is under way. NULL is fine. */
void mail_free(struct mail *mail);
/* Hand it over, in a thread of the courier's, which tells of it by `about`. */
void mail_send(struct mail *mail, struct courier *courier, CURL *easy, void *about);
/* Break it off: the courier tells only that it is over. */
void mail_drop(struct mail *mail);

/* How it ended, given libcurl's view of it. HTTP_ANSWERED: *ret_status is the deciding
 * reply's code. */
enum http_result mail_judge(const struct mail *mail, CURLcode code, unsigned *ret_status);
/* The text of the deciding reply, without its code; "" when there was none. */
const char *mail_reply(const struct mail *mail);
/* The refused recipient number `index` and the reply it got; NULL when there are fewer.
 */
const char *mail_refused(const struct mail *mail, size_t index, unsigned *ret_code,
                         const char **ret_text);
