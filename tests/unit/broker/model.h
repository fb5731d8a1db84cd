/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* model - delivery as it must be, driven by any sequence of bytes
 *
 * Each byte is an operation on a small world: publish, commit, deliver, settle, lose a
 * session, crash the broker, let time pass.  Afterwards everything is made healthy, and
 * what is in the log must be right: every acknowledged request exactly one outcome,
 * nothing delivered or answered before its commit, nothing held by two. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* NULL when every promise held; else what broke (a static text). */
const char *model_run(const uint8_t *bytes, size_t n);
