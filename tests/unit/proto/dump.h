/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dump - frames, blocks and records as JSON: the readable half of proto/vectors
 *
 * Hashes are 16 hexadecimal digits, ids UUIDs, binaries {"hex": ...}, data JSON where it
 * is JSON.  Everything given back is to be js_free'd. */
#pragma once
#include <stddef.h>

struct block;
struct json;
struct message;
struct record;

struct json *dump_record(const struct record *r);
struct json *dump_block(const struct block *b);
struct json *dump_frame(const struct message *m);
