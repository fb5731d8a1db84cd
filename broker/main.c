/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>

#include "broker/broker.h"
#include "lib/service/service.h"

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "signalbox-broker",
        .summary = "routes events between gateway, connectors and the log",
        .needs_config = true,
        .start = broker_start,
        .stop = broker_stop,
        .reload = broker_reload,
    };

    /* Blocks and frames are large and short-lived: keep their memory instead of asking
     * the kernel for fresh pages each time (a page fault costs more than the copy). */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return service_main(&service, argc, argv);
}
