/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* line - members of an event as JSON, for whoever is told of it */
#pragma once
#include "proto/attrs.h"

struct json;
struct record;
struct sb_event;

/* Set `data`: JSON as JSON, text as text; all else as `data_base64`. */
void line_put_data(struct json *object, const struct sb_event *event);
/* Set an attribute under its own name, where the record has it. */
void line_put_attr(struct json *object, const struct record *r, enum attr attr);
