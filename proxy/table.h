/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* table - the proxy as a connector: its providers, two operations, what an answer means
 */
#pragma once
#include "include/signalbox/connector.h"

extern const struct sb_connector proxy_connector;
