/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "lib/http/address.h"

static enum address_class classify(const char *ip)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
        return address_classify((const struct sockaddr *)&in);
    assert_int_equal(inet_pton(AF_INET6, ip, &in6.sin6_addr), 1);
    return address_classify((const struct sockaddr *)&in6);
}

static void expect(const char *const *ips, enum address_class class)
{
    for (; *ips; ips++)
        if (classify(*ips) != class)
            fail_msg("%s is class %d, not %d", *ips, classify(*ips), class);
}

static void addresses_on_the_internet_may_be_called(void **state)
{
    (void)state;
    static const char *const ips[] = {"1.1.1.1",
                                      "9.255.255.255",
                                      "11.0.0.0",
                                      "100.63.255.255",
                                      "100.128.0.0",
                                      "126.255.255.255",
                                      "128.0.0.0",
                                      "169.253.255.255",
                                      "169.255.0.0",
                                      "172.15.255.255",
                                      "172.32.0.0",
                                      "192.167.255.255",
                                      "192.169.0.0",
                                      "198.17.255.255",
                                      "198.20.0.0",
                                      "223.255.255.255",
                                      "2606:4700::1111",
                                      "2a00::1",
                                      "2001:4860::8888",
                                      "64:ff9b::1.1.1.1",
                                      "::ffff:1.1.1.1",
                                      "2002:0101:0101::1",
                                      NULL};

    expect(ips, ADDRESS_PUBLIC);
}

static void private_ones_need_the_switch_however_they_are_wrapped(void **state)
{
    (void)state;
    static const char *const ips[] = {"10.0.0.0",
                                      "10.255.255.255",
                                      "100.64.0.1",
                                      "100.127.255.255",
                                      "127.0.0.1",
                                      "127.255.255.255",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.168.0.1",
                                      "192.168.255.255",
                                      "198.18.0.1",
                                      "198.19.255.255",
                                      "::1",
                                      "fc00::1",
                                      "fdff:ffff::1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:10.1.2.3",
                                      "64:ff9b::127.0.0.1",
                                      "64:ff9b::c0a8:1",
                                      "2002:7f00:0001::1",
                                      "2002:0a00:0001::1",
                                      "::ffff:0:127.0.0.1",
                                      NULL};

    expect(ips, ADDRESS_PRIVATE);
}

static void some_are_never_called(void **state)
{
    (void)state;
    static const char *const ips[] = {"0.0.0.0",
                                      "0.1.2.3",
                                      "169.254.169.254",
                                      "169.254.0.1",
                                      "168.63.129.16",
                                      "100.100.100.200",
                                      "fd00:ec2::254",
                                      "fd20:ce::254",
                                      "::ffff:100.100.100.200",
                                      "192.0.0.1",
                                      "192.0.2.1",
                                      "192.88.99.1",
                                      "198.51.100.1",
                                      "203.0.113.1",
                                      "224.0.0.1",
                                      "239.255.255.255",
                                      "240.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::127.0.0.1",
                                      "::2",
                                      "fe80::1",
                                      "febf::1",
                                      "fec0::1",
                                      "ff02::1",
                                      "100::1",
                                      "2001::1",
                                      "2001:db8::1",
                                      "2001:10::1",
                                      "::ffff:169.254.169.254",
                                      "::ffff:0.0.0.0",
                                      "64:ff9b::169.254.169.254",
                                      "64:ff9b:1::1",
                                      "2002:a9fe:a9fe::1",
                                      "4000::1",
                                      "1::1",
                                      NULL};

    expect(ips, ADDRESS_NEVER);
}

static void what_is_not_ip_is_never_called(void **state)
{
    (void)state;
    const struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"};

    assert_int_equal(address_classify((const struct sockaddr *)&un), ADDRESS_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_on_the_internet_may_be_called),
        cmocka_unit_test(private_ones_need_the_switch_however_they_are_wrapped),
        cmocka_unit_test(some_are_never_called),
        cmocka_unit_test(what_is_not_ip_is_never_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
