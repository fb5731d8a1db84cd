/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tested - somebody has tried an integration out, and says what came of it
 *
 * It is a fact of the broker's own, so that no publisher can forge it; who reported it is
 * in it.  What is counted is counted here. */
#include "proto/tested.h"

#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

/* A text of at most TESTED_TEXT_MAX bytes, cut between characters. */
static void set_cut(struct json *o, const char *name, const char *text)
{
    size_t n = strlen(text);

    if (n > TESTED_TEXT_MAX)
        for (n = TESTED_TEXT_MAX; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    js_set(o, name, js_from_text(text, n));
}

static struct json *case_json(const struct json *given)
{
    struct json *o = js_object();

    set_cut(o, "name", js_text(given, "name", ""));
    set_cut(o, "what", js_text(given, "what", ""));
    js_set_bool(o, "passed", js_bool(given, "passed", false));
    set_cut(o, "said", js_text(given, "said", ""));
    return o;
}

static struct json *report(const struct act *act, const struct group *group)
{
    const struct json *given = js_get(act->args, "cases");
    struct json *o = js_set_text(js_object(), "integration", group->name),
                *cases = js_array();
    int64_t passed = 0;

    set_cut(o, "stamp", js_text(act->args, "stamp", ""));
    for (size_t i = 0; i < js_count(given); i++) {
        passed += js_bool(js_at(given, i), "passed", false);
        js_push(cases, case_json(js_at(given, i)));
    }
    js_set_int(o, "passed", passed);
    js_set_int(o, "failed", (int64_t)js_count(given) - passed);
    return js_set_text(js_set(o, "cases", cases), "actor", act->actor);
}

static bool is_whole(const struct json *given)
{
    for (size_t i = 0; i < js_count(given); i++)
        if (!*js_text(js_at(given, i), "name", "") ||
            !js_is_bool(js_get(js_at(given, i), "passed")))
            return false;
    return js_is_array(given) && js_count(given) > 0;
}

static void stage(struct core *core, struct act *act, const struct group *group)
{
    struct json *data = report(act, group);
    struct buf text = BUF_NULL;

    js_write(data, 0, &text);
    if (text.len > RECORD_DATA_MAX)
        act_refuse(act, "the report is larger than an event may be (1 MiB)");
    else {
        act_stage(core, act, TESTED_TYPE, group->hash, NULL, data);
        act->body = js_set_text(js_object(), "integration", group->name);
        js_set_int(act->body, "passed", js_int(data, "passed", 0));
        js_set_int(act->body, "failed", js_int(data, "failed", 0));
    }
    buf_fini(&text);
    js_free(data);
}

void tested(struct core *core, struct act *act)
{
    const char *name = js_text(act->args, "integration", "");
    const struct json *cases = js_get(act->args, "cases");
    const struct group *group = group_find(core, integration_hash(name));

    if (!group || !group->is_handler || !group->is_configured)
        act_refuse(act, "there is no integration `%.64s`", name);
    else if (!is_whole(cases))
        act_refuse(act, "`cases` is a list of {name, what, passed, said}, one at least");
    else if (js_count(cases) > TESTED_CASES_MAX)
        act_refuse(act, "a report has at most %d cases", TESTED_CASES_MAX);
    else
        stage(core, act, group);
}
