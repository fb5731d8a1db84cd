/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The maps connector without a network: what each provider is sent, what becomes of each
 * answer. */
#include "tests/unit/connectors/trial.h"

int maps_main(int argc, char **argv);
#define main maps_main
#include "connectors/maps/maps.c"
#undef main

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "AIza-fake 0123456789"
#define GEOCODE      "maps.geocode.requested"
#define REVERSE      "maps.reverse.requested"
#define ROUTE        "maps.route.requested"
#define ADDRESS      "{\"address\":\"1 High St, Z\\u00fcrich\"}"
#define POINT        "{\"lat\":51.5,\"lng\":-0.12}"

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    (void)argc, (void)argv;
    return connector == &maps ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? KEY : NULL;
}

static char *google_names[] = {(char[]){"language"}, (char[]){"call_price"}};
static char *google_values[] = {(char[]){"de"}, (char[]){"5000"}};
static char *nominatim_names[] = {(char[]){"user_agent"}};
static char *nominatim_values[] = {(char[]){"shop/1.0 (ops@example.com)"}};
static const struct integration google = {.connector = &maps,
                                          .provider = &providers[0],
                                          .name = "places",
                                          .base_url = "https://maps.googleapis.com",
                                          .secret = secret,
                                          .option_names = google_names,
                                          .option_values = google_values,
                                          .n_options = 2};
#define NOMINATIM(n)                                                                     \
    {                                                                                    \
        .connector = &maps, .provider = &providers[1], .name = "osm",                    \
        .base_url = "https://osm.example.com", .option_names = nominatim_names,          \
        .option_values = nominatim_values, .n_options = (n)                              \
    }
static const struct integration nominatim = NOMINATIM(1), nameless = NOMINATIM(0);

static void the_tables_are_right_and_fit_an_integration(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    assert_true(manifest_check(&maps, &errors));
    assert_true(manifest_fits(&google, &errors));
    assert_true(manifest_fits(&nominatim, &errors));
    assert_false(manifest_fits(&nameless, &errors));
    assert_non_null(strstr(buf_str(&errors), "osm.options.user_agent is needed"));
    buf_fini(&errors);
}

static void requests_are_these_bytes(void **state)
{
    (void)state;
    trial_request(&google, GEOCODE, ADDRESS, "GET",
                  "https://maps.googleapis.com/maps/api/geocode/"
                  "json?language=de&key=AIza-fake%200123456789&address=1%20High%20St%2C%"
                  "20Z%C3%BCrich",
                  "");
    trial_request(&google, REVERSE, POINT, "GET",
                  "https://maps.googleapis.com/maps/api/geocode/"
                  "json?language=de&key=AIza-fake%200123456789&latlng=51.5000000%2C-0."
                  "1200000",
                  "");
    trial_request(&google, ROUTE,
                  "{\"origin\":\"A\",\"destination\":{\"lat\":1,\"lng\":2},\"mode\":"
                  "\"walking\"}",
                  "GET",
                  "https://maps.googleapis.com/maps/api/directions/"
                  "json?language=de&key=AIza-fake%200123456789&origin=A&destination=1."
                  "0000000%2C2.0000000&mode=walking",
                  "");
    trial_request(&nominatim, GEOCODE, "{\"address\":\"a b\"}", "GET",
                  "https://osm.example.com/search?format=jsonv2&limit=5&q=a%20b", "");
    trial_request(&nominatim, REVERSE, POINT, "GET",
                  "https://osm.example.com/"
                  "reverse?format=jsonv2&lat=51.5000000&lon=-0.1200000",
                  "");
}

static void nominatim_is_told_who_asks(void **state)
{
    (void)state;
    struct call *call =
        deliver(&nominatim, (struct delivery){.type = GEOCODE, .data = ADDRESS});
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(o.headers[0].name, "User-Agent");
    assert_string_equal(o.headers[0].value, "shop/1.0 (ops@example.com)");
    call_free(call);
}

static void bad_input_fails_before_any_call_and_names_the_member(void **state)
{
    (void)state;
    static const struct trial_refusal addresses[] = {
        {"7", "must be a JSON object"},
        {"{}", "address must be"},
        {"{\"address\":\"\"}", "address must be"},
        {"{\"address\":\"x\",\"zip\":\"y\"}", "\"zip\" is not a member"},
    };
    static const struct trial_refusal points[] = {
        {"{\"lat\":1}", "lat and lng must be degrees"},
        {"{\"lat\":90.1,\"lng\":0}", "lat and lng must be degrees"},
        {"{\"lat\":0,\"lng\":-180.5}", "lat and lng must be degrees"},
        {"{\"lat\":\"1\",\"lng\":2}", "lat and lng must be degrees"},
    };
    static const struct trial_refusal ways[] = {
        {"{\"destination\":\"B\"}", "origin must be an address"},
        {"{\"origin\":\"A\",\"destination\":{\"lat\":1}}", "destination must be"},
        {"{\"origin\":\"A\",\"destination\":{\"lat\":1,\"lng\":2,\"x\":3}}",
         "destination must be"},
        {"{\"origin\":\"A\",\"destination\":\"B\",\"mode\":\"flying\"}", "mode must be"},
        {"{\"origin\":\"A\",\"destination\":\"B\",\"mode\":7}", "mode must be"},
    };

    trial_refusals(&google, GEOCODE, addresses, COUNT(addresses));
    trial_refusals(&nominatim, GEOCODE, addresses, COUNT(addresses));
    trial_refusals(&google, REVERSE, points, COUNT(points));
    trial_refusals(&nominatim, REVERSE, points, COUNT(points));
    trial_refusals(&google, ROUTE, ways, COUNT(ways));
}

/* --- answers --- */

#define STATUS(name)                                                                     \
    {                                                                                    \
        .status = 200,                                                                   \
        .body = "{\"status\":\"" name "\",\"results\":[],\"error_message\":\"said\"}"    \
    }

static void googles_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {STATUS("ZERO_RESULTS"), CALL_FAILED, CLASS_permanent, "found nothing"},
        {STATUS("INVALID_REQUEST"), CALL_FAILED, CLASS_permanent, "refused the request"},
        {STATUS("REQUEST_DENIED"), CALL_FAILED, CLASS_permanent,
         "\"api_key\" of the integration places"},
        {STATUS("OVER_DAILY_LIMIT"), CALL_FAILED, CLASS_permanent, "billing"},
        {STATUS("OVER_QUERY_LIMIT"), CALL_RETRY, CLASS_none, "OVER_QUERY_LIMIT"},
        {STATUS("UNKNOWN_ERROR"), CALL_RETRY, CLASS_none, "UNKNOWN_ERROR"},
        {STATUS("OK"), CALL_RETRY, CLASS_none, "not what Google"},
        {{.status = 200, .body = "<html>"}, CALL_RETRY, CLASS_none, "not what Google"},
        {{.status = 400, .body = "{\"status\":\"INVALID_REQUEST\"}"},
         CALL_FAILED,
         CLASS_permanent,
         "INVALID_REQUEST"},
        {{.status = 403}, CALL_FAILED, CLASS_permanent, "answered 403"},
        {{.status = 429}, CALL_RETRY, CLASS_none, "answered 429"},
        {{.status = 500}, CALL_RETRY, CLASS_none, "answered 500"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_RETRY, CLASS_none, "cut"},
    };

    trial_answers(&google, GEOCODE, ADDRESS, cases, COUNT(cases), "AIza");
}

static void nominatims_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer searches[] = {
        {{.status = 200, .body = "[]"}, CALL_FAILED, CLASS_permanent, "found nothing"},
        {{.status = 200, .body = "{}"}, CALL_RETRY, CLASS_none, "not what Nominatim"},
        {{.status = 200, .body = "[{\"lat\":\"x\",\"lon\":\"1\"}]"},
         CALL_RETRY,
         CLASS_none,
         "not what Nominatim"},
        {{.status = 400, .body = "{\"error\":{\"message\":\"said\"}}"},
         CALL_FAILED,
         CLASS_permanent,
         "(400): said"},
        {{.status = 403}, CALL_FAILED, CLASS_permanent, "options.user_agent"},
        {{.status = 429}, CALL_RETRY, CLASS_none, "429"},
        {{.status = 502}, CALL_RETRY, CLASS_none, "502"},
    };
    static const struct trial_answer reverses[] = {
        {{.status = 200, .body = "{\"error\":\"Unable to geocode\"}"},
         CALL_FAILED,
         CLASS_permanent,
         "found nothing: Unable"},
    };

    trial_answers(&nominatim, GEOCODE, ADDRESS, searches, COUNT(searches), "none");
    trial_answers(&nominatim, REVERSE, POINT, reverses, COUNT(reverses), "none");
}

static void a_place_has_its_degrees_as_numbers_and_its_price(void **state)
{
    (void)state;
    struct call *there = trial_answered(
        &google, GEOCODE, ADDRESS,
        (struct http_call){
            .status = 200,
            .body = "{\"status\":\"OK\",\"results\":[{\"formatted_address\":\"1 High "
                    "St\",\"geometry\":{\"location\":{\"lat\":51.5073219,\"lng\":-0.1}}}"
                    "]}"});
    struct call *osm = trial_answered(
        &nominatim, GEOCODE, ADDRESS,
        (struct http_call){.status = 200,
                           .body = "[{\"lat\":\"51.5073219\",\"lon\":\"-0.1\",\"display_"
                                   "name\":\"1 High St\"}]"});
    struct call *const calls[] = {there, osm};

    for (size_t i = 0; i < 2; i++) {
        struct buf text = BUF_NULL;
        assert_string_equal(trial_said(calls[i], "address"), "1 High St");
        js_write(js_get(call_outcome(calls[i])->data, "lat"), 0, &text);
        assert_string_equal(buf_str(&text), "51.5073219");
        buf_fini(&text);
    }
    assert_int_equal(call_outcome(there)->cost, 5000);
    assert_int_equal(call_outcome(there)->cost_kind, SB_ESTIMATED);
    assert_false(call_outcome(osm)->has_cost);
    call_free(there);
    call_free(osm);
}

static void a_way_has_its_length_and_its_time(void **state)
{
    (void)state;
    struct call *call = trial_answered(
        &google, ROUTE, "{\"origin\":\"A\",\"destination\":\"B\"}",
        (struct http_call){
            .status = 200,
            .body = "{\"status\":\"OK\",\"routes\":[{\"summary\":\"A40\",\"legs\":[{"
                    "\"distance\":{\"value\":9000},\"duration\":{\"value\":1200}}]}]}"});

    assert_int_equal(js_int(call_outcome(call)->data, "distance_m", 0), 9000);
    assert_int_equal(js_int(call_outcome(call)->data, "duration_s", 0), 1200);
    call_free(call);
}

static void the_most_a_call_costs_is_its_price(void **state)
{
    (void)state;
    assert_int_equal(trial_price_most(&google, "route", "USD"), 5000);
    assert_int_equal(trial_price_most(&nominatim, "geocode", "USD"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right_and_fit_an_integration),
        cmocka_unit_test(requests_are_these_bytes),
        cmocka_unit_test(nominatim_is_told_who_asks),
        cmocka_unit_test(bad_input_fails_before_any_call_and_names_the_member),
        cmocka_unit_test(googles_answers_have_their_results),
        cmocka_unit_test(nominatims_answers_have_their_results),
        cmocka_unit_test(a_place_has_its_degrees_as_numbers_and_its_price),
        cmocka_unit_test(a_way_has_its_length_and_its_time),
        cmocka_unit_test(the_most_a_call_costs_is_its_price),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
