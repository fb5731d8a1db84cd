/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* post - one event as a signed POST, and what the application's answer means */
#pragma once
#include "include/signalbox/connector.h"

/* What every post of a process shares; borrowed. */
struct post_settings {
    const char *path;           /* of the address, "/" at least */
    const char *const *secrets; /* all that sign, ended by NULL; sign_is_secret() */
    /* The application said 410 Gone: it wants no more. */
    void (*on_gone)(void *user);
    void *user;
};

/* There is one set in a process. */
extern struct post_settings post_settings;
/* The table for the runtime: one operation that takes every event. */
extern const struct sb_connector post_connector;
