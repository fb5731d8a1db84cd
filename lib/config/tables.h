/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tables - everything that may be written into signalbox.yaml, once
 *
 * From these come the parser, the defaults, the bounds, the reference page and the
 * difference that `reload` shows. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
    /* single values: lib/config/value.c */
    FIELD_TEXT, /* char * */
    FIELD_NAME, /* char *, text_is_name() */
    FIELD_PATH, /* char *, made absolute */
    FIELD_URL,
    FIELD_SERVICE_URL,
    /* also of a mail server */ /* char *, http:// or https://, no user, no query */
    FIELD_CHOICE,               /* char *, one of `choices` */
    FIELD_ENUM,                 /* int, the index in `choices` */
    FIELD_BOOL,                 /* bool */
    FIELD_COUNT,                /* uint32_t */
    FIELD_SIZE,                 /* uint64_t, bytes */
    FIELD_DURATION,             /* uint64_t, microseconds */
    FIELD_RATE,                 /* double, per second */
    FIELD_MONEY,                /* struct money */
    FIELD_KEY,                  /* char *, of an encrypted link: 40 characters of Z85 */
    FIELD_ADDRESS,              /* char * at offset, uint16_t at count_offset */
    /* several: lib/config/bind.c; the array at offset, its size_t at count_offset */
    FIELD_TYPES,         /* char **: event type patterns */
    FIELD_NAMES,         /* char **: names */
    FIELD_WORDS,         /* char **: a program and its arguments, ended by NULL too */
    FIELD_SECRET,        /* struct config_secret *: one reference, as a list of one */
    FIELD_SECRETS,       /* struct config_secret *: a list of references */
    FIELD_NAMED_SECRETS, /* struct config_secret *: a mapping from use to reference */
    FIELD_PRICES,        /* struct config_price *: from operation to one or several */
    FIELD_OPTIONS, /* char ** names at offset, char ** values right behind, size_t at
                      count_offset */
    FIELD_SECTION, /* `section`, its offsets counted from the same start as this one's */
    FIELD_ITEMS,   /* a list of `section`s */
    FIELD_NAMED_ITEMS, /* a mapping from a name to `section`s */
    FIELD_TYPE_COUNT,
};

struct section;
struct field {
    const char *name;
    enum field_type type;
    bool is_required; /* of a list: at least one */
    size_t offset, count_offset;
    const char *fallback; /* written as in the file; "<data>/x" and "<here>/x" for paths;
                             NULL: none */
    uint64_t min, max;    /* of counts, sizes, durations; max 0: no bound */
    const char *const *choices; /* ended by NULL */
    const struct section *section;
    const char *sentence;
};

#define SECTION_NONE SIZE_MAX
struct section {
    const char *what;   /* "an integration": in errors */
    size_t size;        /* of an item's struct; 0 for a plain section */
    size_t name_offset; /* char *: where a named item's name goes, or SECTION_NONE */
    size_t line_offset; /* int: where the line goes, or SECTION_NONE */
    const char
        *key; /* the field that tells list items apart in a difference; NULL for others */
    const struct field *fields; /* ended by a NULL name */
};

extern const struct section config_section;
