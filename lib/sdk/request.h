/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* request - what the parts that put a request together share */
#pragma once
#include <stdbool.h>

struct sb_request;

/* Keep the first mistake: the call ends Failed/permanent with it. */
void request_mistake(struct sb_request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The value of a secret; NULL, with the mistake kept, when it cannot be used. */
const char *request_secret(struct sb_request *request, const char *name);
/* This secret is part of it: of the first CALL_SECRETS_MAX it is known that they were
 * used. The name lives as long as the connector's tables. */
void request_uses(struct sb_request *request, const char *secret);
/* No control character, so no way out of a line? */
bool request_is_printable(const char *text);
