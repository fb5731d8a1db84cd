/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_body - signatures that stand in the body: Amazon SNS and Mailgun
 *
 * These bodies must be parsed before they are verified. The parser is the strict one, of
 * bounded depth, that is fuzzed; of what it gives only texts at fixed paths are looked
 * at, and what SNS signs is built from them as Amazon says (docs.aws.amazon.com/sns:
 * "Verifying the signatures of Amazon SNS messages"). */
#pragma once
#include <stdbool.h>

struct buf;
struct json;
struct scheme;
struct scheme_input;

struct scheme_body {
    struct json *json;
    const char *topic; /* at the row's key_path; NULL when the row has none */
};

/* Parse, and fill the input's signature, time, id, certificate_url and algorithm with the
 * texts at the row's paths; they live as long as `body`. False when the body is not JSON,
 * or lacks what the row wants. Free with scheme_body_fini either way. */
bool scheme_body_read(struct scheme_body *body, const struct scheme *scheme,
                      struct scheme_input *input);
/* Append what SNS signs. False when the message is of no type that is signed, or a field
 * that must be there is none. */
bool scheme_body_fields(const struct scheme_body *body, struct buf *out);
void scheme_body_fini(struct scheme_body *body);
