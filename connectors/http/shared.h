/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* shared - what calls and polls have in common: where they go, who they are, what comes
 * back */
#ifndef HTTP_SHARED_H
#define HTTP_SHARED_H
#include <signalbox/connector.h>

enum { HTTP_PATH_MAX = 2000 /* bytes of a path */ };

/* Method and path below base_url. A path begins with / and has no empty part, no "." and
 * no "..": nothing that leaves base_url. Behind a ? come parameters, as in a URL. False,
 * with the outcome failed. */
bool http_begin(struct sb_request *request, const char *method, const char *path,
                struct sb_outcome *outcome);
/* The credential, as the option `auth` says. False, with the outcome failed. */
bool http_credential(const struct sb_event *event, struct sb_request *request,
                     struct sb_outcome *outcome);
/* {"name": text, number or true/false} as query parameters. */
bool http_query(const struct sb_json *query, struct sb_request *request,
                struct sb_outcome *outcome);
/* {status, content_type, location, etag, body}: the body as JSON or, when it is short and
 * a text, as text. */
void http_result(const struct sb_answer *answer, struct sb_outcome *outcome);
/* An answer that is not 2xx: kept, and judged by the SDK's rules. */
enum sb_verdict http_failed(const struct sb_event *event, const struct sb_answer *answer,
                            struct sb_outcome *outcome);

/* The poll, and its options. */
enum sb_verdict poll_request(const struct sb_event *event, struct sb_request *request,
                             struct sb_outcome *outcome);
enum sb_verdict poll_succeeded(const struct sb_event *event,
                               const struct sb_answer *answer,
                               struct sb_outcome *outcome);
#define HTTP_FACT "http.item.found"
#endif
