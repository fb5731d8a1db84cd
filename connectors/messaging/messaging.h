/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* messaging - what the providers' files share, and the tables they bring */
#ifndef MESSAGING_MESSAGING_H
#define MESSAGING_MESSAGING_H
#include <signalbox/connector.h>

extern const struct sb_option slack_options[], twilio_options[];
extern const struct sb_secret slack_secrets[], twilio_secrets[];
extern const struct sb_operation slack_operations[], twilio_operations[];
extern const struct sb_webhook twilio_webhooks[];
extern const struct sb_failure_mode slack_failures[], twilio_failures[];

/* Is the data {to, text} and nothing else, the text not empty and of at most `max`
 * characters?  SB_DONE, or SB_FAILED with the member named. */
enum sb_verdict text_check(const struct sb_event *event, size_t max,
                           struct sb_outcome *outcome);
/* In how many parts a text goes out as SMS: 160 characters of the GSM alphabet in one,
 * else 153 a part; 70 and 67 where a character is not in it (3GPP TS 23.038, 6.2.1;
 * 23.040, 9.2.3.24.1). */
unsigned text_segments(const char *text);
/* The most that any text of so many characters takes. */
unsigned text_segments_max(size_t length);
/* Characters (code points) of a UTF-8 text. */
size_t text_length(const char *text);
#endif
