/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_body.h"

#include <stddef.h>
#include <string.h>

#include "gateway/scheme.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

static const char *text_at(const struct scheme_body *body, const char *path)
{
    return path ? js_text(body->json, path, NULL) : NULL;
}

bool scheme_body_read(struct scheme_body *body, const struct scheme *scheme,
                      struct scheme_input *input)
{
    char error[64];
    body->json = js_parse(input->body, input->body_len, error, sizeof(error));
    if (!js_is_object(body->json))
        return false;
    input->signature = text_at(body, scheme->signature_header);
    input->time = text_at(body, scheme->time_header);
    input->id = text_at(body, scheme->id_header);
    input->certificate_url = text_at(body, scheme->certificate_header);
    input->algorithm = text_at(body, scheme->algorithm_header);
    body->topic = text_at(body, scheme->key_path);
    return body->topic || !scheme->key_path;
}

bool scheme_body_fields(const struct scheme_body *body, struct buf *out)
{
    static const char *const notification[] = {
        "Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type", NULL};
    static const char *const subscription[] = {"Message",   "MessageId", "SubscribeURL",
                                               "Timestamp", "Token",     "TopicArn",
                                               "Type",      NULL};
    static const struct {
        const char *type;
        const char *const *fields;
    } types[] = {
        {"Notification", notification},
        {"SubscriptionConfirmation", subscription},
        {"UnsubscribeConfirmation", subscription},
    };
    const char *type = js_text(body->json, "Type", "");
    const char *const *field = NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].type, type) == 0)
            field = types[i].fields;
    for (; field && *field; field++) {
        const char *text = text_at(body, *field);
        if (text)
            buf_format(out, "%s\n%s\n", *field, text);
        else if (strcmp(*field, "Subject") != 0)
            return false;
    }
    return out->len > 0;
}

void scheme_body_fini(struct scheme_body *body)
{
    js_free(body->json);
    *body = (struct scheme_body){0};
}
