/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* services - the steps in which services other than the payment's are called: each is
 * called once, and has done it once */
#pragma once
#include <stdbool.h>

struct world;

bool mail_is_sent(struct world *world);
bool model_answers(struct world *world);
bool address_is_found(struct world *world);
bool message_is_sent(struct world *world);
