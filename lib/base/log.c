/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"

static const struct {
    const char *name;
    enum log_level level;
    const char *meaning;
} messages[] = {
#define LOG(id, level, meaning) { #id, LOG_LEVEL_##level, meaning },
#include "lib/base/log.def"
#undef LOG
};

static const char *const levels[] = { "debug", "info", "warn", "error" };
static const char *program = "signalbox";
static bool as_json;
static enum log_level least = LOG_LEVEL_INFO;

void log_open(const char *name)
{
    const char *form = getenv("SIGNALBOX_LOG");
    const char *level = getenv("SIGNALBOX_LOG_LEVEL");

    program = name;
    as_json = form && strcmp(form, "json") == 0;
    for (int i = 0; level && i < 4; i++)
        if (strcmp(level, levels[i]) == 0)
            least = (enum log_level)i;
}

void log_form(const char *form)
{
    if (form && !getenv("SIGNALBOX_LOG"))
        as_json = strcmp(form, "json") == 0;
}

static void add_json(struct buf *line, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_format(line, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            buf_format(line, "\\u%04x", (unsigned)*c);
        else
            buf_add(line, c, 1);
    }
}

void log_write(enum log_id id, const char *format, ...)
{
    struct buf line = BUF_NULL;
    char text[2048], time[TEXT_TIME_SIZE];
    va_list args;

    if (messages[id].level < least)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    text_time(clock_wall_us(), time);
    if (as_json) {
        buf_format(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"id\":\"%s\",\"text\":\"",
                   time, levels[messages[id].level], program, messages[id].name);
        add_json(&line, text);
        buf_text(&line, "\"}\n");
    } else {
        for (char *c = text; *c; c++)
            if ((unsigned char)*c < 0x20)
                *c = ' ';
        buf_format(&line, "%s %-5s %s %s %s\n", time, levels[messages[id].level], program,
                   messages[id].name, text);
    }
    ssize_t written = write(STDERR_FILENO, line.bytes, line.len);
    (void)written; /* nobody is left to tell */
    buf_fini(&line);
}

const char *log_name(enum log_id id)
{
    return messages[id].name;
}

const char *log_meaning(enum log_id id)
{
    return messages[id].meaning;
}
