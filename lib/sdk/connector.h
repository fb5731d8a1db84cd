/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* connector - the process of a connector, and what one with a door has beside it
 *
 * A door is a side on which others ask for calls and are handed the answers as they come.
 * Whatever is asked there is published as a request, delivered back as every other, made
 * once (struct integration, is_single), and has its outcome in the log. */
#pragma once
#include <stddef.h>

struct carry_tap;
struct host;
struct host_asker;
struct integration;
struct sb_connector;
struct service_run;

struct connector_door {
    const struct host_asker *asker;
    const struct carry_tap *tap;
    /* Open it. 0; 1 or 2 (the configuration is wrong) with the reason in error[]. */
    int (*open)(struct service_run *run, const struct integration *integration,
                struct host *host, char *error, size_t error_size);
    /* Let nobody in any more. */
    void (*stop)(void);
    /* The host is gone: close it. Also where it was never opened. */
    void (*close)(void);
};

/* The whole of main(). `door` may be NULL. */
int connector_main(const struct sb_connector *connector,
                   const struct connector_door *door, int argc, char **argv);
