/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"
#include "lib/service/service.h"

int main(int argc, char **argv)
{
    return service_main(&gateway_service, argc, argv);
}
