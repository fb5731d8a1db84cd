/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cloudevent - an event of the log as CloudEvents 1.0 in JSON
 *
 * Attributes have the names of CloudEvents and of its documented extensions where there
 * is one: partitionkey (the ordering key), traceparent and tracestate, recordedtime (when
 * it was committed).  Ours are kind, status, integration, service, cause, attempt,
 * errorclass, errormsg, cost and the like: names of lower-case letters and digits, as
 * CloudEvents wants them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct http_request;
struct json;
struct record;

#define CLOUDEVENT_JSON  "application/cloudevents+json"
#define CLOUDEVENT_BATCH "application/cloudevents-batch+json"

/* What a record does not say by itself; texts borrowed, NULL where there is none. */
struct cloudevent_around {
    uint64_t timestamp_us;   /* of its block */
    const char *integration; /* its name */
    const char *service;
    const char *cause; /* NULL: as the record says */
};
/* Is this an attribute that this system sets: one that no application may? */
bool cloudevent_is_ours(const char *name);
/* Does this media type (NULL: no) say that the data is JSON? */
bool cloudevent_is_json(const char *type);
/* To be freed with js_free. */
struct json *cloudevent_json(const struct record *r,
                             const struct cloudevent_around *around);
/* Does the request's Accept header name this media type? */
bool cloudevent_is_accepted(const struct http_request *request, const char *type);
