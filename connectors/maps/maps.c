/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* maps - where an address is, what is at a place, and the way from one to another */
#include "maps.h"

static const struct sb_provider providers[] = {
    {.name = "google",
     .base_url = "https://maps.googleapis.com",
     .options = google_options,
     .secrets = google_secrets,
     .operations = google_operations,
     .failures = google_failures,
     .service = "Google Maps"},
    {.name = "nominatim",
     .base_url = "https://nominatim.openstreetmap.org",
     .options = nominatim_options,
     .operations = nominatim_operations,
     .failures = nominatim_failures,
     .service = "Nominatim",
     .limits = "{ rate: 1/s, concurrency: 1 }"},
    {.name = NULL},
};

static const struct sb_connector maps = {
    .name = "maps",
    .version = "1",
    .summary = "signalbox connector: maps (Google, Nominatim)",
    .providers = providers,
    .tests = "unit tests of requests and answers without a network; requests are held "
             "against Google's OpenAPI description; the sandbox answers as the providers "
             "do, refusals and faults included",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&maps, argc, argv);
}
