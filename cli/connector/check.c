/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/connector/result.h"
#include "cli/connector/service.h"
#include "cli/connector/stand.h"
#include "cli/connector/subject.h"
#include "cli/interrupt.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

static enum scenario_result say(struct check *check, enum scenario_result result,
                                const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static enum scenario_result say(struct check *check, enum scenario_result result,
                                const char *format, va_list args)
{
    vsnprintf(check->why, sizeof(check->why), format, args);
    return result;
}

enum scenario_result check_broken(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    enum scenario_result result = say(check, SCENARIO_BROKEN, format, args);
    va_end(args);
    return result;
}

enum scenario_result check_skipped(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    enum scenario_result result = say(check, SCENARIO_SKIPPED, format, args);
    va_end(args);
    return result;
}

const char *check_operation(const struct check *check)
{
    return js_text(check->operation, "name", "");
}

const char *check_repeat(const struct check *check)
{
    return js_text(check->operation, "repeat", "never");
}

bool check_is_repeat(const struct check *check, const char *what)
{
    return strcmp(check_repeat(check), what) == 0;
}

char *check_type(const struct check *check, const char *end)
{
    return mem_format("%s.%s.%s", js_text(check->stand->manifest, "name", ""),
                      check_operation(check), end);
}

char *check_example(const struct check *check, const char *member)
{
    const struct json *example = js_get(check->operation, member);
    struct buf text = BUF_NULL;

    if (!example)
        return NULL;
    js_write(example, 0, &text);
    return (char *)text.bytes;
}

bool check_is_over(const struct check *check)
{
    return interrupt_came() || (check->subject && !subject_is_running(check->subject));
}

/* A result above `before`, unless the connector ends meanwhile. */
static bool wait_result(struct check *check, unsigned before, uint64_t timeout_us)
{
    struct stand *stand = check->stand;
    uint64_t end_us = loop_steady_us(stand->loop) + timeout_us;

    while (!stand_wait(stand, &stand->results, before, 100000))
        if (check_is_over(check) || loop_steady_us(stand->loop) > end_us)
            return false;
    return true;
}

bool check_ask(struct check *check, const struct stand_event *event, uint64_t timeout_us,
               struct result *ret)
{
    struct stand *stand = check->stand;
    unsigned before = stand->results;
    struct position place = stand_deliver(stand, event);

    if (check->service)
        id_format(stand_event_id(stand), check->service->key);
    if (!wait_result(check, before, timeout_us)) {
        if (check_is_over(check))
            snprintf(check->why, sizeof(check->why), "it ended before it answered");
        else
            snprintf(check->why, sizeof(check->why), "no result within %d s%s%s",
                     (int)(timeout_us / 1000000), *stand->problem ? "; " : "",
                     stand->problem);
        return false;
    }
    return result_read(&stand->result, place, stand_event_id(stand), ret, check->why,
                       sizeof(check->why));
}

bool check_ask_example(struct check *check, struct stand_event event, uint64_t timeout_us,
                       struct result *ret)
{
    _free_ char *type = check_type(check, "requested"),
                *data = check_example(check, "example");

    event.type = type;
    event.data = event.data ? event.data : data;
    event.data_len = strlen(event.data);
    return check_ask(check, &event, timeout_us, ret);
}

void check_answer(struct check *check, struct service_answer answer)
{
    if (check->service)
        check->service->answer = answer;
}

unsigned check_calls(const struct check *check)
{
    return check->service ? check->service->requests : 0;
}

enum scenario_result check_failure(struct check *check, const struct result *r, int class)
{
    if (r->is_retry || r->is_success)
        return check_broken(check, "expected a Failed outcome; it %s",
                            r->is_retry ? "gave the event back" : "says Success");
    if (!*r->message)
        return check_broken(check, "its Failed outcome has no error_msg");
    if (class >= 0 && r->class != (enum record_class) class)
        return check_broken(check, "expected Failed/%s; it says Failed/%s: %s",
                            class_name((unsigned)class), class_name(r->class),
                            r->message);
    if (!r->class)
        return check_broken(check, "its Failed outcome has no class");
    return SCENARIO_HELD;
}

enum scenario_result check_outcome_type(struct check *check, const struct result *r,
                                        const char *end)
{
    _free_ char *expected = check_type(check, end);

    return strcmp(r->type, expected) == 0
               ? SCENARIO_HELD
               : check_broken(check, "its outcome's type is %s; expected %s", r->type,
                              expected);
}

bool check_has_lookup(const struct check *check)
{
    return js_bool(check->operation, "lookup", false);
}
