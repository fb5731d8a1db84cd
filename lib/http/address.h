/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* address - which network addresses a call may be made to
 *
 * Judged is the address that is dialled, never the text of a URL: decimal, octal, mapped
 * and rebound names all end here as the same bytes.  Addresses that carry an IPv4 address
 * inside are judged by that one. */
#pragma once

struct sockaddr;

enum address_class {
    ADDRESS_PUBLIC,  /* anywhere on the internet */
    ADDRESS_PRIVATE, /* loopback, private networks: with allow_private_network only */
    ADDRESS_NEVER, /* link-local and cloud metadata, unspecified, multicast, reserved, not
                      IP */
};

enum address_class address_classify(const struct sockaddr *address);
