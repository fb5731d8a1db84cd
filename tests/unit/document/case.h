/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* case - an integration with all that a document is made from, to be changed by tests */
#pragma once
#include "lib/document/document.h"
#include "lib/document/seen.h"

struct case_world {
    struct document document;
    struct seen seen;
    struct document_secret secret; /* what is said of every secret */
    bool is_known;
    struct seen_event events[8];
    struct seen_cost costs[4];
    struct config *config;
    struct json *manifest;
};

/* Integration number `index` of the configuration; manifest: JSON, NULL for none. Nothing
 * was seen, every secret was set on 2026-01-01. */
void case_open(struct case_world *world, const char *yaml, size_t index,
               const char *manifest);
void case_close(struct case_world *world);
void case_event(struct case_world *world, const char *type, enum record_kind kind,
                uint64_t count, uint64_t failed, enum record_class error_class);
struct seen_cost *case_cost(struct case_world *world, const char *operation,
                            const char *currency, uint64_t calls, int64_t actual);
/* The last run of tests was of what stands in `document` now, and found this. */
void case_tested(struct case_world *world, unsigned passed, unsigned failed);
#define CASE_DAY_US   UINT64_C(86400000000)
#define CASE_START_US UINT64_C(1767225600000000) /* 2026-01-01 */

extern const char case_yaml[], case_manifest[];
