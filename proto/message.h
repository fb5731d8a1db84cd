/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* message - the 24-byte header of every frame, the message set and the small fixed bodies
 *
 * One frame per message: the header, then `body_len` bytes.  Bodies that are maps are read with
 * proto/attrs.h (text keys), bodies of records with proto/record.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct buf;

enum {
    MESSAGE_MAGIC = 0x4253,      /* "SB" */
    MESSAGE_VERSION = 1,
    MESSAGE_SIZE_MAX = 4 << 20,  /* a frame; ZMQ_MAXMSGSIZE on every socket */
    CREDIT_EVENTS_DEFAULT = 65536,
    CREDIT_BYTES_DEFAULT = 16 << 20,
    WINDOW_BYTES_DEFAULT = 8 << 20, /* published and not yet committed, per session */
};

enum message_type {
#define MESSAGE(number, name, from, body) MSG_##name = number,
#include "proto/messages.def"
#undef MESSAGE
};

enum message_flags {
    MESSAGE_WANTS_OUTCOME = 1, /* of PUBLISH: send OUTCOME for each request of this batch */
};

struct message {
    uint16_t magic;
    uint8_t version;
    uint8_t type; /* enum message_type */
    uint16_t flags;
    uint16_t reserved;
    uint32_t body_len;
    uint32_t count;
    uint64_t ref;
};
static_assert(sizeof(struct message) == 24, "the header is wire format");

/* PUBLISHED: where the batch stands; then one verdict for each event that was not stored. */
struct published {
    uint64_t block;
    uint32_t first; /* index of the batch's first record in the block */
    uint32_t verdicts;
    uint64_t timestamp_us;
};
enum { VERDICT_DUPLICATE = 1, VERDICT_CONFLICT = 2 };
struct verdict {
    uint32_t index; /* of the event among the events of the batch, from 0 */
    uint32_t code;
    uint8_t first_id[16]; /* the event that came first under this idempotency key */
    uint64_t block;       /* where that one stands */
    uint64_t position;    /* its index there */
};

struct credit {
    uint32_t events;
    uint32_t bytes;
};

/* DELIVER and OUTCOME: `count` consecutive records of one block, `bytes` long, follow. Records in
 * between that are not the group's are left out by ending the slice. */
struct slice {
    uint64_t block;
    uint32_t index;
    uint32_t count;
    uint32_t bytes;
    uint16_t attempt; /* 1 for the first delivery; more than 1 only in slices of one */
    uint16_t flags;   /* enum slice_flags */
    uint64_t timestamp_us;
};
static_assert(sizeof(struct slice) == 32, "wire format");
enum slice_flags { SLICE_DOUBT = 1 };

/* FENCED, COMMITTED, FULL: the logger's end of the log. */
struct log_head {
    uint64_t number; /* last committed block, 0 = none */
    uint64_t term;
    uint64_t timestamp_us; /* of that block */
    uint64_t segment_room; /* bytes left in the open segment */
    uint64_t spare_bytes;  /* bytes that could still be written beyond it: written-ahead segments and disk */
    uint32_t crc;          /* of the last committed block */
    uint32_t is_full;      /* 1: too little room for intake */
};

/* Position as a body of PING, WAIT, REPLAY. */
struct wire_position {
    uint64_t block;
    uint32_t index;
    uint32_t reserved;
};

/* The header of a frame of n bytes (8-aligned) when it is one of ours and the body is all there; NULL
 * and a reason otherwise. An unknown type is not an error here. */
const struct message *message_check(const void *frame, size_t n, const char **ret_why);
static inline const void *message_body(const struct message *m)
{
    return m + 1;
}
/* Start a frame in `out` (cleared): append the body after it, then message_end. */
void message_begin(struct buf *out, enum message_type type, uint64_t ref);
/* Write body_len; returns the header for flags and count. */
struct message *message_end(struct buf *out);
/* Walk the slices of a DELIVER or OUTCOME body: *at = NULL at first; returns the slice, its first record in
 * *ret_records (all `count` records are checked), or NULL at the end or (with *ret_why set) when damaged. */
const struct slice *message_slice(const struct message *m, const struct slice *previous,
                                  const struct record **ret_records, const char **ret_why);

const char *message_name(unsigned type); /* "PUBLISH"; "?" when unknown */

/* --- errors --- */
enum error_code {
    ERR_none = 0,
#define ERROR(name, number, status, retry, sentence) ERR_##name = number,
#include "proto/errors.def"
#undef ERROR
    ERR_COUNT
};
struct error_info {
    const char *name;
    int http_status;
    int may_retry;
    const char *sentence;
};
/* Never NULL; unknown codes give "unknown_error", 500. */
const struct error_info *error_info(unsigned code);
/* The code of a name; 0 when there is none. */
unsigned error_find(const char *name, size_t n);
