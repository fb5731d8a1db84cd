/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - Google's geocoding and directions to practise on
 *
 * Errors come with status 200, as at Google.  A call's effect is counted under what was
 * asked.  The address decides what happens: see sandbox/place.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/account.h"
#include "sandbox/place.h"
#include "sandbox/rows.h"

enum { METRES_PER_DEGREE = 111000, METRES_PER_SECOND = 14 };

/* --- errors: {"status","error_message","results":[]} --- */

/* `list` is what the call would have brought: results or routes. */
static void no(struct provider_answer *answer, const char *list, const char *status,
               const char *message)
{
    struct json *body = js_set(js_object(), list, js_array());

    js_set_text(body, "error_message", message);
    provider_answer(answer, 200, js_set_text(body, "status", status));
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    no(answer, "results", status == 429 ? "OVER_QUERY_LIMIT" : "UNKNOWN_ERROR",
       status == 429 ? "You have exceeded your rate-limit for this API." : NULL);
    answer->status = status;
}

/* What an address that is not found is answered with; the key's own are below. */
static const struct {
    enum place_fate fate;
    const char *status, *message;
} refusals[] = {
    {PLACE_NOWHERE, "ZERO_RESULTS", NULL},
    {PLACE_DENIED, "REQUEST_DENIED",
     "This API project is not authorized to use this API."},
    {PLACE_SPENT, "OVER_DAILY_LIMIT", "You have exceeded your daily request quota."},
    {PLACE_BUSY, "OVER_QUERY_LIMIT", "You have exceeded your rate-limit for this API."},
    {PLACE_BROKEN, "UNKNOWN_ERROR", NULL},
};

static bool is_served(const char *address, const char *list,
                      struct provider_answer *answer)
{
    enum place_fate fate = place_fate(address);

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].fate == fate) {
            no(answer, list, refusals[i].status, refusals[i].message);
            return false;
        }
    return true;
}

static bool count_effect(struct account *google, const char *effect, const char *list,
                         struct provider_answer *answer)
{
    if (effects_add(&google->effects, effect))
        return true;
    no(answer, list, "UNKNOWN_ERROR", "The sandbox is full; start it again.");
    return false;
}

/* --- geocoding --- */

static struct json *location_json(const struct place *place)
{
    struct json *location = js_set(js_object(), "lat", js_from_number(place->lat));

    return js_set(location, "lng", js_from_number(place->lng));
}

static struct json *found_json(const char *address, const struct place *place)
{
    struct json *geometry = js_set(js_object(), "location", location_json(place));
    struct json *found = js_set(js_object(), "address_components", js_array());
    _free_ char *id = mem_format("sandbox:%s,%s", place->lat, place->lng);

    js_set_text(geometry, "location_type", "ROOFTOP");
    js_set(geometry, "viewport",
           js_set(js_set(js_object(), "northeast", location_json(place)), "southwest",
                  location_json(place)));
    js_set_text(found, "formatted_address", address);
    js_set(found, "geometry", geometry);
    js_set_text(found, "place_id", id);
    return js_set(found, "types",
                  js_push(js_array(), js_from_text("street_address", 14)));
}

static void geocode(struct account *google, const struct form *query,
                    struct provider_answer *answer)
{
    const char *address = form_get(query, "address"), *point = form_get(query, "latlng");
    const char *asked = address ? address : point;
    struct place place;

    if (!asked || !*asked || (point && !place_read(point, &place))) {
        no(answer, "results", "INVALID_REQUEST",
           "Invalid request. Missing the 'address', 'components', 'latlng' or "
           "'place_id' parameter.");
        return;
    }
    _free_ char *effect = mem_format("%s %s", address ? "geocode" : "reverse", asked);
    if (!is_served(asked, "results", answer) ||
        !count_effect(google, effect, "results", answer))
        return;
    place = place_of(asked);
    _free_ char *at = place_address(&place);
    struct json *results =
        js_push(js_array(), found_json(address ? address : at, &place));
    struct json *body = js_set(js_object(), "results", results);
    provider_answer(answer, 200, js_set_text(body, "status", "OK"));
}

/* --- directions --- */

static struct json *amount_json(int64_t value, const char *unit)
{
    _free_ char *text = mem_format("%lld %s", (long long)value, unit);

    return js_set_int(js_set_text(js_object(), "text", text), "value", value);
}

/* Here streets run along the degrees, and a degree is as far to the east as to the north.
 */
static int64_t metres(const struct place *from, const struct place *to)
{
    double lat = strtod(to->lat, NULL) - strtod(from->lat, NULL),
           lng = strtod(to->lng, NULL) - strtod(from->lng, NULL);

    return (int64_t)(((lat < 0 ? -lat : lat) + (lng < 0 ? -lng : lng)) *
                     METRES_PER_DEGREE);
}

static struct json *route_json(const char *origin, const char *destination)
{
    struct place from = place_of(origin), to = place_of(destination);
    int64_t far = metres(&from, &to);
    struct json *leg = js_set(js_object(), "distance", amount_json(far, "m"));
    struct json *route = js_set_text(js_object(), "summary", "Practice Road");

    js_set(leg, "duration", amount_json(far / METRES_PER_SECOND, "s"));
    js_set_text(leg, "start_address", origin);
    js_set_text(leg, "end_address", destination);
    js_set(leg, "start_location", location_json(&from));
    js_set(leg, "end_location", location_json(&to));
    js_set(leg, "steps", js_array());
    js_set(route, "legs", js_push(js_array(), leg));
    return js_set(route, "overview_polyline",
                  js_set_text(js_object(), "points", "_p~iF~ps|U"));
}

static void directions(struct account *google, const struct form *query,
                       struct provider_answer *answer)
{
    const char *origin = form_get(query, "origin"),
               *destination = form_get(query, "destination");

    if (!origin || !*origin || !destination || !*destination) {
        no(answer, "routes", "INVALID_REQUEST",
           "Invalid request. Missing the 'origin' or 'destination' parameter.");
        return;
    }
    _free_ char *effect = mem_format("route %s -> %s", origin, destination);
    if (!is_served(origin, "routes", answer) ||
        !is_served(destination, "routes", answer) ||
        !count_effect(google, effect, "routes", answer))
        return;
    struct json *body = js_set(js_object(), "geocoded_waypoints", js_array());
    js_set(body, "routes", js_push(js_array(), route_json(origin, destination)));
    provider_answer(answer, 200, js_set_text(body, "status", "OK"));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *google = state;
    struct form query = FORM_NULL;
    bool is_geocode = provider_is(call, "GET", "/maps/api/geocode/json"),
         is_read = form_read(&query, call->query ? call->query : "",
                             call->query ? strlen(call->query) : 0);
    const char *list = is_geocode ? "results" : "routes", *key = form_get(&query, "key");

    if (!is_geocode && !provider_is(call, "GET", "/maps/api/directions/json")) {
        answer->status = 404;
        answer->content_type = "text/html";
        buf_text(&answer->body, "<!DOCTYPE html><title>Error 404 (Not Found)</title>");
    } else if (!is_read) {
        no(answer, list, "INVALID_REQUEST", "Invalid request.");
    } else if (!key) {
        no(answer, list, "REQUEST_DENIED", "You must use an API key.");
    } else if (!provider_key_fits(key, google->api_key, google_row.test_key)) {
        no(answer, list, "REQUEST_DENIED", "The provided API key is invalid.");
    } else {
        (is_geocode ? geocode : directions)(google, &query, answer);
    }
    form_fini(&query);
}

const struct provider google_row = {
    .name = "google",
    .test_key = "AIza",
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
};
