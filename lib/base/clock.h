/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* clock - what time it is
 *
 * Two clocks: wall time for what people and providers see, and a steady one for waiting.  Code
 * that decides (the broker's core) is handed times and never calls these. */
#pragma once
#include <stdint.h>

/* Microseconds since 1970-01-01 UTC. */
uint64_t clock_wall_us(void);
/* Microseconds on a clock that never jumps (CLOCK_BOOTTIME). */
uint64_t clock_steady_us(void);
