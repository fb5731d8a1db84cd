/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* zone - a time zone: how far local time is ahead of UTC at any moment
 *
 * Made once from the bytes of a TZif file (RFC 8536: its transitions, then the rule of
 * its footer for all time after them), so that asking needs no file, no environment
 * variable and no lock. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { ZONE_FILE_MAX = 64 << 10 }; /* the largest file of the tz database has 4 KiB */

struct zone;

/* The zone a file describes, to be zone_free'd; NULL and the reason in *ret_why when it
 * is no TZif file. */
struct zone *zone_parse(const void *bytes, size_t n, const char **ret_why);
/* The zone of an IANA name ("Europe/Berlin"), read from ZONE_DIRECTORY; "UTC" needs no
 * file. NULL and the reason. */
#define ZONE_DIRECTORY "/usr/share/zoneinfo"
struct zone *zone_load(const char *name, const char **ret_why);
struct zone *zone_copy(const struct zone *zone); /* NULL gives NULL */
void zone_free(struct zone *zone);

/* Seconds east of UTC at a time in seconds since 1970. NULL is UTC. */
int32_t zone_offset(const struct zone *zone, int64_t at);
