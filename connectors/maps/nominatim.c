/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* nominatim - OpenStreetMap's geocoder, the public one or one's own
 *
 * The public server allows one request a second in all and wants to know who asks: set
 * limits.rate to 1/s and options.user_agent.  Numbers come as texts.  There are no ways.
 */
#include "maps.h"

const struct sb_option nominatim_options[] = {
    {"user_agent", SB_TEXT, NULL, true,
     "who asks, with an address of yours: shop/1.0 (ops@example.com); the public server "
     "refuses others"},
    {"language", SB_TEXT, NULL, false, "of addresses: the header Accept-Language"},
    {.name = NULL},
};

static void begin(const struct sb_event *event, struct sb_request *request,
                  const char *path)
{
    sb_call(request, "GET", path);
    sb_header(request, "User-Agent", sb_option(event, "user_agent"));
    if (sb_option(event, "language"))
        sb_header(request, "Accept-Language", sb_option(event, "language"));
    sb_query(request, "format", "jsonv2");
}

static enum sb_verdict geocode_request(const struct sb_event *event,
                                       struct sb_request *request,
                                       struct sb_outcome *outcome)
{
    if (place_check_address(event, outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "/search");
    sb_query(request, "limit", "5");
    sb_query(request, "q", sb_text(sb_data(event), "address"));
    return SB_DONE;
}

static enum sb_verdict reverse_request(const struct sb_event *event,
                                       struct sb_request *request,
                                       struct sb_outcome *outcome)
{
    char lat[PLACE_SIZE], lng[PLACE_SIZE];

    if (place_check_point(event, lat, lng, outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "/reverse");
    sb_query(request, "lat", lat);
    sb_query(request, "lon", lng);
    return SB_DONE;
}

static enum sb_verdict found(const struct sb_json *place, size_t count,
                             struct sb_outcome *outcome)
{
    struct sb_json *result = sb_result(outcome);

    if (!sb_text(place, "lat") || !sb_text(place, "lon") ||
        !sb_put_number(result, "lat", sb_text(place, "lat")) ||
        !sb_put_number(result, "lng", sb_text(place, "lon")))
        return sb_unclear(outcome, "not what Nominatim answers");
    sb_put_text(result, "provider", "nominatim");
    sb_put_text(result, "address", sb_text(place, "display_name"));
    sb_put(result, "place_id", sb_at(place, "place_id"));
    sb_put_text(result, "precision", sb_text(place, "addresstype"));
    sb_put_int(result, "found", (int64_t)count);
    return SB_DONE;
}

static enum sb_verdict geocode_succeeded(const struct sb_event *event,
                                         const struct sb_answer *answer,
                                         struct sb_outcome *outcome)
{
    const struct sb_json *places = sb_answer_json(answer);
    size_t n = sb_count(places, "");

    (void)event;
    if (!places || sb_is_object(places, ""))
        return sb_unclear(outcome, "not what Nominatim answers to a search");
    if (n == 0)
        return sb_fail(outcome, "Nominatim found nothing");
    return found(sb_element(places, 0), n, outcome);
}

static enum sb_verdict reverse_succeeded(const struct sb_event *event,
                                         const struct sb_answer *answer,
                                         struct sb_outcome *outcome)
{
    const struct sb_json *place = sb_answer_json(answer);

    (void)event;
    if (sb_has(place, "error"))
        return sb_fail(outcome, "Nominatim found nothing: %s",
                       sb_text(place, "error") ? sb_text(place, "error") : "");
    return found(place, 1, outcome);
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    const char *said = sb_text(body, "error.message");

    if (sb_status(answer) == 403)
        return sb_fail(
            outcome,
            "Nominatim keeps this caller out (403): check options.user_agent "
            "of the integration %s and limits.rate (1/s for the public server)",
            sb_integration(event));
    if (sb_status(answer) < 429)
        return sb_fail(outcome, "Nominatim refused the request (%u): %s",
                       sb_status(answer), said ? said : "no reason was given");
    return sb_default(outcome, "Nominatim answered %u", sb_status(answer));
}

#define PLACE                                                                            \
    "{\"place_id\":1,\"lat\":\"51.5\",\"lon\":\"-0.12\",\"display_name\":\"1 High St\"," \
    "\"addresstype\":\"building\"}"

const struct sb_operation nominatim_operations[] = {
    {.name = "geocode",
     .summary = "Find where an address is",
     .transition = "address: typed -> located",
     .transition_failed = "address: typed -> not located",
     SB_BRANCHES(geocode_request, geocode_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price_max = {"USD", 0},
     .price_text = "none; the public server takes one call a second, so ten times the "
                   "traffic needs a server of one's own",
     .example = "{\"address\":\"1 High St, London\"}",
     .example_answer = "[" PLACE "]",
     .degrade = "take the address as typed and locate it later",
     .test = "with a known address; in signalbox's sandbox the address decides, see "
             "docs/guide/maps.md"},
    {.name = "reverse",
     .summary = "Find the address of a place",
     .transition = "place: on the map -> with an address",
     .transition_failed = "place: on the map -> without an address",
     SB_BRANCHES(reverse_request, reverse_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .price_max = {"USD", 0},
     .price_text = "none; the public server takes one call a second, so ten times the "
                   "traffic needs a server of one's own",
     .example = "{\"lat\":51.5,\"lng\":-0.12}",
     .example_answer = PLACE,
     .degrade = "show the degrees",
     .test = "with a known place; in signalbox's sandbox the input decides"},
    {.name = NULL},
};

const struct sb_failure_mode nominatim_failures[] = {
    {"nothing found", "permanent: Nominatim found nothing",
     "the address is wrong or unknown: ask whoever typed it"},
    {"kept out", "permanent: Nominatim keeps this caller out",
     "name yourself in options.user_agent, set limits.rate to 1/s, or run a server of "
     "your "
     "own (base_url)"},
    {"rate limit", "a retry: Nominatim answered 429",
     "tried again with growing pauses; set limits.rate to 1/s"},
    {"broken", "a retry: Nominatim answered 5xx", "tried again until the deadline"},
    {"answer lost", "a retry: no answer came", "asked again: nothing is lost by it"},
    {"Nominatim down", "exhausted, with the last answer",
     "tried again until attempts or deadline ended; nothing was changed by it, so "
     "redrive it when the service is back, or let it be"},
    {.name = NULL},
};
