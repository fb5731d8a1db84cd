/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "maps.h"

enum { ADDRESS_MAX = 2000 /* bytes */ };

static enum sb_verdict check_object(const struct sb_json *data, const char *const *names,
                                    struct sb_outcome *outcome)
{
    if (!sb_is_object(data, ""))
        return sb_fail(outcome, "the data must be a JSON object");
    const char *stranger = sb_stranger(data, names);
    return stranger ? sb_fail(outcome, "\"%s\" is not a member of this request", stranger)
                    : SB_DONE;
}

enum sb_verdict place_check_address(const struct sb_event *event,
                                    struct sb_outcome *outcome)
{
    static const char *const names[] = {"address", NULL};
    const char *address = sb_text(sb_data(event), "address");

    if (check_object(sb_data(event), names, outcome) != SB_DONE)
        return SB_FAILED;
    if (!address || !*address || strlen(address) > ADDRESS_MAX)
        return sb_fail(outcome, "address must be a text of 1 to %d bytes", ADDRESS_MAX);
    return SB_DONE;
}

/* Both degrees under `place` ("" or "origin."), within their ranges? */
static bool read_point(const struct sb_json *data, const char *place, double *ret_lat,
                       double *ret_lng)
{
    char lat[32], lng[32];

    snprintf(lat, sizeof(lat), "%slat", place);
    snprintf(lng, sizeof(lng), "%slng", place);
    return sb_number(data, lat, ret_lat) && sb_number(data, lng, ret_lng) &&
           *ret_lat >= -90 && *ret_lat <= 90 && *ret_lng >= -180 && *ret_lng <= 180;
}

enum sb_verdict place_check_point(const struct sb_event *event, char ret_lat[PLACE_SIZE],
                                  char ret_lng[PLACE_SIZE], struct sb_outcome *outcome)
{
    static const char *const names[] = {"lat", "lng", NULL};
    double lat, lng;

    if (check_object(sb_data(event), names, outcome) != SB_DONE)
        return SB_FAILED;
    if (!read_point(sb_data(event), "", &lat, &lng))
        return sb_fail(outcome, "lat and lng must be degrees: numbers from -90 to 90 and "
                                "from -180 to 180");
    snprintf(ret_lat, PLACE_SIZE, "%.7f", lat);
    snprintf(ret_lng, PLACE_SIZE, "%.7f", lng);
    return SB_DONE;
}

/* One end of a way, as the text that Google takes; NULL when it is none. */
static const char *read_end(const struct sb_json *data, const char *member,
                            char text[PLACE_SIZE])
{
    static const char *const names[] = {"lat", "lng", NULL};
    const char *address = sb_text(data, member);
    char place[32];
    double lat, lng;

    if (address)
        return *address && strlen(address) <= ADDRESS_MAX ? address : NULL;
    snprintf(place, sizeof(place), "%s.", member);
    if (!sb_is_object(data, member) || sb_stranger(sb_at(data, member), names) ||
        !read_point(data, place, &lat, &lng))
        return NULL;
    snprintf(text, PLACE_SIZE, "%.7f,%.7f", lat, lng);
    return text;
}

static bool is_mode(const char *mode)
{
    static const char *const modes[] = {"driving", "walking", "bicycling", "transit"};

    for (size_t i = 0; mode && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(mode, modes[i]) == 0)
            return true;
    return false;
}

enum sb_verdict place_check_route(const struct sb_event *event, const char **ret_origin,
                                  char origin[PLACE_SIZE], const char **ret_destination,
                                  char destination[PLACE_SIZE], const char **ret_mode,
                                  struct sb_outcome *outcome)
{
    static const char *const names[] = {"origin", "destination", "mode", NULL};
    static const char *const ends[] = {"origin", "destination"};
    const struct sb_json *data = sb_data(event);

    if (check_object(data, names, outcome) != SB_DONE)
        return SB_FAILED;
    const char *from = read_end(data, ends[0], origin),
               *to = read_end(data, ends[1], destination),
               *mode = sb_has(data, "mode") ? sb_text(data, "mode") : "driving";
    if (!from || !to)
        return sb_fail(outcome, "%s must be an address, or {lat, lng} in degrees",
                       from ? ends[1] : ends[0]);
    if (!is_mode(mode))
        return sb_fail(outcome, "mode must be driving, walking, bicycling or transit");
    *ret_origin = from;
    *ret_destination = to;
    *ret_mode = mode;
    return SB_DONE;
}
