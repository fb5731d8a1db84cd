/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* place - the stanza in the configuration's file */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct adding;
struct buf;

/* The file's text with the stanza in it, and the file's mode. It was read as a
 * configuration without an error; else false, with what is wrong, and a line's end. */
bool place_stanza(const struct adding *a, struct buf *ret_text, mode_t *ret_mode,
                  struct buf *why);
/* Put the text in the file's place, whole or not at all. False after having said why. */
bool place_replace(const char *path, mode_t mode, const struct buf *text);
