/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* catalogue - every event that an integration is declared to have */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct config;
struct document;
struct json;

enum entry_what {
    ENTRY_OPERATION, /* asked of the connector by somebody */
    ENTRY_POLL,      /* asked by the clock */
    ENTRY_WEBHOOK,   /* comes from the provider and becomes an event of the domain */
    ENTRY_FACT,      /* the connector finds it */
    ENTRY_TAKEN,     /* webhooks only: a pattern that somebody takes */
    ENTRY_MISSED,    /* a run of a schedule that did not take place */
    ENTRY_REFUSED,   /* a webhook whose signature did not fit */
};
struct entry {
    enum entry_what what;
    char *type;                   /* of the request or fact; of ENTRY_TAKEN a pattern */
    char *succeeds_as, *fails_as; /* types of its outcomes; NULL: it has none */
    const struct json *declared;  /* its row in the manifest, NULL */
};
struct catalogue {
    struct entry *entries;
    size_t n;
};

struct catalogue *catalogue_new(const struct document *document);
void catalogue_free(struct catalogue *catalogue);
/* Does it have this type, as an event or as an outcome? What signalbox itself records
 * about people's acts (signalbox.*) is no integration's. */
bool catalogue_has(const struct catalogue *catalogue, const char *type);
/* The names of the groups and deliveries that take this type, each as code, separated by
 * commas. Returns how many. */
size_t catalogue_takers(const struct config *config, const char *type, struct buf *out);
/* The name of the connector's service for people: the configuration's or its own. */
const char *document_service(const struct document *document);
/* An operation of the manifest by name; NULL. */
const struct json *document_operation(const struct document *document, const char *name);
