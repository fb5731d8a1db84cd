/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* logger - the process's socket: blocks in, their fate out */
#pragma once
#include <stddef.h>

struct service_run;

/* The three of struct service (lib/service/service.h). */
int logger_start(struct service_run *run, char *error, size_t error_size);
void logger_stop(struct service_run *run);
void logger_finish(struct service_run *run);
