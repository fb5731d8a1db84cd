/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* again - may a request whose effect is not known be redriven?  As the broker judges it
 * (broker/redrive.c), so that what a person is told to do is not refused. */
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/state.h"
#include "proto/attrs.h"

static const char *manifest_of(const struct ledger *ledger, uint32_t integration)
{
    for (size_t i = 0; i < ledger->n_manifests; i++)
        if (ledger->manifests[i].hash == integration)
            return ledger->manifests[i].text;
    return NULL;
}

/* The request's operation, as the manifest has it; NULL: it has none. */
static const struct json *operation_of(const struct json *manifest,
                                       const struct record *r)
{
    const struct json *list = js_get(manifest, "operations");

    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *operation = js_at(list, i);
        _free_ char *type = mem_format("%s.%s.requested", js_text(manifest, "name", ""),
                                       js_text(operation, "name", ""));
        if (strlen(type) == r->type_len && memcmp(type, record_type(r), r->type_len) == 0)
            return operation;
    }
    return NULL;
}

/* Does the service know the request's key still? */
static bool key_lives(const struct json *operation, const struct record *r,
                      uint64_t committed_us, uint64_t now_us)
{
    int64_t since_us = (int64_t)committed_us;

    attrs_find_int(record_attrs(r), r->attr_len, ATTR_CALL_KEY_TIME, &since_us);
    return now_us <
           (uint64_t)since_us +
               (uint64_t)js_int(operation, "key_lifetime_s", 0) * UINT64_C(1000000);
}

bool again_is_safe(const struct ledger *ledger, const struct record *r,
                   uint64_t committed_us, uint64_t now_us)
{
    const char *text = manifest_of(ledger, r->integration);
    char error[128];
    struct json *manifest =
        text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
    const struct json *operation = operation_of(manifest, r);
    const char *repeat = js_text(operation, "repeat", "never");

    bool is_safe =
        operation &&
        (strcmp(repeat, "safe") == 0 || js_bool(operation, "lookup", false) ||
         (strcmp(repeat, "keyed") == 0 && key_lives(operation, r, committed_us, now_us)));
    js_free(manifest);
    return is_safe;
}
