/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* change - whom a changed configuration concerns
 *
 * A difference is config_diff()'s: lines of `section.name.key...: before -> after`. */
#pragma once
#include <stdbool.h>

struct config;

/* In the order of starting. */
enum role {
    ROLE_LOGGER,
    ROLE_BROKER,
    ROLE_GATEWAY,
    ROLE_SANDBOX,
    ROLE_CONNECTOR,
    ROLE_DELIVER,
    ROLE_COUNT
};

/* Must this process be started anew?  `integration` is a connector's. */
bool change_concerns(const char *diff, enum role role, const char *integration);
/* bus.peers is taken by the running broker: nobody has to join anew for another's entry.
 */
bool change_has_peers(const char *diff);
/* Who may not subscribe to live topics any more, and may be connected: libzmq cannot put
 * out a single subscriber, so the broker is started anew. */
bool change_loses_observer(const struct config *before, const struct config *now);
