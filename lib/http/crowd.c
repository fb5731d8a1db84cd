/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/crowd.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"

void crowd_init(struct crowd *crowd)
{
    *crowd = (struct crowd){{0}, {0}};
    id_random(crowd->seed, sizeof(crowd->seed));
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)
                         ->sin_addr.s_addr) >>
                   24 ==
               127;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return true;
}

unsigned crowd_slot(const struct crowd *crowd, const struct sockaddr *address)
{
    if (is_loopback(address))
        return CROWD_SLOTS;
    uint8_t key[24] = {0};
    memcpy(key, crowd->seed, 16);
    if (address->sa_family == AF_INET)
        memcpy(key + 16, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
               4);
    else
        memcpy(key + 16, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
               8);
    return (unsigned)(hash64(key, sizeof(key)) % CROWD_SLOTS);
}

bool crowd_has_room(const struct crowd *crowd, unsigned slot, unsigned max)
{
    return slot == CROWD_SLOTS || crowd->counts[slot] < max;
}

void crowd_enter(struct crowd *crowd, unsigned slot)
{
    if (slot < CROWD_SLOTS)
        crowd->counts[slot]++;
}

void crowd_leave(struct crowd *crowd, unsigned slot)
{
    if (slot < CROWD_SLOTS)
        crowd->counts[slot]--;
}
