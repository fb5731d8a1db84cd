/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/service/service.h"
#include "logger/logger.h"

int main(int argc, char **argv)
{
    static const struct service service = {
        .name = "signalbox-logger",
        .summary = "writes the log and its views",
        .needs_config = true,
        .start = logger_start,
        .stop = logger_stop,
        .finish = logger_finish,
    };

    return service_main(&service, argc, argv);
}
