/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The body is what Standard Webhooks recommends ({type, timestamp, data}) and what an
 * event of signalbox has beside it.  webhook-id is the event's id, the same at every
 * attempt: an application that remembers ids handles each event once.
 *
 * 2xx is the acknowledgement.  410 says that the application wants no more: the process
 * leaves, and the events wait until the operator decides.  Everything else is tried
 * again, no sooner than Retry-After, until the group's attempts are spent: an application
 * that refuses may be mended before then. */
#include "deliver/post.h"

#include <inttypes.h>
#include <stdio.h>

#include "deliver/sign.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/sdk/call.h"
#include "lib/sdk/line.h"

struct post_settings post_settings;

/* --- the body --- */

static void put_failure(struct json *object, const struct record *r)
{
    if (r->kind == RECORD_OUTCOME)
        js_set_text(object, "status", status_name(r->status));
    if (r->error_class)
        js_set_text(object, "error_class", class_name(r->error_class));
    line_put_attr(object, r, ATTR_ERROR_MSG);
}

static void write_body(const struct sb_event *event, struct buf *out)
{
    static const enum attr attrs[] = {ATTR_SOURCE, ATTR_SUBJECT, ATTR_KEY,
                                      ATTR_CONTENT_TYPE};
    const struct record *r = event->record;
    struct json *body = js_object();
    char time[TEXT_TIME_SIZE];

    text_time(event->committed_us, time);
    js_set_text(js_set_text(body, "type", event->type), "timestamp", time);
    js_set_text(body, "id", event->id);
    for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
        line_put_attr(body, r, attrs[i]);
    put_failure(body, r);
    line_put_data(body, event);
    js_write(body, 0, out);
    js_free(body);
}

/* --- the request --- */

static enum sb_verdict post_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    uint64_t timestamp_s = sb_now_us(event) / 1000000;
    struct buf body = BUF_NULL, signature = BUF_NULL;
    char timestamp[24];

    (void)outcome;
    write_body(event, &body);
    snprintf(timestamp, sizeof(timestamp), "%" PRIu64, timestamp_s);
    for (const char *const *secret = post_settings.secrets; *secret; secret++)
        sign_add(*secret, event->id, timestamp_s, body.bytes, body.len, &signature);
    sb_call(request, "POST", post_settings.path);
    sb_header(request, "webhook-id", event->id);
    sb_header(request, "webhook-timestamp", timestamp);
    sb_header(request, "webhook-signature", buf_str(&signature));
    sb_body(request, "application/json", body.bytes, body.len);
    buf_fini(&body);
    buf_fini(&signature);
    return SB_DONE;
}

/* --- the answer --- */

static enum sb_verdict post_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    (void)event, (void)answer, (void)outcome;
    return SB_DONE;
}

static enum sb_verdict post_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    unsigned status = sb_status(answer);

    (void)event;
    if (status == 410 && post_settings.on_gone)
        post_settings.on_gone(post_settings.user);
    return sb_retry(outcome, 0, "the application answered %u%s", status,
                    status == 410                   ? " Gone: it wants no more events"
                    : status >= 300 && status < 400 ? ": redirects are not followed"
                                                    : "");
}

static const struct sb_operation operations[] = {
    {.name = "post",
     .summary = "Post an event to the application",
     SB_BRANCHES(post_request, post_succeeded, post_failed),
     .repeat = SB_REPEAT_SAFE, /* at least once; webhook-id tells repeats */
     .answer_max = 64 << 10},
    {.name = NULL},
};

const struct sb_connector post_connector = {
    .name = "deliver", .version = "1", .operations = operations};
