/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* document - the Integration Architecture Document of one integration, and its check
 *
 * Everything it is made from is handed in, so it is the same wherever it is made, and the
 * same input gives the same bytes.  What depends on the day (is a secret too old?) is
 * asked of the check alone, which is handed the time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct config;
struct config_integration;
struct config_secret;
struct json;
struct ledger;
struct seen;

/* When something verified with a secret, or a call with it succeeded; to the minute. 0:
 * as far as the log goes, never. */
struct document_use {
    uint64_t first_us, last_us;
};
/* What there is to say about a secret without its value. */
struct document_secret {
    bool is_there;
    uint32_t version;    /* of the current one; 0: not counted (a file) */
    uint64_t created_us; /* when the current one came; of a file, when it changed last */
    struct document_use used;
    uint64_t old_until_us; /* an older one is valid until then; 0: none is */
    struct document_use old_used;
};
/* False: it is not known here. */
typedef bool (*document_secret_fn)(void *user, const struct config_secret *secret,
                                   struct document_secret *ret);

struct document {
    const struct config *config;
    const struct config_integration *integration;
    const struct json *manifest; /* of its connector, for its provider; NULL: none */
    document_secret_fn secret;   /* NULL: nothing is known of secrets here */
    void *secret_user;
    const struct seen *seen; /* what the log says; NULL: only what is declared */
};

enum document_format { DOCUMENT_MARKDOWN, DOCUMENT_HTML };

/* Do its applications come through a door of the connector's own, so that their calls are
 * passed on once and never tried again? That is the proxy. */
bool document_has_door(const struct document *document);
/* Append the document. */
void document_write(const struct document *document, enum document_format format,
                    struct buf *out);
/* Append the page that leads to the documents of all of them, each in the file
 * NAME.md or NAME.html beside it. */
void document_index(const struct document *documents, size_t n,
                    enum document_format format, struct buf *out);
/* The manifest's tables for the integration's provider, out of the manifest that a
 * connector prints for all of them; to be freed. NULL when it has no such provider. */
struct json *document_manifest(const struct json *manifest,
                               const struct config_integration *integration);
/* What tests of this integration are tests of: a hash of its manifest and of the options,
 * endpoints and schedules that are configured, in hexadecimal. Another one after a
 * change. */
enum { DOCUMENT_STAMP_SIZE = 65 };
void document_stamp(const struct document *document, char ret[DOCUMENT_STAMP_SIZE]);

/* What does not fit, and the line that is to be changed. Texts borrowed for the call. */
struct document_finding {
    const char *kind;  /* "event", "failure", "secret", "unconsumed", "test", "cost" */
    const char *where; /* "signalbox.yaml:12" or "manifest of payment: failures" */
    const char *what;
};
typedef void (*document_finding_fn)(void *user, const struct document_finding *finding);
/* Hold the document against what was seen, at the time now_us. Returns the number of
 * findings. Without `seen` only what can be told from the declarations is looked at. */
size_t document_check(const struct document *document, uint64_t now_us,
                      document_finding_fn fn, void *user);
