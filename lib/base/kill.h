/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* kill - places at which a test ends the process, as kill -9 would
 *
 * `KILL_POINT(name);` says that a line of kill.def has just happened. It is nothing at
 * all unless the tree is built with -Dkill_points=true; then SIGNALBOX_KILL=name:n:FILE
 * in the environment sends SIGKILL at the n-th time, once: whoever makes FILE does it,
 * and processes started again find it there. */
#pragma once

#ifdef SIGNALBOX_KILL_POINTS
enum kill_point {
#define KILL(name, process, sentence) KILL_##name,
#include "lib/base/kill.def"
#undef KILL
    KILL_POINTS,
};

/* Any thread. */
void kill_here(enum kill_point point);
#define KILL_POINT(name) kill_here(KILL_##name)
#else
#define KILL_POINT(name) ((void)0)
#endif
