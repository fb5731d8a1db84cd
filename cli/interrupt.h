/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* interrupt - ctrl-c, noticed instead of died of, so that what must be put back is put
 * back: a terminal that does not show what is typed, a directory in /tmp */
#pragma once
#include <stdbool.h>

/* From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT are noted (but those that are
 * ignored), and calls that block end with EINTR.  May be nested; each goes with an
 * interrupt_release(). */
void interrupt_catch(void);
/* Has one come? Whoever waits goes back to who called interrupt_catch(). */
bool interrupt_came(void);
/* Wait until there is something to read at `fd`, its end included; false when a signal has
 * come, be it just before. */
bool interrupt_wait(int fd);
/* As before interrupt_catch(). The outermost one ends the process by the signal that
 * came, as if it had never been caught. */
void interrupt_release(void);
