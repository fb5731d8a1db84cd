/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* google - geocoding and directions of the Google Maps Platform's web services
 *
 * Errors come with status 200: the body's `status` decides.  The key is a query
 * parameter, because the service knows nothing better. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps.h"

const struct sb_option google_options[] = {
    {"language", SB_TEXT, NULL, false, "of addresses and instructions: de, en-GB, ..."},
    {"region", SB_TEXT, NULL, false,
     "where an ambiguous address is looked for first: a country's domain (uk, de)"},
    {"call_price", SB_INT, NULL, false,
     "estimate of the cost: millionths of price_currency per call"},
    {"price_currency", SB_TEXT, "USD", false, "the currency of call_price"},
    {.name = NULL},
};

const struct sb_secret google_secrets[] = {
    {"api_key",
     "an API key restricted to the Geocoding and Directions APIs, from the "
     "console's page Credentials",
     "make a second key, `signalbox secret rotate`, then delete the first", false},
    {.name = NULL},
};

static void begin(const struct sb_event *event, struct sb_request *request,
                  const char *path)
{
    sb_call(request, "GET", path);
    sb_query(request, "language", sb_option(event, "language"));
    sb_query(request, "region", sb_option(event, "region"));
    sb_secret_query(request, "key", "api_key");
}

static void price(const struct sb_event *event, struct sb_outcome *outcome)
{
    if (sb_option(event, "call_price"))
        sb_cost(outcome, SB_ESTIMATED, sb_option(event, "price_currency"),
                sb_option_int(event, "call_price"));
}

/* What a status other than OK means; those that are not here are final. */
enum meaning { FINAL, AGAIN, NOTHING, ACCOUNT };
static const struct {
    const char *status;
    enum meaning meaning;
} statuses[] = {
    {"OVER_QUERY_LIMIT", AGAIN}, {"UNKNOWN_ERROR", AGAIN},
    {"ZERO_RESULTS", NOTHING},   {"NOT_FOUND", NOTHING},
    {"REQUEST_DENIED", ACCOUNT}, {"OVER_DAILY_LIMIT", ACCOUNT},
};

/* SB_DONE when the status is OK. */
static enum sb_verdict judge(const struct sb_event *event, const struct sb_json *body,
                             struct sb_outcome *outcome)
{
    const char *status = sb_text(body, "status"), *said = sb_text(body, "error_message");
    enum meaning meaning = FINAL;

    if (!status)
        return sb_unclear(outcome, "not what Google answers");
    if (strcmp(status, "OK") == 0)
        return SB_DONE;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (strcmp(statuses[i].status, status) == 0)
            meaning = statuses[i].meaning;
    sb_put_text(sb_result(outcome), "code", status);
    if (meaning == AGAIN)
        return sb_retry(outcome, 0, "Google cannot answer now: %s", status);
    if (meaning == NOTHING)
        return sb_fail(outcome, "Google found nothing (%s)", status);
    if (meaning == ACCOUNT)
        return sb_fail(
            outcome,
            "Google does not serve this key (%s): check the secret \"api_key\" "
            "of the integration %s, its APIs and its billing: %s",
            status, sb_integration(event), said ? said : "no reason was given");
    return sb_fail(outcome, "Google refused the request (%s): %s", status,
                   said ? said : "no reason was given");
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    if (sb_has(sb_answer_json(answer), "status") && sb_status(answer) < 429)
        return judge(event, sb_answer_json(answer), outcome);
    return sb_default(outcome, "Google answered %u", sb_status(answer));
}

/* --- geocode, reverse --- */

static enum sb_verdict geocode_request(const struct sb_event *event,
                                       struct sb_request *request,
                                       struct sb_outcome *outcome)
{
    if (place_check_address(event, outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "/maps/api/geocode/json");
    sb_query(request, "address", sb_text(sb_data(event), "address"));
    return SB_DONE;
}

static enum sb_verdict reverse_request(const struct sb_event *event,
                                       struct sb_request *request,
                                       struct sb_outcome *outcome)
{
    char lat[PLACE_SIZE], lng[PLACE_SIZE], point[2 * PLACE_SIZE];

    if (place_check_point(event, lat, lng, outcome) != SB_DONE)
        return SB_FAILED;
    snprintf(point, sizeof(point), "%s,%s", lat, lng);
    begin(event, request, "/maps/api/geocode/json");
    sb_query(request, "latlng", point);
    return SB_DONE;
}

static enum sb_verdict place_succeeded(const struct sb_event *event,
                                       const struct sb_answer *answer,
                                       struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    enum sb_verdict verdict = judge(event, body, outcome);

    if (verdict != SB_DONE)
        return verdict;
    if (!sb_has(body, "results.0.geometry.location"))
        return sb_unclear(outcome, "not what Google answers to a geocode");
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "google");
    sb_put(result, "lat", sb_at(body, "results.0.geometry.location.lat"));
    sb_put(result, "lng", sb_at(body, "results.0.geometry.location.lng"));
    sb_put_text(result, "address", sb_text(body, "results.0.formatted_address"));
    sb_put_text(result, "place_id", sb_text(body, "results.0.place_id"));
    sb_put_text(result, "precision", sb_text(body, "results.0.geometry.location_type"));
    sb_put_int(result, "found", (int64_t)sb_count(body, "results"));
    return SB_DONE;
}

/* --- route --- */

static enum sb_verdict route_request(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    char at_origin[PLACE_SIZE], at_destination[PLACE_SIZE];
    const char *origin, *destination, *mode;

    if (place_check_route(event, &origin, at_origin, &destination, at_destination, &mode,
                          outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "/maps/api/directions/json");
    sb_query(request, "origin", origin);
    sb_query(request, "destination", destination);
    sb_query(request, "mode", mode);
    return SB_DONE;
}

/* A way is made of legs, one where no stop was asked for. */
static enum sb_verdict route_succeeded(const struct sb_event *event,
                                       const struct sb_answer *answer,
                                       struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    enum sb_verdict verdict = judge(event, body, outcome);
    int64_t distance, duration;

    if (verdict != SB_DONE)
        return verdict;
    if (!sb_int(body, "routes.0.legs.0.distance.value", &distance) ||
        !sb_int(body, "routes.0.legs.0.duration.value", &duration))
        return sb_unclear(outcome, "not what Google answers to directions");
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "google");
    sb_put_int(result, "distance_m", distance);
    sb_put_int(result, "duration_s", duration);
    sb_put_text(result, "summary", sb_text(body, "routes.0.summary"));
    sb_put_text(result, "origin", sb_text(body, "routes.0.legs.0.start_address"));
    sb_put_text(result, "destination", sb_text(body, "routes.0.legs.0.end_address"));
    sb_put_text(result, "polyline", sb_text(body, "routes.0.overview_polyline.points"));
    return SB_DONE;
}

#define GEOCODED                                                                         \
    "{\"status\":\"OK\",\"results\":[{\"formatted_address\":\"1 High St\",\"place_id\":" \
    "\"p1\",\"geometry\":{\"location\":{\"lat\":51.5,\"lng\":-0.12},\"location_type\":"  \
    "\"ROOFTOP\"}}]}"

const struct sb_operation google_operations[] = {
    {.name = "geocode",
     .summary = "Find where an address is",
     .transition = "address: typed -> located",
     .transition_failed = "address: typed -> not located",
     SB_BRANCHES(geocode_request, place_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price = price,
     .price_most = price,
     .price_text = "per call, from options.call_price; Google's list has a free share "
                   "each month and gets cheaper in steps, which the estimate leaves out",
     .example = "{\"address\":\"1 High St, London\"}",
     .example_answer = GEOCODED,
     .degrade = "take the address as typed and locate it later",
     .test = "with a known address; in signalbox's sandbox the address decides, see "
             "docs/guide/maps.md"},
    {.name = "reverse",
     .summary = "Find the address of a place",
     .transition = "place: on the map -> with an address",
     .transition_failed = "place: on the map -> without an address",
     SB_BRANCHES(reverse_request, place_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .price = price,
     .price_most = price,
     .price_text = "per call, from options.call_price; Google's list has a free share "
                   "each month and gets cheaper in steps, which the estimate leaves out",
     .example = "{\"lat\":51.5,\"lng\":-0.12}",
     .example_answer = GEOCODED,
     .degrade = "show the degrees",
     .test = "with a known place; in signalbox's sandbox the input decides"},
    {.name = "route",
     .summary = "Find the way between two places",
     .transition = "trip: wanted -> with a way",
     .transition_failed = "trip: wanted -> without a way",
     SB_BRANCHES(route_request, route_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .price = price,
     .price_most = price,
     .price_text = "per call, from options.call_price; Google's list has a free share "
                   "each month and gets cheaper in steps, which the estimate leaves out",
     .example = "{\"origin\":\"1 High St, London\",\"destination\":{\"lat\":51.6,\"lng\":"
                "-0.2}}",
     .example_answer =
         "{\"status\":\"OK\",\"routes\":[{\"summary\":\"A40\",\"legs\":[{\"distance\":{"
         "\"value\":9000},\"duration\":{\"value\":1200}}]}]}",
     .degrade = "estimate by the distance as the crow flies",
     .test = "with a known place; in signalbox's sandbox the input decides"},
    {.name = NULL},
};

const struct sb_failure_mode google_failures[] = {
    {"nothing found", "permanent: Google found nothing",
     "the address is wrong or unknown: ask whoever typed it"},
    {"request refused", "permanent: Google refused the request",
     "the input is wrong; `code` is Google's name for it"},
    {"key refused", "permanent: Google does not serve this key",
     "allow the API for the key, settle the billing, then redrive what failed"},
    {"rate limit", "a retry: Google cannot answer now: OVER_QUERY_LIMIT",
     "tried again with growing pauses; lower limits.rate if it is frequent"},
    {"broken", "a retry: Google cannot answer now: UNKNOWN_ERROR, or 5xx",
     "tried again until the deadline"},
    {"answer lost", "a retry: no answer came",
     "asked again: at worst it is paid for twice"},
    {"Google down", "exhausted, with the last answer",
     "tried again until attempts or deadline ended; nothing was changed by it, so "
     "redrive it when the service is back, or let it be"},
    {.name = NULL},
};
