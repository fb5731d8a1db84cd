/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/up/change.h"

#define BIT(role) (1u << ROLE_##role)

static void a_difference_starts_those_anew_whom_it_concerns(void **state)
{
    /* of the connector of integration `stripe` */
    static const struct {
        const char *diff;
        unsigned roles;
    } cases[] = {
        {"", 0},
        {"gateway.max_body: 1 -> 2\n", BIT(GATEWAY)},
        {"log.retain_age: 1d -> 2d\n", BIT(LOGGER) | BIT(BROKER)},
        {"groups.billing: added\n", BIT(BROKER)},
        {"integrations.stripe.limits.rate: 1/s -> 2/s\n",
         BIT(BROKER) | BIT(GATEWAY) | BIT(CONNECTOR)},
        {"integrations.other.limits.rate: 1/s -> 2/s\n", BIT(BROKER) | BIT(GATEWAY)},
        {"integrations.stripe.options.model: a -> b\n", BIT(GATEWAY) | BIT(CONNECTOR)},
        {"integrations.stripe: added\n", BIT(BROKER) | BIT(GATEWAY)},
        {"integrations.stripe.owner: a -> b\n", BIT(GATEWAY)},
        {"bus.peers.far.observe: true -> false\n", 0},
        {"bus.listen: a -> b\n", BIT(BROKER)},
        {"gateway.max_body: 1 -> 2\nlog.retain_age: 1d -> 2d\n",
         BIT(GATEWAY) | BIT(LOGGER) | BIT(BROKER)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        for (enum role role = 0; role < ROLE_COUNT; role++)
            if (change_concerns(cases[i].diff, role, "stripe") !=
                (bool)(cases[i].roles & 1u << role))
                fail_msg("%s: role %d", cases[i].diff, (int)role);
}

static void peers_are_seen_in_any_line(void **state)
{
    (void)state;
    assert_true(change_has_peers("bus.peers.far: added\n"));
    assert_true(change_has_peers("log.retain_age: 1d -> 2d\nbus.peers.far: added\n"));
    assert_false(change_has_peers("bus.listen: a -> bus.peers.x\n"));
    assert_false(change_has_peers(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_difference_starts_those_anew_whom_it_concerns),
        cmocka_unit_test(peers_are_seen_in_any_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
