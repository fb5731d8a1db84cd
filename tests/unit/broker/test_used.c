/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which version of a secret was used last: said by who used it, kept by the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/used.h"
#include "scene.h"

#define SECOND UINT64_C(1000000)
static const struct core_integration plain = {.attempts = 3};

/* Ask, commit, and take the answer; true when it says ok. */
static bool say_used(struct scene *scene, uint64_t peer, const char *args)
{
    struct buf map = BUF_NULL, frame = BUF_NULL;
    struct attr_value ok = {0};
    bool is_answered = false;

    attrs_begin(&map);
    attrs_named_text(&map, "command", "secret");
    attrs_named_text(&map, "args", args);
    message_begin(&frame, MSG_ADMIN, 1);
    buf_add(&frame, map.bytes, map.len);
    message_end(&frame);
    world_send(&scene->world, peer, 0, &frame);
    world_settle(&scene->world);
    buf_fini(&map);
    buf_fini(&frame);
    while (!is_answered && world_take(&scene->world, peer, &frame)) {
        const struct message *m = world_message(&frame);
        is_answered = m->type == MSG_ANSWER;
        if (is_answered)
            assert_true(attrs_find_named(message_body(m), m->body_len, "ok", &ok));
        buf_fini(&frame);
    }
    assert_true(is_answered);
    return ok.number;
}

static bool matched(struct scene *scene, const char *secret, int version)
{
    _free_ char *args =
        mem_format("{\"integration\":\"stripe\",\"use\":\"webhook.stripe\","
                   "\"secret\":\"%s\",\"version\":%d}",
                   secret, version);

    return say_used(scene, SCENE_GATEWAY, args);
}

/* In steps, so that nobody is taken for dead. */
static void pass(struct scene *scene, unsigned steps)
{
    while (steps--)
        scene_advance(scene, 10 * SECOND);
}

static size_t notes(const struct scene *scene)
{
    return scene_count(scene, RECORD_NOTE, CLASS_none, USED_TYPE);
}

static void it_is_recorded_once_a_minute_for_each_version(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    for (int i = 0; i < 3; i++) {
        assert_true(matched(&scene, "vault:hook", 1));
        pass(&scene, 1);
    }
    assert_int_equal(notes(&scene), 1);
    int64_t first = scene_int(&scene, "secrets.0.last_us");
    assert_true(matched(&scene, "vault:hook", 2));
    assert_int_equal(notes(&scene), 2);
    pass(&scene, 6);
    assert_true(matched(&scene, "vault:hook", 1));
    assert_int_equal(notes(&scene), 3);
    assert_int_equal(scene_int(&scene, "secrets.0.first_us"), first);
    assert_true(scene_int(&scene, "secrets.0.last_us") >= first + (int64_t)(60 * SECOND));
    assert_int_equal(scene_int(&scene, "secrets.1.version"), 2);
    scene_close(&scene);
}

static void a_restart_and_a_checkpoint_keep_it(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    matched(&scene, "vault:hook", 1);
    pass(&scene, 9);
    matched(&scene, "vault:hook", 1);
    int64_t first = scene_int(&scene, "secrets.0.first_us"),
            last = scene_int(&scene, "secrets.0.last_us");
    assert_true(last > first);
    for (int i = 0; i < 2; i++) { /* from the log, then from the checkpoint it wrote */
        scene_crash(&scene);
        assert_int_equal(scene_int(&scene, "secrets.0.first_us"), first);
        assert_int_equal(scene_int(&scene, "secrets.0.last_us"), last);
        _free_ char *secret = scene_text(&scene, "secrets.0.secret");
        assert_string_equal(secret, "vault:hook");
    }
    assert_int_equal(scene_int(&scene, "secrets.1.last_us"), -1);
    scene_close(&scene);
}

static void the_versions_unused_longest_make_room(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    for (int i = 1; i <= USED_MAX + 2; i++) {
        assert_true(matched(&scene, "vault:hook", i));
        scene_advance(&scene, SECOND);
    }
    for (int i = 0; i < USED_MAX; i++) {
        _free_ char *path = mem_format("secrets.%d.version", i);
        assert_true(scene_int(&scene, path) > 2);
    }
    _free_ char *beyond = mem_format("secrets.%d.version", USED_MAX);
    assert_int_equal(scene_int(&scene, beyond), -1);
    scene_close(&scene);
}

static void it_is_its_own_users_to_say(void **state)
{
    static const char own[] = "{\"integration\":\"stripe\",\"use\":\"api_key\","
                              "\"secret\":\"vault:key\",\"version\":1}";
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    assert_false(say_used(&scene, SCENE_APP, own));
    assert_int_equal(notes(&scene), 0);
    assert_true(say_used(&scene, SCENE_ONE, own));
    assert_int_equal(notes(&scene), 1);
    scene_close(&scene);
}

static void what_is_not_whole_is_refused(void **state)
{
    _free_ char *much = mem_alloc(USED_TEXT_MAX + 2);
    memset(much, 'x', USED_TEXT_MAX + 1);
    _free_ char *large =
        mem_format("{\"integration\":\"stripe\",\"use\":\"a\",\"secret\":\"%s\"}", much);
    const char *const wrong[] = {
        "{}",
        "[]",
        "{\"integration\":\"nobody\",\"use\":\"a\",\"secret\":\"b\"}",
        "{\"integration\":\"stripe\",\"secret\":\"b\"}",
        "{\"integration\":\"stripe\",\"use\":\"a\"}",
        "{\"integration\":\"stripe\",\"use\":\"a\",\"secret\":\"b\",\"version\":-1}",
        large};
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_false(say_used(&scene, SCENE_GATEWAY, wrong[i]));
    assert_int_equal(notes(&scene), 0);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_recorded_once_a_minute_for_each_version),
        cmocka_unit_test(a_restart_and_a_checkpoint_keep_it),
        cmocka_unit_test(the_versions_unused_longest_make_room),
        cmocka_unit_test(it_is_its_own_users_to_say),
        cmocka_unit_test(what_is_not_whole_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
