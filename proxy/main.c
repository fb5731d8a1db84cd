/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/connector.h"
#include "proxy/door.h"
#include "proxy/table.h"

int main(int argc, char **argv)
{
    return connector_main(&proxy_connector, &the_door, argc, argv);
}
