/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* record - one event or one fact about delivery, in the same bytes on the wire, in the log and in a delivery
 *
 * A record is a fixed little-endian header of 88 bytes, then the type's text, a small msgpack map of
 * attributes (proto/attrs.h), the data, and zeros up to a multiple of 8.  Everything the broker
 * routes by has a fixed place, so it never unpacks msgpack: work per event is arithmetic.
 *
 * Kinds below 16 are events.  The others are control records: what happened to deliveries, written
 * into the same blocks, with the body documented in proto/control.h as their data. */
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the log and the wire are little-endian");

enum {
    RECORD_DATA_MAX = 1 << 20,         /* an event's data and attributes; larger: refused `event_too_large` */
    RECORD_SIZE_MAX = RECORD_DATA_MAX + (64 << 10), /* header, type, attributes and data together */
    RECORD_GROUP_MAX = 2 << 20,        /* one batch: committed whole or not at all */
    RECORD_TYPE_MAX = 200,             /* ZeroMQ 4.3.4 mis-encodes longer topics */
    RECORD_ATTRS_MAX = 32 << 10,
};

enum record_kind {
    RECORD_REQUEST = 1, /* wants exactly one outcome from one integration */
    RECORD_OUTCOME = 2, /* answers a request, and is the acknowledgement of its delivery */
    RECORD_FACT = 3,    /* something that happened; any number of groups may consume it */
    /* control records: see proto/control.h */
    RECORD_BATCH = 16,
    RECORD_IDEMPOTENCY = 17,
    RECORD_ACK = 18,
    RECORD_RETRY = 19,
    RECORD_MANIFEST = 20,
    RECORD_INTEGRATION = 21,
    RECORD_SESSION = 22,
    RECORD_SCHEDULE = 23,
    RECORD_CHECKPOINT = 24,
    RECORD_NOTE = 25,
    RECORD_START = 26,
};

enum record_status { STATUS_PENDING = 0, STATUS_SUCCESS = 1, STATUS_FAILED = 2 };

/* Why an event ended Failed.  CLASS(number, name, sentence) */
#define RECORD_CLASSES(CLASS)                                                                   \
    CLASS(0, none, "it did not fail")                                                           \
    CLASS(1, permanent, "the service refused it for good; the same request would be refused again") \
    CLASS(2, exhausted, "every attempt failed; the last reason is given")                       \
    CLASS(3, deadline, "its deadline passed before an attempt could start")                     \
    CLASS(4, poison, "it took its connector down each time it was tried alone")                 \
    CLASS(5, budget, "the integration's budget for the day is spent")                           \
    CLASS(6, unverified, "a webhook request whose signature did not verify")                    \
    CLASS(7, missed, "a scheduled run that could not take place when it was due")               \
    CLASS(8, unknown, "the request was sent and its effect cannot be known; a person must look") \
    CLASS(9, cancelled, "a person cancelled it before it was attempted")

enum record_class {
#define CLASS(number, name, sentence) CLASS_##name = number,
    RECORD_CLASSES(CLASS)
#undef CLASS
    CLASS_COUNT
};

enum record_flags {
    RECORD_FOREIGN_ID = 1, /* `id` is id_foreign() of the text in ATTR_ID */
    RECORD_SCHEDULED = 2,  /* a request made by the broker's clock; its outcome moves the schedule's cursor */
    RECORD_WEBHOOK = 4,    /* came through a verified endpoint */
    RECORD_BY_BROKER = 8,  /* the broker itself wrote it: an outcome (deadline, exhausted, lost, ...) or a redrive */
    RECORD_JSON = 16,      /* data is JSON (application/json); datacontenttype is then not stored */
    RECORD_ONE_GROUP = 32, /* a fact made by a redrive: for the one consumer group whose hash is in `cause_index` */
    RECORD_DOUBT = 64,     /* of a RETRY, or an outcome by the broker: an attempt may have had its effect */
    RECORD_FOUND = 128,    /* a connector found it: it came with the outcome of its `cause`, under the provider's id */
    /* An event of the provider's own, whichever way it came: to handle it calls nobody. */
    RECORD_PROVIDERS = RECORD_WEBHOOK | RECORD_FOUND,
};

struct record {
    uint32_t len;        /* the whole record, a multiple of 8 */
    uint32_t data_len;
    uint16_t attr_len;   /* the msgpack map; 0 when there are no attributes */
    uint8_t kind;        /* enum record_kind */
    uint8_t status;      /* enum record_status */
    uint8_t error_class; /* enum record_class */
    uint8_t flags;       /* enum record_flags */
    uint8_t type_len;    /* 0 only for control records */
    uint8_t attempt;     /* of an outcome: attempts spent, 255 and more as 255 */
    uint64_t type_hash;  /* hash64 of the type's text; verified when it is accepted */
    uint64_t key_hash;   /* hash64 of the ordering key, 0 = none */
    uint64_t time_us;    /* the maker's claim when it happened; 0 = the block's timestamp */
    union {
        uint64_t deadline_us; /* of a request: no attempt starts after it; 0 = none */
        uint64_t cause_block; /* of an outcome: the block of the request it settles */
    };
    uint8_t id[16];
    uint8_t cause[16];    /* id of the event that led to this one; zero = none */
    uint32_t integration; /* integration_hash() of the name; 0 = none. Of a request as published: 0 = choose */
    uint32_t cause_index; /* of an outcome: the request's index in cause_block; with RECORD_ONE_GROUP: the group */
};

static_assert(sizeof(struct record) == 88, "the header is wire format");

/* Where a record stands in the log: the block's number and the record's index in it, from 0,
 * control records counted too. */
struct position {
    uint64_t block;
    uint32_t index;
};

/* The name of an integration or a group in fixed places: the low 32 bits of hash64, never 0. */
uint32_t integration_hash(const char *name);

static inline const char *record_type(const struct record *r)
{
    return (const char *)(r + 1);
}
static inline const uint8_t *record_attrs(const struct record *r)
{
    return (const uint8_t *)(r + 1) + r->type_len;
}
static inline const uint8_t *record_data(const struct record *r)
{
    return record_attrs(r) + r->attr_len;
}
static inline const struct record *record_after(const struct record *r)
{
    return (const struct record *)((const uint8_t *)r + r->len);
}
static inline bool record_is_event(const struct record *r)
{
    return r->kind < RECORD_BATCH;
}

/* May a consumer group take it, as far as the record says? */
static inline bool record_is_for(const struct record *r, uint32_t group)
{
    return !(r->flags & RECORD_ONE_GROUP) || r->cause_index == group;
}
/* The id as people know it: the foreign one where it is one, else the UUID. To be freed. */
char *record_id_text(const struct record *r);
/* What the service's idempotency key is made of: ATTR_CALL_KEY where a redrive (RECORD_BY_BROKER) kept one, else the event's id (of a
 * foreign id a hash with the source, since such ids repeat between sources). To be freed. */
char *record_call_key(const struct record *r);

/* The record at `bytes` (8-aligned) if what it declares lies within `n` bytes and within the
 * limits above, and kind, status and class are known; NULL otherwise, with the reason in *ret_why.
 * Attributes are not looked into.  Costs a handful of comparisons. */
const struct record *record_check(const void *bytes, size_t n, const char **ret_why);
/* Do type_hash and the type's text agree, and is the text a legal type? */
bool record_type_ok(const struct record *r);
/* How many records are in n bytes, all of them checked; -1, the offset and the reason when one is bad. */
int record_count(const void *bytes, size_t n, size_t *ret_offset, const char **ret_why);

/* What a record is made from.  All pointers are borrowed; absent ones are NULL. */
struct record_parts {
    enum record_kind kind;
    enum record_status status;
    enum record_class error_class;
    uint8_t flags, attempt;
    const char *type;         /* NULL for control records */
    const uint8_t *id;        /* 16 bytes */
    const uint8_t *cause;     /* 16 bytes or NULL */
    const char *key;          /* sets key_hash and ATTR_KEY; the caller's attrs must not hold it */
    uint64_t time_us, deadline_us;
    struct position settles;  /* of an outcome */
    uint32_t integration;
    const void *attrs;        /* a msgpack map made with attrs_*, or NULL */
    size_t attr_len;
    const void *data;
    size_t data_len;
};

/* Append one record to `out` (which must be 8-aligned in length). Returns its offset in out, or -1
 * when a part is over its limit (nothing is appended). */
long record_add(struct buf *out, const struct record_parts *parts);

/* "permanent" for 1, "none" for 0; "?" when out of range. */
const char *class_name(unsigned error_class);
/* The sentence of a class. */
const char *class_sentence(unsigned error_class);
/* The number of a class by name, -1 when there is none. */
int class_find(const char *name);
/* "Pending", "Success", "Failed". */
const char *status_name(unsigned status);
/* "request", "outcome", "fact"; "control" for the others. */
const char *kind_name(unsigned kind);
