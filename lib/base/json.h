/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* json - JSON values; the only file that knows jansson
 *
 * Values are borrowed unless a function says otherwise.  Getters take a NULL or mistyped value and
 * answer with their default, so a path can be read without a ladder of checks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct json;

/* Parse a whole text: strict, duplicate names refused, whole numbers kept as int64, depth bounded.
 * Returns a value to be given to js_free(), or NULL with `line:col: reason` in error[error_size]. */
struct json *js_parse(const char *text, size_t n, char *error, size_t error_size);
void js_free(struct json *value);
/* From now on this file too ends the process when there is no memory, as mem_alloc does: without it a value that found
 * none is one that is missing. A process of ours begins with it; in somebody else's, jansson is not ours to change. */
void js_checked(void);
/* From now on (until false) whatever this file gives back to the allocator, the parser's own buffers too, is
 * overwritten first: around the reading of secrets, in a process with one thread. */
void js_wipe(bool is_secret);

/* The member at a dotted path ("data.object.id"; a segment that is a number indexes an array). NULL when absent. */
const struct json *js_get(const struct json *value, const char *path);
/* The text at path, or `otherwise`. The text lives as long as the value. */
const char *js_text(const struct json *value, const char *path, const char *otherwise);
int64_t js_int(const struct json *value, const char *path, int64_t otherwise);
double js_number(const struct json *value, const char *path, double otherwise);
bool js_bool(const struct json *value, const char *path, bool otherwise);
bool js_is_object(const struct json *value);
bool js_is_array(const struct json *value);
bool js_is_text(const struct json *value);
bool js_is_int(const struct json *value);
bool js_is_number(const struct json *value);
bool js_is_bool(const struct json *value);
bool js_is_null(const struct json *value);
/* Elements of an array, members of an object; 0 for anything else. */
size_t js_count(const struct json *value);
const struct json *js_at(const struct json *array, size_t index);
/* Walk an object's members in their order: start with cursor NULL, until it is NULL again. */
const struct json *js_next(const struct json *object, void **cursor, const char **ret_name);

/* Builders. Setters copy texts and take over ("steal") `member`; they return the container for chaining. */
struct json *js_object(void);
struct json *js_array(void);
struct json *js_null(void);
struct json *js_from_text(const char *text, size_t n); /* NULL when not UTF-8 */
struct json *js_from_int(int64_t number);
struct json *js_from_bool(bool value);
/* The number that the text is in JSON ("51.5073"); NULL when it is none. */
struct json *js_from_number(const char *text);
/* A deep copy. */
struct json *js_copy(const struct json *value);
struct json *js_set(struct json *object, const char *name, struct json *member);
struct json *js_set_text(struct json *object, const char *name, const char *text); /* NULL text: nothing set */
struct json *js_set_int(struct json *object, const char *name, int64_t number);
struct json *js_set_bool(struct json *object, const char *name, bool value);
struct json *js_push(struct json *array, struct json *element);
/* Append the compact text (indent 0) or an indented one to `out`. Numbers keep their value; 0.7 stays 0.7. */
void js_write(const struct json *value, int indent, struct buf *out);
