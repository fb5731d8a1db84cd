/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a Nominatim to practise on: search, reverse, status
 *
 * There is no key; who does not name themselves in User-Agent is kept out, as by the
 * public server's policy.  A call's effect is counted under what was asked.  The address
 * decides what happens: see sandbox/place.h. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/form.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/account.h"
#include "sandbox/place.h"
#include "sandbox/rows.h"

/* --- errors: {"error":{code,message}}, or a page --- */

static void no(struct provider_answer *answer, unsigned status, const char *message)
{
    struct json *error = js_set_int(js_object(), "code", status);

    js_set_text(error, "message", message);
    provider_answer(answer, status, js_set(js_object(), "error", error));
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    answer->status = status;
    answer->content_type = "text/html";
    buf_text(&answer->body, status == 429
                                ? "<html><title>Bandwidth limit exceeded</title></html>"
                                : "<html><title>Internal Server Error</title></html>");
}

static bool is_named(const struct provider_call *call)
{
    static const char *const libraries[] = {
        "curl/", "libcurl", "python-requests/", "Python-urllib/", "Java/", "okhttp/"};
    const char *agent = provider_call_header(call, "User-Agent");

    for (size_t i = 0; agent && i < sizeof(libraries) / sizeof(libraries[0]); i++)
        if (strncasecmp(agent, libraries[i], strlen(libraries[i])) == 0)
            agent = NULL;
    return agent && *agent;
}

/* PLACE_FOUND or PLACE_NOWHERE is left to the caller. */
static bool is_served(const char *asked, struct provider_answer *answer)
{
    switch (place_fate(asked)) {
    case PLACE_DENIED:
    case PLACE_SPENT:
        answer->status = 403;
        answer->content_type = "text/html";
        buf_text(&answer->body, "<html><title>Access blocked</title></html>");
        return false;
    case PLACE_BUSY:
        refuse(429, answer);
        return false;
    case PLACE_BROKEN:
        refuse(500, answer);
        return false;
    case PLACE_FOUND:
    case PLACE_NOWHERE:
        break;
    }
    return true;
}

/* --- places --- */

static struct json *place_json(const struct place *place, const char *address)
{
    struct json *json =
        js_set_int(js_object(), "place_id", (int64_t)(hash_text(address) % 1000000000));

    js_set_text(json, "licence", "Practice data, of no use");
    js_set_text(json, "lat", place->lat);
    js_set_text(json, "lon", place->lng);
    js_set_text(json, "category", "place");
    js_set_text(json, "type", "house");
    js_set_text(json, "addresstype", "place");
    return js_set_text(json, "display_name", address);
}

static void search(struct account *nominatim, const struct form *query,
                   struct provider_answer *answer)
{
    const char *asked = form_get(query, "q");

    if (!asked || !*asked) {
        no(answer, 400, "Nothing to search for.");
        return;
    }
    _free_ char *effect = mem_format("geocode %s", asked);
    if (!is_served(asked, answer))
        return;
    struct json *places = js_array();
    struct place place = place_of(asked);
    if (place_fate(asked) == PLACE_FOUND)
        js_push(places, place_json(&place, asked));
    if (effects_add(&nominatim->effects, effect)) {
        provider_answer(answer, 200, places);
        return;
    }
    js_free(places);
    no(answer, 503, "The sandbox is full; start it again.");
}

static void reverse(struct account *nominatim, const struct form *query,
                    struct provider_answer *answer)
{
    const char *lat = form_get(query, "lat"), *lon = form_get(query, "lon");
    _free_ char *asked = mem_format("%s,%s", lat ? lat : "", lon ? lon : "");
    _free_ char *effect = mem_format("reverse %s", asked);
    struct place place;

    if (!place_read(asked, &place)) {
        no(answer, 400, "Parameter 'lat' missing or not a number.");
    } else if (!effects_add(&nominatim->effects, effect)) {
        no(answer, 503, "The sandbox is full; start it again.");
    } else if (place_fate(asked) == PLACE_NOWHERE) {
        provider_answer(answer, 200,
                        js_set_text(js_object(), "error", "Unable to geocode"));
    } else {
        _free_ char *address = place_address(&place);
        provider_answer(answer, 200, place_json(&place, address));
    }
}

static void status(struct provider_answer *answer)
{
    answer->status = 200;
    answer->content_type = "text/plain";
    buf_text(&answer->body, "OK");
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct form query = FORM_NULL;

    if (!is_named(call)) {
        answer->status = 403;
        answer->content_type = "text/html";
        buf_text(&answer->body, "<html><title>Access blocked</title></html>");
    } else if (!form_read(&query, call->query ? call->query : "",
                          call->query ? strlen(call->query) : 0)) {
        no(answer, 400, "Too many parameters.");
    } else if (provider_is(call, "GET", "/search")) {
        search(state, &query, answer);
    } else if (provider_is(call, "GET", "/reverse")) {
        reverse(state, &query, answer);
    } else if (provider_is(call, "GET", "/status")) {
        status(answer);
    } else {
        no(answer, 404, "Not Found");
    }
    form_fini(&query);
}

const struct provider nominatim_row = {
    .name = "nominatim",
    .test_key = "",
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
};
