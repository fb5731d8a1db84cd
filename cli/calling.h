/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* calling - one request over the bus, and its outcome */
#pragma once
#include <stdint.h>

#include "cli/bus.h"

struct cli;
struct json;

/* Publish the request and wait so long for its outcome (0: until it is committed).
 * CLI_DONE and CLI_FAILED: *ret is the outcome; CLI_PENDING: what there is of it yet; any
 * of them to be freed. NULL, and the reason was said, where there is nothing. The
 * configuration was read. */
int calling(struct cli *cli, const struct bus_event *event, uint64_t wait_us,
            struct json **ret);
