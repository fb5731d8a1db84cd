/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* webhook - events sent as their provider sends them: signed, retried, or with a fault on
 * purpose */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct loop;
struct provider;
struct provider_event;
struct webhooks;

enum {
    WEBHOOK_QUEUE_MAX =
        10000, /* events waiting to be sent; more are dropped and counted */
    WEBHOOK_IN_FLIGHT_MAX = 16,
    WEBHOOK_ATTEMPTS =
        4, /* of an event nobody answered with 2xx; the pause doubles from one second */
};

/* WEBHOOK_FAULT(name, text) */
#define WEBHOOK_FAULTS(FAULT)                                                            \
    FAULT(NONE, "none")                                                                  \
    FAULT(DUPLICATE, "duplicate")                                                        \
    FAULT(REORDER, "reorder")                                                            \
    FAULT(STALE, "stale")                                                                \
    FAULT(BAD_SIGNATURE, "bad-signature") FAULT(WRONG_SECRET, "wrong-secret")            \
        FAULT(TAMPERED, "tampered")
enum webhook_fault {
#define FAULT(name, text) WEBHOOK_FAULT_##name,
    WEBHOOK_FAULTS(FAULT)
#undef FAULT
        WEBHOOK_FAULT_COUNT
};

/* The fault of this name; WEBHOOK_FAULT_COUNT when there is none. */
enum webhook_fault webhook_fault_of(const char *name);

/* `url` may be NULL: nothing can be sent. Copies both texts. */
struct webhooks *webhooks_new(struct loop *loop, const struct provider *row,
                              const char *url, const char *secret);
void webhooks_free(struct webhooks *webhooks);
bool webhooks_has_url(const struct webhooks *webhooks);
/* The key that verifies them where it is not the secret itself; NULL: none. To be freed.
 */
char *webhooks_public_key(const struct webhooks *webhooks);
/* Send an event some time soon, again when it is not taken. Copies. */
void webhooks_queue(struct webhooks *webhooks, const struct provider_event *event);
/* Send one or two events now, once each, one after the other, with a fault; they are
 * copied. Then `on_done`, with
 * [{"status", "body"} or {"status": 0, "error"}, ...] in the order of sending, valid
 * until it returns. */
typedef void (*webhook_done_fn)(void *user, const struct json *sent);
void webhooks_simulate(struct webhooks *webhooks,
                       const struct provider_event *const *events, size_t n,
                       enum webhook_fault fault, webhook_done_fn on_done, void *user);
/* Add to "queued", "delivered", "given_up" and "dropped". */
void webhooks_count(const struct webhooks *webhooks, struct json *counts);
