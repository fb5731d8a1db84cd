/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/state.h"
#include "scene.h"

/* A core as far as keys.c looks at it. */
static bool nobody_knows(void *user, const uint8_t key[16], struct core_key *ret)
{
    (void)user;
    (void)key;
    (void)ret;
    return false;
}
static const struct core_ops ops = {.find_key = nobody_knows};

static void name_key(uint64_t number, uint8_t ret_key[16])
{
    memset(ret_key, 0, 16);
    number *= 0x9e3779b97f4a7c15u;
    memcpy(ret_key, &number, sizeof(number));
}

static void put(struct core *core, uint64_t number, uint64_t block)
{
    struct core_key value = {
        .body_hash = number, .expires_us = UINT64_MAX, .position = {.block = block}};
    uint8_t key[16];

    name_key(number, key);
    key_put(core, key, &value);
}

static bool has(struct core *core, uint64_t number)
{
    struct core_key value;
    uint8_t key[16];

    name_key(number, key);
    return key_value(core, key, &value) && value.body_hash == number;
}

static void a_peak_is_forgotten_with_its_memory(void **state)
{
    struct core *core = core_new(&ops, NULL, (const uint8_t[16]){1});

    (void)state;
    for (uint64_t i = 0; i < 300000; i++)
        put(core, i, 1 + i / 1000);
    put(core, 300000, 0); /* staged: in no block yet */
    assert_int_equal(core->n_keys, 300001);
    core_views(core, 200);
    assert_int_equal(core->n_keys, 100001);
    assert_true(has(core, 299999) && has(core, 300000) && !has(core, 0));
    core_views(core, 300);
    assert_int_equal(core->n_keys, 1);
    assert_true(core->cap_keys <= 4096);
    assert_true(has(core, 300000));
    core_free(core);
}

static void a_key_that_ended_may_be_used_again(void **state)
{
    struct core *core = core_new(&ops, NULL, (const uint8_t[16]){1});
    struct core_key value = {.expires_us = 1000, .position = {.block = 1}};
    uint8_t key[16] = {7};

    (void)state;
    key_put(core, key, &value);
    core_time(core, 999, 1);
    assert_true(key_value(core, key, &value));
    core_time(core, 1000, 2);
    assert_false(key_value(core, key, &value));
    core_free(core);
}

static void taken_back_ones_leave_their_neighbours_findable(void **state)
{
    struct core *core = core_new(&ops, NULL, (const uint8_t[16]){1});
    uint8_t key[16];

    (void)state;
    for (uint64_t i = 0; i < 500; i++)
        put(core, i, 1);
    for (uint64_t i = 0; i < 500; i += 2) {
        name_key(i, key);
        key_drop(core, key);
    }
    for (uint64_t i = 0; i < 500; i++)
        assert_int_equal(has(core, i), i % 2);
    core_free(core);
}

/* While the views are far behind, what has a key is refused and the rest is taken. */
static void views_far_behind_close_keyed_intake_only(void **state)
{
    static const struct core_integration plain = {.attempts = 3,
                                                  .deadline_us = 3600000000};
    struct scene scene;

    (void)state;
    scene_open(&scene, &plain, NULL);
    for (uint64_t i = 0; i < CORE_KEYS_MAX; i++)
        put(scene.world.core, i, 1000);
    struct control_idempotency control = {.body_hash = 1, .expires_us = UINT64_MAX};
    struct record_parts key = {.kind = RECORD_IDEMPOTENCY,
                               .id = (const uint8_t[16]){1},
                               .data = &control,
                               .data_len = sizeof(control)},
                        event = {.kind = RECORD_FACT,
                                 .id = (const uint8_t[16]){2},
                                 .type = "order.created"};
    struct buf records = BUF_NULL, frame = BUF_NULL, answer;
    record_add(&records, &key);
    record_add(&records, &event);
    frame_publish(&frame, 77, false, &records, 1);
    world_send(&scene.world, SCENE_APP, 0, &frame);
    assert_true(world_take(&scene.world, SCENE_APP, &answer));
    assert_int_equal(world_message(&answer)->type, MSG_REFUSED);
    buf_fini(&answer);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 1);
    core_views(scene.world.core, 1000);
    world_send(&scene.world, SCENE_APP, 0, &frame);
    world_settle(&scene.world);
    assert_true(world_take(&scene.world, SCENE_APP, &answer));
    assert_int_equal(world_message(&answer)->type, MSG_PUBLISHED);
    buf_fini(&answer);
    buf_fini(&records);
    buf_fini(&frame);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peak_is_forgotten_with_its_memory),
        cmocka_unit_test(a_key_that_ended_may_be_used_again),
        cmocka_unit_test(taken_back_ones_leave_their_neighbours_findable),
        cmocka_unit_test(views_far_behind_close_keyed_intake_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
