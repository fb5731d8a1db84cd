/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/mailbox.h"

#include <string.h>

static const struct {
    const char *local;
    size_t n;
    enum mailbox_event events[MAILBOX_EVENTS_MAX];
} fates[] = {
    {"bounce", 1, {MAILBOX_BOUNCED}},
    {"bounced", 1, {MAILBOX_BOUNCED}},
    {"deferred", 2, {MAILBOX_DEFERRED, MAILBOX_DELIVERED}},
    {"complaint", 2, {MAILBOX_DELIVERED, MAILBOX_COMPLAINED}},
    {"complained", 2, {MAILBOX_DELIVERED, MAILBOX_COMPLAINED}},
    {"dropped", 1, {MAILBOX_DROPPED}},
    {"opened", 2, {MAILBOX_DELIVERED, MAILBOX_OPENED}},
    {"clicked", 2, {MAILBOX_DELIVERED, MAILBOX_CLICKED}},
};

/* The part before @ and +. */
static const char *local_part(const char *address, size_t *ret_len)
{
    const char *open = strchr(address, '<');

    address = open ? open + 1 : address;
    *ret_len = strcspn(address, "@+");
    return address;
}

static bool is_local(const char *address, const char *name)
{
    size_t n;
    const char *local = local_part(address, &n);

    return n == strlen(name) && strncmp(local, name, n) == 0;
}

size_t mailbox_events(const char *address, enum mailbox_event ret[MAILBOX_EVENTS_MAX])
{
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        if (is_local(address, fates[i].local)) {
            memcpy(ret, fates[i].events, sizeof(fates[i].events));
            return fates[i].n;
        }
    ret[0] = MAILBOX_DELIVERED;
    return 1;
}

bool mailbox_is_invalid(const char *address)
{
    return is_local(address, "invalid") || !strchr(address, '@');
}

bool mailbox_is_unverified(const char *sender)
{
    static const char domain[] = "@unverified.example";
    const char *at = strrchr(sender, '@');

    return at && strncmp(at, domain, strlen(domain)) == 0;
}
