/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* content - what is in a webhook that was verified: its events, or a handshake
 *
 * Where a row says that an id or a type stands: alternatives with blanks between, the
 * first that is there counts. Each is parts joined by `+`, all of which must be there:
 * header:NAME, =literal, #body (the SHA-256 of the body, for senders that give no id),
 * the dotted path of a text in the body, or int:PATH of a whole number. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "gateway/scheme.h"

struct buf;
struct json;

struct content {
    const struct scheme *scheme;
    const char *body;
    size_t body_len;
    bool is_form;
    const char *(*header)(void *user, const char *name); /* NULL when absent */
    void *user;
    struct json *fields; /* of a form that was read */
};

enum { CONTENT_EVENTS_MAX = 4096 };

/* Called for each event; everything is borrowed. False ends the walk. */
typedef bool (*content_fn)(void *user, const char *event_id, const char *type,
                           const void *data, size_t data_len);

/* Read the body: JSON is checked (scan.h) and stays as it is, a form's fields are taken
 * out. False when it is neither; then, too, it is given back with content_fini. */
bool content_read(struct content *content);
void content_fini(struct content *content);
/* The text at a dotted path of a body that was read, to be freed; NULL when there is
 * none, or it is empty. */
char *content_text(const struct content *content, const char *path);
/* Every event of the body in its order. False when one is none: no id, no type that can
 * be written, or fn said so. */
bool content_each(const struct content *content, content_fn fn, void *user);
/* The answer to a handshake in JSON, signed with the key that had matched where the
 * provider wants that. False when it is none. */
bool content_handshake(const struct content *content, const struct scheme_key *key,
                       struct buf *ret_answer);
