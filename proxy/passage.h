/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* passage - one request of an application on its way to the provider, and the answer on
 * its way back
 *
 * WAITING: its request event is published, the broker has not given it back. CALLING: the
 * provider is called, and the answer goes to the application as it comes. ENDED: the
 * result is on its way to the log; the end of the answer is held back until it is there,
 * so that no application has a whole answer whose outcome is not in the log. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/http/client.h"
#include "proxy/target.h"
#include "proxy/usage.h"

struct http_request;
struct record;
struct veil;

enum {
    PASSAGE_HEADERS_MAX = 60,         /* of an answer that go on; further ones do not */
    PASSAGE_KEPT_MAX = 1 << 20,       /* of an answer, for what is read out of it */
    PASSAGE_MODEL_BODY_MAX = 1 << 20, /* a larger body is not read for its model */
    PASSAGE_REASON_MAX = 200,         /* bytes of a reason */
};

enum passage_state { PASSAGE_WAITING, PASSAGE_CALLING, PASSAGE_ENDED };

struct passage {
    struct passage *prev, *next;
    uint8_t id[16]; /* of the request event */
    uint64_t batch; /* in which it was published */
    enum passage_state state;
    struct http_request *request; /* NULL: the application has its answer, or left */
    struct target target;
    bool is_head;              /* the method: there is no body to wait for */
    struct http_call *http;    /* while CALLING */
    uint64_t since_us, due_us; /* steady; what happens when due depends on the state */
    unsigned status;           /* of the answer; 0: none yet */
    const struct veil *veil;
    struct buf held;   /* of the body: perhaps the beginning of a credential */
    struct buf head;   /* its headers that go on: "name\0value\0"... */
    bool is_streaming; /* the head went out */
    bool is_whole;     /* the answer came to its end */
    bool is_paused, is_drained;
    bool is_left;             /* the application went away */
    uint64_t bytes, first_us; /* of the answer: so many, the first after so long */
    bool is_events;           /* the answer is a stream of events */
    struct usage usage;
    char model[USAGE_MODEL_MAX + 1]; /* that is asked for; "" where none is named */
};

/* Make one; takes *target over. The veil covers the credential in what the provider says
 * back to the application; borrowed. */
struct passage *passage_new(struct http_request *request, struct target *target,
                            const struct veil *veil);
/* Nothing may be under way. */
void passage_free(struct passage *passage);
/* How the answer is taken while it comes. */
struct http_tap passage_tap(struct passage *passage);
/* Let the application have the end of its answer; where there is none, the reason why.
 * `outcome`: what the log has, NULL where that is not known. */
void passage_finish(struct passage *passage, const struct record *outcome);
/* Answer in our own name. A body in the form that the SDKs read a message from. */
void passage_say(struct http_request *request, unsigned status, const char *code,
                 const char *message);
