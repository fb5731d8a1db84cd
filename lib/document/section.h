/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* section - the parts of a document, each of which says what it knows into a page */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/text.h"
#include "lib/document/catalogue.h"
#include "lib/document/document.h"
#include "lib/document/page.h"
#include "lib/document/seen.h"

struct view {
    const struct document *document;
    const struct catalogue *catalogue;
    const char *service; /* its name for people */
};
typedef void (*section_fn)(const struct view *view, struct page *page);

void glance_section(const struct view *view, struct page *page);
void pattern_section(const struct view *view, struct page *page);
void authentication_section(const struct view *view, struct page *page);
void events_section(const struct view *view, struct page *page);
void failures_section(const struct view *view, struct page *page);
void testing_section(const struct view *view, struct page *page);
void cost_section(const struct view *view, struct page *page);

/* --- words they share --- */

enum { DAY_TEXT_SIZE = 11, DURATION_TEXT_SIZE = 32 };
/* "2026-11-25" */
void day_text(uint64_t time_us, char ret[DAY_TEXT_SIZE]);
/* The duration, or `otherwise` for 0. */
const char *duration_text(uint64_t us, const char *otherwise,
                          char ret[DURATION_TEXT_SIZE]);
/* A text that stands for one that is absent or empty. */
const char *text_or(const char *text, const char *otherwise);

/* The price of one call of an operation by the model: the configuration's of that time,
 * else the most that the manifest says; false when neither has an amount. */
bool model_price(const struct document *document, const char *operation, uint64_t at_us,
                 int64_t *ret_micros, char ret_currency[4], const char **ret_from);

/* The value of an option as configured; NULL: it is not. */
const char *model_option(const struct config_integration *integration, const char *name);
/* A price list of a day (YYYY-MM-DD) is so many days old at a time. False: that is no
 * day. */
bool model_age_days(const char *date, uint64_t at_us, uint64_t *ret_days);

/* The failures that signalbox itself makes of an integration, and what becomes of them.
 */
struct own_failure {
    enum record_class error_class;
    const char *name, *then;
};
/* The one of this class, if it can happen here; NULL. */
const struct own_failure *own_failure(const struct document *document,
                                      enum record_class error_class);
/* Does the text, as a manifest says it, begin with the name of this class? */
bool failure_is_of(const char *seen_as, enum record_class error_class);
