/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* maps - what the providers' files share, and the tables they bring */
#ifndef MAPS_MAPS_H
#define MAPS_MAPS_H
#include <signalbox/connector.h>

extern const struct sb_option google_options[], nominatim_options[];
extern const struct sb_secret google_secrets[];
extern const struct sb_operation google_operations[], nominatim_operations[];
extern const struct sb_failure_mode google_failures[], nominatim_failures[];

enum { PLACE_SIZE = 64 }; /* of a pair of degrees as text */

/* Is the data {address} and nothing else?  SB_DONE, or SB_FAILED with the member named.
 */
enum sb_verdict place_check_address(const struct sb_event *event,
                                    struct sb_outcome *outcome);
/* Is the data {lat, lng} and nothing else?  Degrees, -90 to 90 and -180 to 180, as texts
 * of seven digits behind the point (a centimetre). */
enum sb_verdict place_check_point(const struct sb_event *event, char ret_lat[PLACE_SIZE],
                                  char ret_lng[PLACE_SIZE], struct sb_outcome *outcome);
/* Is the data {origin, destination, mode?} and nothing else?  Either place is an address
 * or {lat, lng}; it is written as text: "48.1,11.5".  *ret_mode is driving where there is
 * none. */
enum sb_verdict place_check_route(const struct sb_event *event, const char **ret_origin,
                                  char origin[PLACE_SIZE], const char **ret_destination,
                                  char destination[PLACE_SIZE], const char **ret_mode,
                                  struct sb_outcome *outcome);
#endif
