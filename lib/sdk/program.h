/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* program - a connector that is a program of somebody else's: its manifest becomes the
 * tables, and events and answers become lines of JSON (docs/guide/exec.md is the
 * specification)
 *
 * The tables' functions fill a request with an object instead of an HTTP request; the
 * runtime takes it to a worker. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "include/signalbox/connector.h"

struct buf;
struct integration;
struct program;

enum { PROGRAM_MANIFEST_MAX = 256 << 10 /* bytes */ };

/* From the text of a manifest (as `CONNECTOR --manifest` prints it, fewer members do).
 * NULL, with a line for everything that is wrong in *errors. */
struct program *program_new(const char *text, size_t n, struct buf *errors);
void program_free(struct program *program);
/* Lives as long as the program. */
const struct sb_connector *program_connector(const struct program *program);

/* The functions of every operation and webhook. */
enum sb_verdict program_request(const struct sb_event *event, struct sb_request *request,
                                struct sb_outcome *outcome);
enum sb_verdict program_answer(const struct sb_event *event,
                               const struct sb_answer *answer,
                               struct sb_outcome *outcome);
/* What its workers find on their descriptor: {"name": "value"} of the secrets that the
 * manifest declares. To be wiped and freed. */
char *program_secrets(const struct integration *integration);
