/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* process - what the kernel says of another process */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Is there a process of this id that can still do something?  One that is ending, or has
 * ended and was not waited for, is none: its sockets may be closed before its id is free.
 * 0, an id that is not known, counts as alive; so does what /proc does not tell. */
bool process_is_alive(uint64_t pid);
