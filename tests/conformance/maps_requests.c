/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the maps connector would send. */
#include "tests/conformance/requests.h"

int maps_main(int argc, char **argv);
#define main maps_main
#include "connectors/maps/maps.c"
#undef main

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "AIza0123456789";
}

static char *names[] = {(char[]){"language"}, (char[]){"region"}};
static char *values[] = {(char[]){"en-GB"}, (char[]){"uk"}};
static const struct integration google = {.connector = &maps,
                                          .provider = &providers[0],
                                          .name = "google",
                                          .base_url = "https://maps.googleapis.com",
                                          .option_names = names,
                                          .option_values = values,
                                          .n_options = 2,
                                          .secret = secret};

static char *who_names[] = {(char[]){"user_agent"}};
static char *who_values[] = {(char[]){"shop/1.0 (ops@example.com)"}};
static const struct integration nominatim = {.connector = &maps,
                                             .provider = &providers[1],
                                             .name = "nominatim",
                                             .base_url =
                                                 "https://nominatim.openstreetmap.org",
                                             .option_names = who_names,
                                             .option_values = who_values,
                                             .n_options = 1,
                                             .secret = secret};

static const struct input inputs[] = {
    {&nominatim, "nominatim", "maps.geocode.requested", "{\"address\":\"a & \\u00fc\"}"},
    {&nominatim, "nominatim", "maps.reverse.requested", "{\"lat\":51.5,\"lng\":-0.12}"},
    {&google, "gmaps", "maps.geocode.requested", "{\"address\":\"a & \\u00fc\"}"},
    {&google, "gmaps", "maps.reverse.requested", "{\"lat\":51.5,\"lng\":-0.12}"},
    {&google, "gmaps", "maps.route.requested",
     "{\"origin\":\"a & b\",\"destination\":{\"lat\":51.6,\"lng\":-0.2},\"mode\":"
     "\"bicycling\"}"},
};

int main(void)
{
    int refused = 0;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        refused += print_request(&inputs[i]);
    return refused ? 1 : 0;
}
