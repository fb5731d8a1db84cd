/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* audit - the walk over the whole log, in a child of its own life, so that webhooks do
 * not wait behind it */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct audits;
struct json;
struct loop;

/* The result is borrowed; NULL when the log could not be walked. */
typedef void (*audit_fn)(void *user, const struct json *result);

/* Over the log in this directory; copies the text. */
struct audits *audits_new(struct loop *loop, const char *log_dir);
/* Kills one that runs; its function is called with NULL. */
void audits_free(struct audits *audits);
/* Start one; fn is called once, later. is_background: with the lowest priority; such a
 * one gives way to another, its fn is then called with NULL. False, and fn is not called,
 * when one is running or there is no process to be had. */
bool audit_start(struct audits *audits, bool is_background, audit_fn fn, void *user);
bool audit_is_running(const struct audits *audits);
/* The last good result and when it was there (wall; 0: none was attempted since the
 * start, then NULL); borrowed. tried_us: when the last one began. */
const struct json *audit_last(const struct audits *audits, uint64_t *ret_us,
                              uint64_t *ret_tried_us);
