/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* used - the note of which version of a secret was used last, so that one knows when an
 * old one can go
 *
 * Who used it (the gateway that verified with it, a connector whose service took it) asks
 * the broker with ADMIN `secret` {"integration", "use", "secret", "version"}; the broker
 * alone writes the note, at its own time, and repeats it with every checkpoint.  Its data
 * is {"name": integration, "use": "api_key" or "webhook.PATH", "secret": "vault:NAME" or
 * "file:PATH", "version" (0: has none), "first_us", "last_us"}, with absolute values. */
#pragma once

#define USED_TYPE "signalbox.secret"
enum {
    USED_EVERY_US = 60 * 1000 * 1000, /* how exact `last_us` is: within it, further uses
                                         of the same version are not recorded */
    USED_MAX = 64, /* versions kept of an integration; the one unused longest goes */
    USED_TEXT_MAX = 1000, /* bytes of `use` and of `secret`; longer ones are refused */
};
