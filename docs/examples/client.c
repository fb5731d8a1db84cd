/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An application on the bus: publishes orders, has a card charged, takes the events of a
 * consumer group.
 *
 *     cc -o shop client.c $(pkg-config --cflags --libs signalbox)
 *     ./shop ipc:///srv/signalbox/run/bus.sock publish 1000
 *     ./shop ipc:///srv/signalbox/run/bus.sock charge 2000
 *     ./shop ipc:///srv/signalbox/run/bus.sock take billing 10
 *
 * From another host, with the key that `signalbox key new shop` has made:
 *
 *     SHOP_KEY_FILE=shop.key SHOP_BROKER_KEY='...' ./shop tcp://broker:7070 charge 2000
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <signalbox/client.h>

enum { WAIT_MS = 20000 };

static int fail(const struct sb_client *client, const char *what)
{
    fprintf(stderr, "%s: %s\n", what, sb_client_error(client));
    return 1;
}

/* Facts: many at once, and safe when commit says so. */
static int publish(struct sb_client *client, long n)
{
    char data[64], key[32];

    for (long i = 0; i < n; i++) {
        snprintf(data, sizeof(data), "{\"number\":%ld}", i);
        snprintf(key, sizeof(key), "customer-%ld", i % 10);
        struct sb_client_event order = {
            .type = "order.created", .key = key, .data = data, .data_len = strlen(data)};
        if (sb_client_publish(client, &order, NULL) != SB_CLIENT_OK)
            return fail(client, "publish");
    }
    if (sb_client_commit(client, WAIT_MS) != SB_CLIENT_OK)
        return fail(client, "commit");
    printf("%ld orders are in the log\n", n);
    return 0;
}

/* A request, and both of its ends. */
static int charge(struct sb_client *client, const char *amount, const char *card)
{
    char data[200], id[SB_CLIENT_ID_SIZE];
    struct sb_client_received *outcome;

    snprintf(data, sizeof(data),
             "{\"amount\":%s,\"currency\":\"usd\",\"payment_method\":\"%s\"}", amount,
             card);
    struct sb_client_event request = {.type = "payment.charge.requested",
                                      .data = data,
                                      .data_len = strlen(data),
                                      .idempotency_key = getenv("SHOP_ORDER")};
    if (sb_client_call(client, &request, WAIT_MS, id, &outcome) != SB_CLIENT_OK)
        return fail(client, id);
    int failed = strcmp(outcome->status, "Failed") == 0;
    if (failed)
        printf("not paid (%s): %s\n", outcome->error_class, outcome->error_msg);
    else
        printf("paid: %.*s\n", (int)outcome->data_len, (const char *)outcome->data);
    sb_client_free(outcome);
    return failed;
}

/* A consumer: each event is acknowledged once it is handled. */
static int take(struct sb_client *client, const char *group, long n)
{
    struct sb_client_received *event;
    int status;

    sb_client_subscribe(client, group, /* ahead= */ 0);
    for (long i = 0; i < n; i++) {
        if ((status = sb_client_next(client, WAIT_MS, &event)) != SB_CLIENT_OK)
            return fail(client, group);
        printf("%s %s %.*s\n", event->type, event->key ? event->key : "-",
               (int)event->data_len, (const char *)event->data);
        sb_client_ack(client, &event);
    }
    if (sb_client_commit(client, WAIT_MS) != SB_CLIENT_OK)
        return fail(client, "commit");
    return 0;
}

int main(int argc, char **argv)
{
    char error[300];

    if (argc < 4) {
        fprintf(stderr,
                "usage: %s ENDPOINT publish N | charge AMOUNT [CARD] | take GROUP N\n",
                argv[0]);
        return 2;
    }
    struct sb_client_options options = {.endpoint = argv[1],
                                        .name = "shop",
                                        .key_file = getenv("SHOP_KEY_FILE"),
                                        .broker_key = getenv("SHOP_BROKER_KEY")};
    struct sb_client *client = sb_client_open(&options, error, sizeof(error));
    if (!client) {
        fprintf(stderr, "%s\n", error);
        return 3;
    }
    int status = 2;
    if (strcmp(argv[2], "publish") == 0)
        status = publish(client, atol(argv[3]));
    else if (strcmp(argv[2], "charge") == 0)
        status = charge(client, argv[3], argc > 4 ? argv[4] : "pm_card_visa");
    else if (strcmp(argv[2], "take") == 0 && argc > 4)
        status = take(client, argv[3], atol(argv[4]));
    sb_client_close(client);
    return status;
}
