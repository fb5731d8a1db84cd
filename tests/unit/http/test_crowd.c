/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "lib/http/crowd.h"

static unsigned slot_of(const struct crowd *crowd, const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return crowd_slot(crowd, (const struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return crowd_slot(crowd, (const struct sockaddr *)&in6);
}

static void an_address_has_its_limit_and_others_theirs(void **state)
{
    (void)state;
    struct crowd crowd;
    crowd_init(&crowd);
    unsigned one = slot_of(&crowd, "192.0.2.1");
    for (unsigned i = 0; i < 3; i++) {
        assert_true(crowd_has_room(&crowd, one, 3));
        crowd_enter(&crowd, one);
    }
    assert_false(crowd_has_room(&crowd, one, 3));
    unsigned others = 0;
    for (int i = 0; i < 100; i++) {
        char text[32] = "198.51.100.";
        text[strlen(text)] = (char)('0' + i / 10);
        text[strlen(text)] = (char)('0' + i % 10);
        if (i >= 10)
            others += crowd_has_room(&crowd, slot_of(&crowd, text), 3);
    }
    assert_true(others >= 80); /* one in 8192 shares the slot */
    crowd_leave(&crowd, one);
    assert_true(crowd_has_room(&crowd, one, 3));
}

static void who_has_a_network_of_ipv6_has_one_limit(void **state)
{
    (void)state;
    struct crowd crowd;
    crowd_init(&crowd);
    assert_int_equal(slot_of(&crowd, "2001:db8:1:2::1"),
                     slot_of(&crowd, "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    unsigned same = 0;
    for (uint16_t i = 0; i < 64; i++) {
        char text[40] = "2001:db8:1:00::1";
        text[11] = "0123456789abcdef"[i / 16];
        text[12] = "0123456789abcdef"[i % 16];
        same += slot_of(&crowd, text) == slot_of(&crowd, "2001:db8:1:2::1");
    }
    assert_in_range(same, 1, 4); /* itself, and by chance another */
}

static void loopback_and_what_is_no_address_are_not_counted(void **state)
{
    (void)state;
    struct crowd crowd;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    crowd_init(&crowd);
    assert_int_equal(slot_of(&crowd, "127.0.0.1"), CROWD_SLOTS);
    assert_int_equal(slot_of(&crowd, "127.9.9.9"), CROWD_SLOTS);
    assert_int_equal(slot_of(&crowd, "::1"), CROWD_SLOTS);
    assert_int_equal(crowd_slot(&crowd, (const struct sockaddr *)&un), CROWD_SLOTS);
    crowd_enter(&crowd, CROWD_SLOTS);
    crowd_enter(&crowd, CROWD_SLOTS);
    assert_true(crowd_has_room(&crowd, CROWD_SLOTS, 1));
    crowd_leave(&crowd, CROWD_SLOTS);
}

static void who_shares_a_slot_is_not_to_be_chosen(void **state)
{
    (void)state;
    struct crowd one, other;
    unsigned differ = 0;
    crowd_init(&one);
    crowd_init(&other);
    for (int i = 0; i < 9; i++) {
        char text[16] = "203.0.113.1";
        text[10] = (char)('1' + i);
        differ += slot_of(&one, text) != slot_of(&other, text);
    }
    assert_true(differ > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_limit_and_others_theirs),
        cmocka_unit_test(who_has_a_network_of_ipv6_has_one_limit),
        cmocka_unit_test(loopback_and_what_is_no_address_are_not_counted),
        cmocka_unit_test(who_shares_a_slot_is_not_to_be_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
