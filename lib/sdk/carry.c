/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/carry.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/oauth.h"
#include "lib/worker/worker.h"

/* At most one of these is under way. */
struct carry {
    struct carrier *carrier;
    struct call *call;
    struct loop_timer *pause;
    struct oauth_wait *token;
    struct http_call *http;
    struct worker_call *line;
    void (*done)(void *user, bool has_more);
    void *user;
};

static void finish(struct carry *carry, bool has_more)
{
    void (*done)(void *user, bool has_more) = carry->done;
    void *user = carry->user;

    loop_timer_free(carry->pause);
    free(carry);
    done(user, has_more);
}

static uint64_t now_us(const struct carry *carry)
{
    return loop_wall_us(carry->carrier->loop);
}

/* --- HTTP --- */

static void answered(void *user, const struct http_call *answer)
{
    struct carry *carry = user;
    const struct carry_tap *tap = carry->carrier->tap;
    bool has_more = call_end(carry->call, answer, now_us(carry));

    if (has_more && call_is_token_refused(carry->call))
        oauth_refused(carry->carrier->oauth, call_oauth(carry->call),
                      call_token(carry->call));
    if (tap)
        tap->ended(tap->user, carry->call);
    finish(carry, has_more);
}

static void send_http(struct carry *carry)
{
    const struct carry_tap *tap = carry->carrier->tap;
    struct http_call_options options;

    call_http(carry->call, &options);
    options.on_done = answered;
    options.user = carry;
    if (tap)
        tap->sending(tap->user, carry->call, &options);
    carry->http = http_client_call(carry->carrier->http, &options);
    if (tap)
        tap->sent(tap->user, carry->call, carry->http);
}

static void got_token(void *user, const struct oauth_answer *answer)
{
    struct carry *carry = user;

    carry->token = NULL;
    if (answer->token) {
        call_set_token(carry->call, answer->token);
        send_http(carry);
    } else {
        finish(carry, call_end_without_token(carry->call, answer->why, answer->may_retry,
                                             now_us(carry)));
    }
}

static void send_with_token(struct carry *carry)
{
    const struct credential *spec = call_oauth(carry->call);
    const char *known = oauth_known(carry->carrier->oauth, spec);

    if (!known) {
        carry->token = oauth_ask(carry->carrier->oauth, spec, got_token, carry);
        return;
    }
    call_set_token(carry->call, known);
    send_http(carry);
}

/* --- lines --- */

/* Each worker has one event at a time, so what a worker died of is known. */
static unsigned count_death(struct carrier *carrier, struct position position)
{
    uint64_t *known = table_get(&carrier->deaths, position.block, position.index);
    uint64_t deaths = known ? *known + 1 : 1;

    if (carrier->deaths.len >= CARRY_DEATHS_MAX)
        table_fini(&carrier->deaths); /* each may then die so often again */
    table_put(&carrier->deaths, position.block, position.index, deaths);
    return (unsigned)deaths;
}

static void line_answered(void *user, const struct worker_answer *answer)
{
    struct carry *carry = user;
    struct carrier *carrier = carry->carrier;
    struct position position = call_position(carry->call);
    unsigned deaths = answer->result == WORKER_ENDED ? count_death(carrier, position) : 0;

    if (answer->result == WORKER_ANSWERED || deaths >= CALL_DEATHS_MAX)
        table_drop(&carrier->deaths, position.block, position.index);
    finish(carry, call_end_line(carry->call, answer, deaths, now_us(carry)));
}

static void send_line(struct carry *carry)
{
    struct worker_call_options options = {
        .id = call_id(carry->call), .on_done = line_answered, .user = carry};

    options.line = call_line(carry->call, &options.len, &options.timeout_us);
    carry->line = workers_call(carry->carrier->workers, &options);
}

/* --- the way --- */

static void send_now(void *user)
{
    struct carry *carry = user;

    if (call_is_line(carry->call))
        send_line(carry);
    else if (call_oauth(carry->call))
        send_with_token(carry);
    else
        send_http(carry);
}

struct carry *carry_start(struct carrier *carrier, struct call *call,
                          void (*done)(void *user, bool has_more), void *user)
{
    struct carry *carry = mem_alloc(sizeof(*carry));

    *carry = (struct carry){.carrier = carrier, .call = call, .done = done, .user = user};
    if (!call_pause_us(call)) {
        send_now(carry);
        return carry;
    }
    carry->pause = loop_timer_new(carrier->loop, send_now, carry);
    loop_timer_in(carry->pause, call_pause_us(call));
    return carry;
}

void carry_drop(struct carry *carry)
{
    const struct carry_tap *tap = carry ? carry->carrier->tap : NULL;

    if (!carry)
        return;
    if (tap)
        tap->dropped(tap->user, carry->call);
    if (carry->token)
        oauth_cancel(carry->token);
    if (carry->http)
        http_client_abort(carry->http);
    if (carry->line)
        workers_abort(carry->line);
    loop_timer_free(carry->pause);
    free(carry);
}

void carrier_init(struct carrier *carrier, struct loop *loop, struct http_client *http)
{
    *carrier =
        (struct carrier){.loop = loop, .http = http, .oauth = oauth_new(loop, http)};
}

void carrier_fini(struct carrier *carrier)
{
    oauth_free(carrier->oauth);
    table_fini(&carrier->deaths);
}
