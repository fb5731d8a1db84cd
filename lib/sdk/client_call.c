/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A call is a batch of one request whose outcome is waited for; one at a time. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/client_state.h"
#include "lib/sdk/peer.h"

static void end(struct sb_client *client, int status)
{
    client->call.is_over = true;
    client->call.status = status;
}

void client_on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome)
{
    struct sb_client *client = user;

    (void)index;
    if (ref != client->call.batch || client->call.is_over)
        return; /* of a call that was given up */
    client->call.outcome = received_new(slice, slice->index, outcome, outcome->attempt);
    end(client, SB_CLIENT_OK);
}

/* Nothing to do in the plain case: the outcome comes by itself. A request that came
 * before under its key is waited for in its place. */
void client_call_published(struct sb_client *client, uint64_t batch,
                           const struct verdict *verdicts, uint32_t n, bool has_place)
{
    if (batch != client->call.batch || client->call.is_over)
        return;
    if (n > 0 && verdicts[0].code == VERDICT_CONFLICT) {
        client->was_refused = false; /* told here */
        end(client, client_fail(client, SB_CLIENT_REFUSED, "%s: %s",
                                error_info(ERR_idempotency_conflict)->name,
                                error_info(ERR_idempotency_conflict)->sentence));
    } else if (n > 0) {
        peer_wait(client->peer,
                  (struct position){verdicts[0].block, (uint32_t)verdicts[0].position},
                  batch);
    } else if (!has_place) {
        end(client, client_fail(client, SB_CLIENT_IN_LOG,
                                "the request is committed; the broker was restarted, and "
                                "its outcome is in the log"));
    }
}

void client_call_refused(struct sb_client *client, uint64_t batch, unsigned code,
                         const char *detail)
{
    if (batch != client->call.batch || client->call.is_over)
        return;
    end(client,
        client_fail(client,
                    code == ERR_already_settled ? SB_CLIENT_IN_LOG : SB_CLIENT_REFUSED,
                    "%s: %s", error_info(code)->name, detail));
}

int sb_client_call(struct sb_client *client, const struct sb_client_event *request,
                   unsigned timeout_ms, char *ret_id,
                   struct sb_client_received **ret_outcome)
{
    uint64_t until = client_until(client, timeout_ms);
    uint64_t deadline_us = request->deadline_us
                               ? request->deadline_us
                               : loop_wall_us(client->loop) + timeout_ms * UINT64_C(1000);
    struct buf records = BUF_NULL;
    int status = client_record(client, request, deadline_us, &records, ret_id);

    memset(&client->call, 0, sizeof(client->call));
    if (status == SB_CLIENT_OK && client_send_batch(client, until))
        client->call.batch =
            client_publish_now(client, &records, /* wants_outcome= */ true, until);
    buf_fini(&records);
    if (status != SB_CLIENT_OK)
        return status;
    while (client->call.batch && !client->call.is_over && !client->is_rejected)
        if (!client_step(client, until))
            break;
    if (client->call.is_over) {
        client->call.batch = 0;
        if (client->call.status == SB_CLIENT_OK)
            *ret_outcome = &client->call.outcome->seen;
        client->call.outcome = NULL;
        return client->call.status;
    }
    client->call.batch = 0;
    if (client->is_rejected)
        return client_fail(client, SB_CLIENT_REFUSED, "%s", client->why_not);
    return client_fail(client, SB_CLIENT_TIMEOUT, "%s",
                       client->why_not[0] ? client->why_not
                                          : "there was no outcome in time");
}
