/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/facts.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/record.h"

/* Is the type among the texts of the list, or those of this member of its objects? */
static bool lists(const struct json *list, const char *member, const struct record *r)
{
    for (size_t i = 0; i < js_count(list); i++) {
        const char *text = js_text(js_at(list, i), member, "");
        if (strlen(text) == r->type_len && memcmp(text, record_type(r), r->type_len) == 0)
            return true;
    }
    return false;
}

static bool is_under(const char *integration, const struct record *r)
{
    size_t n = integration ? strlen(integration) : 0;

    return n && r->type_len > n + 1 && record_type(r)[n] == '.' &&
           memcmp(record_type(r), integration, n) == 0;
}

static const char *misfit(const struct record *outcome, const struct record *r,
                          const struct json *manifest, const char *integration)
{
    const char *key = NULL;
    size_t key_len = 0;
    bool is_keyed = attrs_find_text(record_attrs(r), r->attr_len, ATTR_IDEMPOTENCY_KEY,
                                    &key, &key_len);

    if (!record_type_ok(r))
        return "its type and the type's hash do not agree";
    if (r->flags & ~(RECORD_JSON | RECORD_FOREIGN_ID))
        return "it has flags that are not a connector's to set";
    if (is_keyed && key_len == 0)
        return "its idempotency_key is empty";
    if (is_keyed && (!outcome || memcmp(outcome->cause, r->cause, 16) != 0))
        return "it has an idempotency_key and does not stand behind its outcome with the "
               "same cause";
    if (lists(js_get(manifest, "publishes"), NULL, r) ||
        lists(js_get(manifest, "webhooks"), "becomes", r))
        return NULL;
    if (!is_under(integration, r))
        return "the manifest does not declare its type";
    return is_keyed ? NULL
                    : "an event of the provider's has its id as the idempotency_key";
}

bool facts_may_be_said(const struct buf *records, const struct json *manifest,
                       const char *integration, char *why, size_t why_size)
{
    const struct record *outcome = NULL;

    for (size_t at = 0; at < records->len;) {
        const struct record *r = (const struct record *)(records->bytes + at);
        const char *what =
            r->kind == RECORD_FACT ? misfit(outcome, r, manifest, integration) : NULL;
        if (what) {
            snprintf(why, why_size, "the fact %.*s: %s", r->type_len, record_type(r),
                     what);
            return false;
        }
        if (r->kind != RECORD_FACT)
            outcome = r->kind == RECORD_OUTCOME ? r : NULL;
        at += r->len;
    }
    return true;
}
