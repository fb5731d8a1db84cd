/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* attrs - the small msgpack maps: an event's attributes, and the bodies of low-rate messages
 *
 * Keys are small integers (the table below) or, for extension attributes and message bodies, texts.
 * Values are texts, binaries, integers or booleans; no nesting.  Reading is done in two steps: a scan of
 * our own checks every declared length against what is there, before msgpack-c sees a byte
 * (five bytes can make it reserve 8 GiB), then msgpack-c unpacks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* ATTR(number, name, meaning): CloudEvents 1.0 names where it has one */
#define ATTRS(ATTR)                                                                       \
    ATTR(1, ID, "id", "the event's own id where it is not a UUID")                        \
    ATTR(2, SOURCE, "source", "who made it (CloudEvents)")                                \
    ATTR(3, SUBJECT, "subject", "what it is about (CloudEvents)")                         \
    ATTR(4, CONTENT_TYPE, "datacontenttype", "media type of data, unless JSON")           \
    ATTR(5, SCHEMA, "dataschema", "CloudEvents")                                          \
    ATTR(6, KEY, "key", "ordering key")                                                   \
    ATTR(7, TRACEPARENT, "traceparent", "W3C trace context")                              \
    ATTR(8, TRACESTATE, "tracestate", "W3C trace context")                                \
    ATTR(9, SERVICE, "service", "the name in the IntegrationLog, where no integration gives it") \
    ATTR(10, ERROR_MSG, "error_msg", "why it failed, for people; never a secret")         \
    ATTR(11, COST, "cost", "millionths of the currency's unit")                           \
    ATTR(12, CURRENCY, "cost_currency", "ISO 4217")                                       \
    ATTR(13, COST_KIND, "cost_kind", "estimated or actual")                               \
    ATTR(14, IDEMPOTENCY_KEY, "idempotency_key", "as the sender gave it; of what was found, the provider's id") \
    ATTR(15, CAUSE_TEXT, "cause", "id of the cause where it is not a UUID")               \
    ATTR(16, CURSOR, "cursor", "of a poll's outcome: where the next run starts")          \
    ATTR(17, MORE, "more", "of a poll's outcome: run again at once")                      \
    ATTR(18, ENDPOINT, "endpoint", "the webhook path it came through")                    \
    ATTR(19, SCHEDULE, "schedule", "the schedule whose run it is")                        \
    ATTR(20, ACTOR, "actor", "the person or token that caused it")                        \
    ATTR(21, CALL_KEY, "call_key", "of a redrive: what the service's idempotency key is made of, in place of the id") \
    ATTR(22, CALL_KEY_TIME, "call_key_time", "when that key may have been used first, in microseconds") \
    ATTR(23, KNOWN, "known", "of an outcome, by the broker: facts that came with it and were not filed, for they had come before") \
    ATTR(24, WEAK, "weak", "of a webhook: its provider signs too little, so its body may be anybody's who has seen another")

enum attr {
#define ATTR(number, name, text, meaning) ATTR_##name = number,
    ATTRS(ATTR)
#undef ATTR
    ATTR_COUNT = 25
};

/* The JSON name of an attribute ("source"), NULL when out of range. */
const char *attr_name(unsigned attr);

/* --- writing: attrs_begin, then any number of the others; the map's count is kept right --- */

/* Start a map at the end of `out`; the map is the rest of the buffer until attrs_begin is called again. */
void attrs_begin(struct buf *out);
void attrs_text(struct buf *out, enum attr attr, const char *text); /* NULL: nothing added */
void attrs_int(struct buf *out, enum attr attr, int64_t value);
void attrs_bool(struct buf *out, enum attr attr, bool value);
/* The same under a text as key. */
void attrs_named_text(struct buf *out, const char *name, const char *text); /* NULL: nothing added */
void attrs_named_int(struct buf *out, const char *name, int64_t value);
void attrs_named_bool(struct buf *out, const char *name, bool value);
void attrs_named_bin(struct buf *out, const char *name, const void *bytes, size_t n);
/* Add all members of another map (checked; a bad one adds nothing). */
void attrs_join(struct buf *out, const void *map, size_t n);

/* --- reading --- */

enum attr_type { ATTR_IS_TEXT, ATTR_IS_BIN, ATTR_IS_INT, ATTR_IS_BOOL };

struct attr_value {
    unsigned attr;        /* 0 when the key is a text */
    const char *name;     /* the key as text (not NUL-terminated), or NULL */
    size_t name_len;
    enum attr_type type;
    const char *text;     /* text or binary; borrowed, not NUL-terminated */
    size_t text_len;
    int64_t number;       /* integer or boolean */
};

/* Called for each member; return false to stop. */
typedef bool (*attrs_fn)(void *user, const struct attr_value *value);

/* Walk a map of n bytes. Returns 0, or -1 with a reason when it is not one flat, complete map of known
 * value types (fn may have been called for the members before). n = 0 is an empty map. */
int attrs_walk(const void *map, size_t n, attrs_fn fn, void *user, const char **ret_why);
/* Is it a well-formed map? */
bool attrs_ok(const void *map, size_t n, const char **ret_why);
/* One member. False when absent or of another type; the text is borrowed and not NUL-terminated. */
bool attrs_find_text(const void *map, size_t n, enum attr attr, const char **ret_text, size_t *ret_len);
bool attrs_find_int(const void *map, size_t n, enum attr attr, int64_t *ret_value);
bool attrs_find_named(const void *map, size_t n, const char *name, struct attr_value *ret_value);
/* A copy as a C string to be freed, NULL when absent. */
char *attrs_copy_text(const void *map, size_t n, enum attr attr);
char *attrs_copy_named(const void *map, size_t n, const char *name);
