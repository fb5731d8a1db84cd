/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* client - all that an application includes: publish events, call operations, take the
 * events of a consumer group
 *
 * A client is one session on the bus, over ipc on the broker's host, or encrypted over
 * tcp from another.  Its functions block, each for no longer than it is told; in between
 * nothing goes on, so call sb_client_turn() now and then while you do something else for
 * seconds: a client that is silent for the lease (30 s) has lost its session, and what it
 * held is delivered again.  A broken connection and a restarted broker are mended by
 * themselves: what was published and not answered is sent again under its number and
 * stored once.
 *
 * A client belongs to one thread at a time; several clients may live in several threads.
 * It must not be used across fork().  Texts are UTF-8 and end with a NUL.  Everything
 * handed in is copied.  Running out of memory ends the process.
 *
 *     struct sb_client *client = sb_client_open(&options, error, sizeof(error));
 *     sb_client_publish(client, &event, NULL);
 *     if (sb_client_commit(client, 5000) != SB_CLIENT_OK)
 *         fprintf(stderr, "%s\n", sb_client_error(client));
 *
 * Build with `cc app.c $(pkg-config --cflags --libs signalbox)`. */
#ifndef SIGNALBOX_CLIENT_H
#define SIGNALBOX_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct sb_client;

enum sb_client_status {
    SB_CLIENT_OK,
    SB_CLIENT_TIMEOUT, /* the time was over first; nothing is given up, go on waiting */
    SB_CLIENT_REFUSED, /* the broker says no; sb_client_error() names the rule */
    SB_CLIENT_BAD,     /* what was handed in cannot be sent; sb_client_error() says why */
    SB_CLIENT_IN_LOG,  /* of a call: the outcome is there, and has to be read from the log
                          (`signalbox trace ID`): the broker was restarted meanwhile */
};

/* Why the last function said something else than OK; "" at first. Lives until the next
 * call. */
const char *sb_client_error(const struct sb_client *client);

/* --- joining and leaving --- */

struct sb_client_options {
    const char *endpoint; /* "ipc:///srv/signalbox/run/bus.sock" (`run` of the
                             configuration), or "tcp://host:port" (its bus.listen) */
    const char *name;     /* what `signalbox status` calls it; 1 to 64 of a-z 0-9 _ - */
    /* tcp only */
    const char *key_file;   /* with our secret key, mode 0600: `signalbox key new NAME` */
    const char *broker_key; /* the broker's public key: `signalbox key server` */
    unsigned timeout_ms;    /* how long to wait for the broker; 0: 5000 */
};
/* Join. NULL, and the reason in error[], when the options are wrong, the broker refuses
 * us, or none answers in time. */
struct sb_client *sb_client_open(const struct sb_client_options *options, char *error,
                                 size_t error_size);
/* Leave at once: what is not committed is lost (sb_client_commit first), what is not
 * answered is delivered to others. NULL is fine. */
void sb_client_close(struct sb_client *client);
/* Let the session live for up to timeout_ms: take in what came, extend leases, send what
 * is due. Returns early when an event has come that sb_client_next() would give. */
void sb_client_turn(struct sb_client *client, unsigned timeout_ms);

/* --- events out --- */

struct sb_client_event {
    const char *type; /* "order.created"; "<connector>.<operation>.requested" is a
                         request, any other a fact */
    const void *data; /* at most 1 MiB */
    size_t data_len;
    const char *content_type; /* NULL: application/json */
    const char *key;          /* ordering key: events of one key are handled in order */
    const char *source;       /* CloudEvents; NULL: the client's name */
    const char *subject;      /* CloudEvents */
    const char *traceparent;  /* W3C trace context */
    const char *integration;  /* a request's; NULL: the connector's only or default one */
    uint64_t deadline_us;     /* a request's, microseconds since 1970: no attempt starts
                                 later; 0: the integration's */
    /* The same again within 7 days is stored once: it is answered like the first, or
     * refused (`idempotency_conflict`) when its type or data differ. Scoped by the
     * client's name. */
    const char *idempotency_key;
};

/* The text of an id, and its NUL. */
enum { SB_CLIENT_ID_SIZE = 37 };

/* Put an event into the batch in hand; a batch of 64 KiB is sent off by itself.  Its id
 * is written to ret_id (SB_CLIENT_ID_SIZE bytes; may be NULL).  OK says only that it was
 * taken: it is safe when sb_client_commit() says so.  Waits while the broker's window is
 * full, up to 5 s: TIMEOUT, the event was not taken.  BAD: a type, a text or the data is
 * over its limit. */
int sb_client_publish(struct sb_client *client, const struct sb_client_event *event,
                      char *ret_id);
/* Send what is in hand and wait until everything published and answered so far is on
 * disk. REFUSED: since the last commit a batch (or an answer) was refused; nothing of
 * that batch is stored, all others are.  What the broker cannot take now (overloaded,
 * log_full, not_ready) is tried again until the time is over. */
int sb_client_commit(struct sb_client *client, unsigned timeout_ms);

/* --- events in --- */

/* An event, or the outcome of a call. Texts are NULL where there is none. */
struct sb_client_received {
    const char *id, *type;
    const char *status; /* "Pending", "Success", "Failed" */
    const char *error_class, *error_msg;
    const char *key, *source, *subject, *content_type, *traceparent;
    const char
        *cause; /* the id of the event that led to it; of an outcome: the request */
    const void *data;
    size_t data_len;
    unsigned attempt;      /* of an event: from 1; of an outcome: attempts spent */
    uint64_t timestamp_us; /* when it was committed, microseconds since 1970 */
    uint64_t time_us;      /* when its maker says it happened */
};

/* Publish one request, wait for its outcome.  OK: there is one, Success or Failed, in
 * *ret_outcome, to be given to sb_client_free().  TIMEOUT: the request goes on (its id is
 * in ret_id) unless its deadline, by default the same timeout, has ended it.  What is in
 * the batch in hand is sent before it. */
int sb_client_call(struct sb_client *client, const struct sb_client_event *request,
                   unsigned timeout_ms, char *ret_id,
                   struct sb_client_received **ret_outcome);

/* Take the events of a consumer group of the configuration, up to `ahead` (0: 256, at
 * most 1,024) unanswered at a time; the others of the group get the rest.  One group a
 * client.  That there is no such group, or that we may not join it, is told by
 * sb_client_next(). */
void sb_client_subscribe(struct sb_client *client, const char *group, unsigned ahead);
/* The next event, to be answered by one of the three below before the client is silent
 * for a lease.  Answers go out by themselves in the next call that waits. */
int sb_client_next(struct sb_client *client, unsigned timeout_ms,
                   struct sb_client_received **ret_event);
/* The event is done with. Takes *event. */
void sb_client_ack(struct sb_client *client, struct sb_client_received **event);
/* Give it back for another attempt, after a while or (0) the broker's pause; `why` is
 * stored. Takes *event. */
void sb_client_retry(struct sb_client *client, struct sb_client_received **event,
                     uint64_t after_ms, const char *why);
/* The group gives it up: it is Failed/permanent, and can be redriven. Takes *event. */
void sb_client_fail(struct sb_client *client, struct sb_client_received **event,
                    const char *why);
/* Forget it unanswered (an outcome has no answer; an event is delivered again when the
 * session ends). NULL is fine. */
void sb_client_free(struct sb_client_received *received);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
