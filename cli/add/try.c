/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/add/try.h"

#include <stdio.h>

#include "cli/connector/parcel.h"
#include "cli/connector/result.h"
#include "cli/connector/stand.h"
#include "cli/connector/subject.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

enum { END_MS = 15000, HOW_SIZE = 100 };

const struct json *try_operation(const struct json *manifest)
{
    const struct json *operations = js_get(manifest, "operations");

    for (size_t i = 0; i < js_count(operations); i++)
        if (js_bool(js_at(operations, i), "is_harmless", false))
            return js_at(operations, i);
    return NULL;
}

static bool deliver(const struct try_options *options, struct stand *stand,
                    struct subject *subject, char *error, size_t error_size)
{
    const struct parcel parcel = {.operation = js_text(options->operation, "name", ""),
                                  .data = js_get(options->operation, "example")};
    struct result result;

    if (!parcel_deliver(stand, subject, &parcel, &result, error, error_size))
        return false;
    if (!result.is_success)
        snprintf(error, error_size, "%s", result.message);
    return result.is_success;
}

bool try_call(const struct try_options *options, char *error, size_t error_size)
{
    struct stand stand = {.wire = NULL};
    struct subject subject;
    char *words[] = {(char *)(uintptr_t)options->program}, how[HOW_SIZE];
    struct subject_start start = {
        .base_url = options->base_url,
        .options = options->options,
        .values = options->secrets,
        .needs_secrets = true,
        .is_private = options->allow_private_network,
    };
    struct loop *loop = loop_new();
    bool is_good =
        subject_open(&subject, words, 1, options->provider, error, error_size) == 0;

    subject.integration = options->integration;
    if (is_good && !start.base_url)
        start.base_url = js_text(subject.manifest, "base_url", NULL);
    if (is_good && subject_start(&subject, &start, error, error_size) == 0) {
        _free_ char *endpoint = subject_endpoint(&subject);
        is_good = stand_open(&stand, loop, endpoint, error, error_size) == 0 &&
                  deliver(options, &stand, &subject, error, error_size);
        (void)subject_stop(&subject, END_MS, how); /* its result is what was wanted */
    } else {
        is_good = false;
    }
    subject_close(&subject);
    if (stand.wire)
        stand_close(&stand);
    loop_free(loop);
    return is_good;
}
