/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* slack - chat.postMessage of Slack's Web API
 *
 * Slack answers 200 to errors too: the body's `ok` decides, and its `error` says whether
 * anything was done.  There is no idempotency key. */
#include <string.h>

#include "messaging.h"

enum { TEXT_MAX = 40000 /* characters; Slack cuts what is longer */ };

const struct sb_option slack_options[] = {
    {"unfurl_links", SB_BOOL, "true", false, "show previews of links in the text"},
    {.name = NULL},
};

const struct sb_secret slack_secrets[] = {
    {"bot_token",
     "the bot user's token (xoxb-...) of an app with the scope chat:write, from OAuth & "
     "Permissions",
     "reinstall the app to get a new token, `signalbox secret rotate`, then revoke the "
     "old "
     "one",
     false},
    {.name = NULL},
};

static enum sb_verdict send_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *to = sb_text(data, "to");

    if (text_check(event, TEXT_MAX, outcome) != SB_DONE)
        return SB_FAILED;
    if (!to || !*to)
        return sb_fail(outcome, "to must be a channel: its id (C...), or #name");
    sb_call(request, "POST", "/api/chat.postMessage");
    sb_bearer(request, "bot_token");
    sb_field(request, "channel", to);
    sb_field(request, "text", sb_text(data, "text"));
    if (strcmp(sb_option(event, "unfurl_links"), "true") != 0)
        sb_field_bool(request, "unfurl_links", false);
    return SB_DONE;
}

/* What an error's name means; those that are not here are final. */
enum meaning { FINAL, AGAIN, UNCLEAR, TOKEN, CHANNEL };
static const struct {
    const char *error;
    enum meaning meaning;
} errors[] = {
    {"ratelimited", AGAIN},
    {"rate_limited", AGAIN},
    {"message_limit_exceeded", AGAIN},
    {"service_unavailable", AGAIN},
    {"request_timeout", AGAIN}, /* Slack did not get the whole request */
    /* Slack says of both that some of it may have been done. */
    {"internal_error", UNCLEAR},
    {"fatal_error", UNCLEAR},
    {"invalid_auth", TOKEN},
    {"not_authed", TOKEN},
    {"account_inactive", TOKEN},
    {"token_revoked", TOKEN},
    {"token_expired", TOKEN},
    {"missing_scope", TOKEN},
    {"no_permission", TOKEN},
    {"not_allowed_token_type", TOKEN},
    {"channel_not_found", CHANNEL},
    {"not_in_channel", CHANNEL},
    {"is_archived", CHANNEL},
};

static enum sb_verdict refused(const struct sb_event *event, const char *error,
                               struct sb_outcome *outcome)
{
    enum meaning meaning = FINAL;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(errors[i].error, error) == 0)
            meaning = errors[i].meaning;
    sb_put_text(sb_result(outcome), "code", error);
    if (meaning == AGAIN)
        return sb_retry(outcome, 0, "Slack cannot take it now: %s", error);
    if (meaning == UNCLEAR)
        return sb_unclear(outcome, "Slack failed and may have posted it: %s", error);
    if (meaning == TOKEN)
        return sb_fail(outcome,
                       "Slack does not accept the token for this (%s): check the secret "
                       "\"bot_token\" of the integration %s and the app's scopes",
                       error, sb_integration(event));
    if (meaning == CHANNEL)
        return sb_fail(outcome,
                       "Slack cannot post to that channel (%s): check `to`, and invite "
                       "the app into the channel",
                       error);
    return sb_fail(outcome, "Slack refused the message: %s", error);
}

/* Slack says inside a 200 whether it did what it was asked for: SB_DONE where it did. */
static enum sb_verdict judge(const struct sb_event *event, const struct sb_json *body,
                             const char *asked, struct sb_outcome *outcome)
{
    const char *error = sb_text(body, "error");
    bool is_ok = false;

    if (!sb_bool(body, "ok", &is_ok) || (!is_ok && !error))
        return sb_unclear(outcome, "not what Slack answers to %s", asked);
    return is_ok ? SB_DONE : refused(event, error, outcome);
}

static enum sb_verdict send_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    enum sb_verdict verdict = judge(event, body, "a message", outcome);

    if (verdict != SB_DONE)
        return verdict;
    sb_put_text(sb_result(outcome), "provider", "slack");
    sb_put_text(sb_result(outcome), "channel", sb_text(body, "channel"));
    sb_put_text(sb_result(outcome), "message_id", sb_text(body, "ts"));
    return SB_DONE;
}

static enum sb_verdict send_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    const char *error = sb_text(sb_answer_json(answer), "error");

    if (sb_status(answer) == 429)
        return sb_retry(outcome, 0, "Slack's rate limit is reached");
    if (error)
        return refused(event, error, outcome);
    return sb_default(outcome, "Slack answered %u", sb_status(answer));
}

/* --- check --- */

static enum sb_verdict check_request(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    static const char *const names[] = {NULL};

    if (!sb_is_object(sb_data(event), "") || sb_stranger(sb_data(event), names))
        return sb_fail(outcome, "the data must be {}: a check takes nothing");
    sb_call(request, "POST", "/api/auth.test");
    sb_bearer(request, "bot_token");
    return SB_DONE;
}

static enum sb_verdict check_succeeded(const struct sb_event *event,
                                       const struct sb_answer *answer,
                                       struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    enum sb_verdict verdict = judge(event, body, "auth.test", outcome);

    if (verdict != SB_DONE)
        return verdict;
    sb_put_text(sb_result(outcome), "provider", "slack");
    sb_put_text(sb_result(outcome), "team", sb_text(body, "team"));
    sb_put_text(sb_result(outcome), "user", sb_text(body, "user"));
    return SB_DONE;
}

const struct sb_operation slack_operations[] = {
    {.name = "send",
     .summary = "Post a message to a channel",
     .transition = "message: written -> posted",
     .transition_failed = "message: written -> not posted",
     SB_BRANCHES(send_request, send_succeeded, send_failed),
     .repeat = SB_REPEAT_NEVER,
     .price_max = {"USD", 0},
     .price_text = "none",
     .example = "{\"to\":\"C0123456789\",\"text\":\"hello\"}",
     .example_answer =
         "{\"ok\":true,\"channel\":\"C0123456789\",\"ts\":\"1503435956.000247\"}",
     .degrade =
         "tell people another way (a mail), or later; an alert must not hang on it alone",
     .test = "to a channel of its own; in signalbox's sandbox the channel decides, see "
             "docs/guide/messaging.md"},
    {.name = "check",
     .summary = "See whether Slack takes the token, and whose it is",
     SB_BRANCHES(check_request, check_succeeded, send_failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price_max = {"USD", 0},
     .price_text = "none",
     .example = "{}",
     .example_answer = "{\"ok\":true,\"team\":\"Shop\",\"user\":\"signalbox\"}",
     .degrade = "set the secret bot_token",
     .test = "changes nothing"},
    {.name = NULL},
};

const struct sb_failure_mode slack_failures[] = {
    {"message refused", "permanent: Slack refused the message",
     "the input is wrong; `code` is Slack's name for it"},
    {"channel closed to the app", "permanent: Slack cannot post to that channel",
     "invite the app into the channel, then redrive"},
    {"token refused", "permanent: Slack does not accept the token",
     "set the secret bot_token or add the scope, then redrive what failed"},
    {"rate limit", "a retry: Slack's rate limit is reached",
     "tried again after Retry-After; Slack takes about one message a second and channel"},
    {"answer lost", "unknown: the call was sent and no answer could be used",
     "never sent again by itself: look into the channel and resolve"},
    {"Slack broken", "unknown: Slack failed and may have posted it",
     "as with a lost answer"},
    {"Slack down", "exhausted, with the last answer",
     "what it certainly did not take was tried again until attempts or deadline ended; "
     "redrive it when the service is back"},
    {.name = NULL},
};
