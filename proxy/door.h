/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* door - the side of the proxy on which applications ask
 *
 * Every request becomes a request event, published and delivered back by the broker, so
 * that rate, concurrency, breaker, budget and the log are those of every other call. What
 * cannot be passed is refused here and is no event. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sdk/connector.h"

/* The longest a call may take in all, however steadily its answer comes. */
#define DOOR_CALL_MAX_US (UINT64_C(3600) * 1000000)

struct http_request;
struct passage;
struct sb_event;

enum {
    DOOR_PASSAGES_MAX = 1024, /* requests under way; a further one is answered 503 */
    DOOR_HEADERS_MAX = 28,    /* of a request that go on; with more it is 431 */
    DOOR_HOLD_US = 10000000,  /* so long is an answer's end held back for its outcome */
    DOOR_LOOK_US = 250000, /* so often is looked whether applications are still there */
    DOOR_WAIT_MAX_MS = 600000, /* options.wait_ms at most */
    DOOR_WAIT_MIN_MS = 100,
    DOOR_BODIES_MAX = 128 << 20, /* bytes of all bodies at one time; beyond it 503 */
    DOOR_BODY_MIN = 1024,
    DOOR_BODY_MAX = 64 << 20, /* options.max_body at most */
};

/* For connector_main. */
extern const struct connector_door the_door;
/* The passage that an event is of; NULL: it did not come through this process, or the
 * application has gone. */
struct passage *door_passage(const struct sb_event *event);
