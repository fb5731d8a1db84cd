/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/services.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/demo/world.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

struct service {
    const char *operation, *data;
    const char *members[2]; /* of the outcome, that the step's line tells */
    const char *provider;   /* whose effects are counted */
};

/* The members of the outcome that are there, as JSON has them. */
static void tell(struct world *world, const struct json *outcome,
                 const char *const members[2])
{
    struct buf text = BUF_NULL;

    for (int i = 0; i < 2; i++) {
        const struct json *member = members[i] ? js_get(outcome, members[i]) : NULL;
        if (member && text.len)
            buf_text(&text, ", ");
        if (member)
            js_write(member, 0, &text);
    }
    snprintf(world->said, sizeof(world->said), "%s", buf_str(&text));
    buf_fini(&text);
}

static bool is_called_once(struct world *world, const struct service *service)
{
    const char *args[] = {"call", service->operation, "--data", service->data, NULL};
    struct json *outcome;
    int64_t sum, most;
    int status = world_run(world, args, &outcome);

    tell(world, outcome, service->members);
    bool is_good =
        status == CLI_DONE && strcmp(js_text(outcome, "status", ""), "Success") == 0;
    if (!is_good)
        world_no(world, "exit status %d, outcome %s: %s", status,
                 js_text(outcome, "status", "none"), js_text(outcome, "error_msg", ""));
    js_free(outcome);
    if (!is_good || !world_effects(world, service->provider, &sum, &most))
        return false;
    return sum == 1 ||
           world_no(world, "%s did it %" PRId64 " times", service->provider, sum);
}

bool mail_is_sent(struct world *world)
{
    static const struct service mail = {
        "email.send",
        "{\"to\":[\"customer@example.com\"],\"subject\":\"Your order\",\"text\":\"Thank "
        "you\"}",
        {"data.message_id"},
        "resend"};

    return is_called_once(world, &mail);
}

bool model_answers(struct world *world)
{
    static const struct service chat = {
        "ai.chat",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Thank the "
        "customer\"}],\"max_tokens\":50}",
        {"data.text"},
        "openai"};

    return is_called_once(world, &chat);
}

bool address_is_found(struct world *world)
{
    static const struct service geocode = {"maps.geocode",
                                           "{\"address\":\"1 High Street, Oxford\"}",
                                           {"data.lat", "data.lng"},
                                           "google"};

    return is_called_once(world, &geocode);
}

bool message_is_sent(struct world *world)
{
    static const struct service message = {
        "messaging.send",
        "{\"to\":\"#orders\",\"text\":\"an order is paid\"}",
        {"data.message_id"},
        "slack"};

    return is_called_once(world, &message);
}
