/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What signalbox/client.h promises, asked of a running system: one scenario by name; says
 * what was not as promised and ends with 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signalbox/client.h>

#define CHECK(claim)                                                                     \
    do {                                                                                 \
        if (!(claim)) {                                                                  \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #claim,              \
                    sb_client_error(client));                                            \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

enum { WAIT_MS = 20000 };

static struct sb_client *client;

static struct sb_client_event order(const char *data)
{
    struct sb_client_event event = {.type = "order.created", .data = data};

    event.data_len = strlen(data);
    return event;
}

static void one_committed(const char *type, const char *data)
{
    struct sb_client_event event = order(data);

    event.type = type;
    CHECK(sb_client_publish(client, &event, NULL) == SB_CLIENT_OK);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK);
}

/* Of two batches the one with a forbidden event is not stored, the other is. */
static void refused(void)
{
    struct sb_client_event forged = order("{}"), good = order("{\"good\":1}");

    forged.type = "payment.charge.succeeded";
    CHECK(sb_client_publish(client, &forged, NULL) == SB_CLIENT_OK);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_REFUSED);
    CHECK(strstr(sb_client_error(client), "reserved_type"));
    CHECK(sb_client_publish(client, &good, NULL) == SB_CLIENT_OK);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK);
}

static void bad(void)
{
    static char large[(1 << 20) + 1];
    struct sb_client_event event = order("{}");

    event.type = "no type";
    CHECK(sb_client_publish(client, &event, NULL) == SB_CLIENT_BAD);
    CHECK(strstr(sb_client_error(client), "order.created"));
    event.type = NULL;
    CHECK(sb_client_publish(client, &event, NULL) == SB_CLIENT_BAD);
    event = (struct sb_client_event){
        .type = "order.created", .data = large, .data_len = sizeof(large)};
    CHECK(sb_client_publish(client, &event, NULL) == SB_CLIENT_BAD);
    CHECK(strstr(sb_client_error(client), "1 MiB"));
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK); /* nothing is in hand */
}

static void same_key(void)
{
    struct sb_client_event first = order("{\"n\":1}"), other = order("{\"n\":2}");

    first.idempotency_key = other.idempotency_key = "same-key";
    for (int i = 0; i < 3; i++) {
        CHECK(sb_client_publish(client, &first, NULL) == SB_CLIENT_OK);
        CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK);
    }
    CHECK(sb_client_publish(client, &other, NULL) == SB_CLIENT_OK);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_REFUSED);
    CHECK(strstr(sb_client_error(client), "idempotency_conflict"));
}

static void no_group(void)
{
    struct sb_client_received *event = NULL;

    sb_client_subscribe(client, "nobody", 0);
    CHECK(sb_client_next(client, WAIT_MS, &event) == SB_CLIENT_REFUSED);
    CHECK(strstr(sb_client_error(client), "no_group"));
    one_committed("order.created", "{}"); /* publishing goes on */
}

/* Each of three events in its own way; the one given back comes again, counted. */
static void answers(void)
{
    struct sb_client_received *event = NULL;

    sb_client_subscribe(client, "answers", 1);
    one_committed("answer.wanted", "1");
    one_committed("answer.wanted", "2");
    one_committed("answer.wanted", "3");
    CHECK(sb_client_next(client, WAIT_MS, &event) == SB_CLIENT_OK);
    CHECK(event->data_len == 1 && memcmp(event->data, "1", 1) == 0);
    CHECK(strcmp(event->type, "answer.wanted") == 0 && event->attempt == 1);
    CHECK(strcmp(event->source, "driver") == 0 && event->timestamp_us && !event->cause);
    sb_client_ack(client, &event);
    CHECK(event == NULL);
    CHECK(sb_client_next(client, WAIT_MS, &event) == SB_CLIENT_OK);
    CHECK(memcmp(event->data, "2", 1) == 0);
    sb_client_fail(client, &event, "the customer is gone");
    CHECK(sb_client_next(client, WAIT_MS, &event) == SB_CLIENT_OK);
    CHECK(memcmp(event->data, "3", 1) == 0);
    sb_client_turn(client, 2500); /* a PING says that it is being worked on */
    sb_client_retry(client, &event, 10, "not today");
    CHECK(sb_client_next(client, WAIT_MS, &event) == SB_CLIENT_OK);
    CHECK(memcmp(event->data, "3", 1) == 0 && event->attempt == 2);
    sb_client_ack(client, &event);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK);
    CHECK(sb_client_next(client, 300, &event) == SB_CLIENT_TIMEOUT);
}

static void late(void)
{
    struct sb_client_event request = {.type = "payment.charge.requested", .data = "{}"};
    struct sb_client_received *outcome = NULL;
    char id[SB_CLIENT_ID_SIZE];

    request.data_len = 2;
    CHECK(sb_client_call(client, &request, 1, id, &outcome) == SB_CLIENT_TIMEOUT);
    request.type = "nobody.does.requested";
    CHECK(sb_client_call(client, &request, WAIT_MS, id, &outcome) == SB_CLIENT_REFUSED);
    CHECK(strstr(sb_client_error(client), "no_handler"));
}

/* Batches go on through a broker that is killed meanwhile; the test counts them. */
static void through_kills(void)
{
    char data[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(data, sizeof(data), "%d", i);
        struct sb_client_event event = order(data);
        while (sb_client_publish(client, &event, NULL) == SB_CLIENT_TIMEOUT)
            ;
        if (i % 2000 == 0) {
            printf("%d\n", i);
            fflush(stdout);
            sb_client_turn(client, 100);
        }
    }
    CHECK(sb_client_commit(client, 3 * WAIT_MS) == SB_CLIENT_OK);
}

/* What it was handed when the broker was killed stays with it; a second consumer, which
 * this is in another process, gets none of it. The test says when by a line. */
static void holds(void)
{
    enum { EVENTS = 20 };
    struct sb_client_received *held[EVENTS] = {0}, *event = NULL;
    char line[8];

    sb_client_subscribe(client, "held", EVENTS);
    for (int i = 0; i < EVENTS; i++) {
        CHECK(sb_client_next(client, WAIT_MS, &held[i]) == SB_CLIENT_OK);
        CHECK(held[i]->attempt == 1);
    }
    printf("holding\n");
    fflush(stdout);
    CHECK(fgets(line, sizeof(line), stdin)); /* the broker is another one */
    CHECK(sb_client_next(client, 4000, &event) == SB_CLIENT_TIMEOUT);
    for (int i = 0; i < EVENTS; i++)
        sb_client_ack(client, &held[i]);
    CHECK(sb_client_commit(client, WAIT_MS) == SB_CLIENT_OK);
    CHECK(sb_client_next(client, 2000, &event) == SB_CLIENT_TIMEOUT);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {
        {"refused", refused},
        {"bad", bad},
        {"same_key", same_key},
        {"no_group", no_group},
        {"answers", answers},
        {"late", late},
        {"through_kills", through_kills},
        {"holds", holds},
    };
    char error[300];

    if (argc != 3)
        return 2;
    client =
        sb_client_open(&(struct sb_client_options){.endpoint = argv[1], .name = "driver"},
                       error, sizeof(error));
    if (!client) {
        fprintf(stderr, "%s\n", error);
        return 3;
    }
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
        if (strcmp(scenarios[i].name, argv[2]) == 0)
            scenarios[i].run();
    sb_client_close(client);
    return 0;
}
