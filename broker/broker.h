/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* broker - the process around the core: its sockets, its link to the logger, the log it
 * reads */
#pragma once
#include <stddef.h>

struct config;
struct service_run;

/* For struct service (lib/service/service.h). */
int broker_start(struct service_run *run, char *error, size_t error_size);
void broker_stop(struct service_run *run);
void broker_reload(struct service_run *run, const struct config *config);
