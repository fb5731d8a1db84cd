/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* log - what a program tells its operator, on stderr
 *
 * A message has a stable id (log.def says what it means and what to do), a level and a text of
 * fields.  Libraries return, programs log: no error is logged twice.  Nothing secret is ever a field.
 * One line each: `TIME LEVEL PROGRAM ID text`, or one JSON object when the configuration or SIGNALBOX_LOG says json. */
#pragma once

enum log_id {
#define LOG(id, level, meaning) LOG_##id,
#include "lib/base/log.def"
#undef LOG
    LOG_COUNT
};

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* Name the program in every line; call once at start. `name` is kept, not copied. */
void log_open(const char *name);
/* Lines for people ("text") or one JSON object a line ("json"); SIGNALBOX_LOG, where it is set, counts instead. NULL: as it is. */
void log_form(const char *form);
/* Write one line. Use log_say(). */
void log_write(enum log_id id, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The stable name of an id, its level and its sentence (for the manual). */
const char *log_name(enum log_id id);
const char *log_meaning(enum log_id id);

#define log_say(id, ...) log_write(LOG_##id, __VA_ARGS__)
