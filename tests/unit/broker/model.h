/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* model - delivery as it must be, driven by any sequence of bytes
 *
 * The first byte chooses a configuration, each further pair is an operation on a small
 * world: publish, commit, deliver, settle, lose a session, crash the broker, let time
 * pass.  Afterwards everything is made healthy, and what is in the log must be right:
 * every acknowledged event is there, in the order of its publisher, and settled once;
 * nothing was delivered before its commit, beside another one of its key, without its
 * START or with doubt where there is none; nobody had more than its credit. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct world_fault;

/* NULL when every promise held; else what broke (a static text). `fault`: planted on
 * purpose; NULL: none. */
const char *model_run(const uint8_t *bytes, size_t n, struct world_fault *fault);
