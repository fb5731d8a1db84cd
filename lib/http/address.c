/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Networks that are not public, from the registries of special-purpose addresses (RFC
 * 6890 and its updates). The first row that fits decides. */
static const struct {
    uint32_t network;
    unsigned bits;
    enum address_class class;
} networks4[] = {
    {0x00000000, 8, ADDRESS_NEVER}, /* "this network"; Linux takes 0.0.0.0 as loopback */
    {0x0a000000, 8, ADDRESS_PRIVATE},  /* 10/8 */
    {0x646464c8, 32, ADDRESS_NEVER},   /* 100.100.100.200: Alibaba's metadata service */
    {0x64400000, 10, ADDRESS_PRIVATE}, /* 100.64/10, carriers */
    {0x7f000000, 8, ADDRESS_PRIVATE},  /* 127/8 */
    {0xa83f8110, 32, ADDRESS_NEVER},   /* 168.63.129.16: Azure's, inside every host */
    {0xa9fe0000, 16, ADDRESS_NEVER},   /* 169.254/16: metadata services answer here */
    {0xac100000, 12, ADDRESS_PRIVATE}, /* 172.16/12 */
    {0xc0000000, 24, ADDRESS_NEVER},   /* 192.0.0/24, protocol assignments */
    {0xc0000200, 24, ADDRESS_NEVER},   /* 192.0.2/24, documentation */
    {0xc0586300, 24, ADDRESS_NEVER},   /* 192.88.99/24, 6to4 relays */
    {0xc0a80000, 16, ADDRESS_PRIVATE}, /* 192.168/16 */
    {0xc6120000, 15, ADDRESS_PRIVATE}, /* 198.18/15, benchmarks */
    {0xc6336400, 24, ADDRESS_NEVER},   /* 198.51.100/24, documentation */
    {0xcb007100, 24, ADDRESS_NEVER},   /* 203.0.113/24, documentation */
    {0xe0000000, 4, ADDRESS_NEVER},    /* multicast */
    {0xf0000000, 4, ADDRESS_NEVER},    /* reserved, broadcast */
};

static enum address_class classify4(uint32_t ip)
{
    for (size_t i = 0; i < COUNT(networks4); i++)
        if ((ip ^ networks4[i].network) >> (32 - networks4[i].bits) == 0)
            return networks4[i].class;
    return ADDRESS_PUBLIC;
}

/* IPv6 networks; `inner` is where an IPv4 address stands in it (0: nowhere). */
static const struct {
    uint8_t network[16];
    unsigned bits;
    unsigned inner;
    enum address_class class;
} networks6[] = {
    {{[15] = 1}, 128, 0, ADDRESS_PRIVATE},               /* ::1 */
    {{[10] = 0xff, [11] = 0xff}, 96, 12, ADDRESS_NEVER}, /* ::ffff:a.b.c.d, mapped */
    {{[8] = 0xff, [9] = 0xff}, 96, 12, ADDRESS_NEVER},   /* ::ffff:0:a.b.c.d, SIIT */
    {{0}, 96, 0, ADDRESS_NEVER},                         /* ::, and the old ::a.b.c.d */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, 0, ADDRESS_NEVER}, /* 64:ff9b:1::/48, local NAT64 */
    {{0, 0x64, 0xff, 0x9b}, 96, 12, ADDRESS_NEVER},      /* 64:ff9b::a.b.c.d, NAT64 */
    {{0x01}, 64, 0, ADDRESS_NEVER},                      /* 100::/64, discard */
    {{0x20, 0x01}, 32, 0, ADDRESS_NEVER},                /* 2001::/32, Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, 0, ADDRESS_NEVER},    /* documentation */
    {{0x20, 0x01}, 23, 0, ADDRESS_NEVER},          /* 2001::/23, protocol assignments */
    {{0x20, 0x02}, 16, 2, ADDRESS_NEVER},          /* 2002:a.b.c.d::, 6to4 */
    {{0xfd, 0, 0x0e, 0xc2}, 32, 0, ADDRESS_NEVER}, /* fd00:ec2::/32, Amazon's metadata */
    {{0xfd, 0x20, 0, 0xce}, 32, 0, ADDRESS_NEVER}, /* fd20:ce::/32, Google's metadata */
    {{0xfc}, 7, 0, ADDRESS_PRIVATE},               /* fc00::/7 */
    {{0xfe, 0x80}, 10, 0, ADDRESS_NEVER},          /* link-local */
    {{0xfe, 0xc0}, 10, 0, ADDRESS_NEVER},          /* site-local, deprecated */
    {{0xff}, 8, 0, ADDRESS_NEVER},                 /* multicast */
};

static bool within6(const uint8_t *ip, const uint8_t *network, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(ip, network, whole) != 0)
        return false;
    return rest == 0 || (uint8_t)(ip[whole] ^ network[whole]) >> (8 - rest) == 0;
}

static uint32_t read4(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           bytes[3];
}

static enum address_class classify6(const uint8_t *ip)
{
    for (size_t i = 0; i < COUNT(networks6); i++) {
        if (!within6(ip, networks6[i].network, networks6[i].bits))
            continue;
        return networks6[i].inner ? classify4(read4(ip + networks6[i].inner))
                                  : networks6[i].class;
    }
    /* Only 2000::/3 is given out. */
    return ip[0] >> 5 == 1 ? ADDRESS_PUBLIC : ADDRESS_NEVER;
}

enum address_class address_classify(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return classify4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return classify6(in6.sin6_addr.s6_addr);
    }
    return ADDRESS_NEVER;
}
