/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"

enum { TURN_MS = 50 }; /* how late a wait may end */

static void on_rejected(void *user, unsigned error_code, const char *detail)
{
    struct bus *bus = user;

    bus->is_rejected = true;
    snprintf(bus->why, sizeof(bus->why), "%s: %s", error_info(error_code)->name,
             detail && *detail ? detail : error_info(error_code)->sentence);
}

int bus_open(struct bus *bus, struct cli *cli, const struct peer_options *callbacks)
{
    const struct config *config = cli_config(cli);
    struct peer_options options = *callbacks;

    if (!config)
        return CLI_USAGE;
    if (config->bus.connect)
        return cli_fail(CLI_UNREACHABLE,
                        "the broker is at %s:%u (bus.connect); run this on its host",
                        config->bus.connect, config->bus.connect_port);
    _free_ char *endpoint = config_bus_endpoint(config);
    options.endpoint = endpoint;
    options.role = "cli";
    options.name = "signalbox";
    options.user = bus;
    options.on_rejected = on_rejected;
    bus->loop = loop_new();
    bus->wire = wire_new(bus->loop);
    bus->peer = peer_new(bus->loop, bus->wire, &options, bus->why, sizeof(bus->why));
    if (!bus->peer)
        return cli_fail(CLI_UNREACHABLE, "%s", bus->why);
    uint64_t until = clock_steady_us() + BUS_JOIN_US;
    while (!peer_is_joined(bus->peer) && !bus->is_rejected && clock_steady_us() < until)
        loop_turn(bus->loop, TURN_MS);
    if (peer_is_joined(bus->peer))
        return CLI_DONE;
    if (bus->is_rejected)
        return cli_fail(CLI_UNREACHABLE, "%s", bus->why);
    return cli_fail(CLI_UNREACHABLE, "no broker answers in %s; `signalbox up` starts one",
                    config->run);
}

bool bus_wait(struct bus *bus, uint64_t until_us)
{
    while (!bus->is_done && !bus->is_rejected && clock_steady_us() < until_us)
        loop_turn(bus->loop, TURN_MS);
    return bus->is_done;
}

void bus_close(struct bus *bus)
{
    if (bus->peer)
        peer_free(bus->peer);
    if (bus->wire)
        wire_free(bus->wire);
    if (bus->loop)
        loop_free(bus->loop);
}

/* --- events out --- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

bool bus_record(const struct bus_event *event, struct buf *out, uint8_t ret_id[16])
{
    struct buf attrs = BUF_NULL;
    char why[128];
    struct json *data = js_parse(event->data, event->data_len, why, sizeof(why));
    uint64_t now = clock_wall_us();

    if (!data) {
        cli_fail(CLI_USAGE, "--data is not JSON: %s", why);
        return false;
    }
    js_free(data);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "signalbox");
    id_new(now, ret_id);
    long at = record_add(
        out,
        &(struct record_parts){
            .kind = ends_with(event->type, ".requested") ? RECORD_REQUEST : RECORD_FACT,
            .flags = RECORD_JSON,
            .type = event->type,
            .id = ret_id,
            .key = event->key,
            .time_us = now,
            .deadline_us = event->deadline_us,
            .integration = event->integration ? integration_hash(event->integration) : 0,
            .attrs = attrs.bytes,
            .attr_len = attrs.len,
            .data = event->data,
            .data_len = event->data_len,
        });
    buf_fini(&attrs);
    if (at < 0)
        cli_fail(CLI_USAGE, "the event is too large");
    return at >= 0;
}

/* --- outcomes in --- */

static void set_attrs(struct json *o, const struct record *outcome)
{
    static const enum attr texts[] = {ATTR_SERVICE, ATTR_ERROR_MSG, ATTR_CURRENCY,
                                      ATTR_COST_KIND};
    int64_t cost, known;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        _free_ char *text =
            attrs_copy_text(record_attrs(outcome), outcome->attr_len, texts[i]);
        js_set_text(o, attr_name(texts[i]), text);
    }
    if (attrs_find_int(record_attrs(outcome), outcome->attr_len, ATTR_COST, &cost))
        js_set_int(o, "cost", cost);
    if (attrs_find_int(record_attrs(outcome), outcome->attr_len, ATTR_KNOWN, &known))
        js_set_int(o, "known", known);
}

static void set_data(struct json *o, const struct record *outcome)
{
    char why[64];
    struct json *data = NULL;
    struct buf encoded = BUF_NULL;

    if (!outcome->data_len)
        return;
    if (outcome->flags & RECORD_JSON)
        data = js_parse((const char *)record_data(outcome), outcome->data_len, why,
                        sizeof(why));
    if (data) {
        js_set(o, "data", data);
        return;
    }
    text_base64(record_data(outcome), outcome->data_len, &encoded);
    js_set_text(o, "data_base64", buf_str(&encoded));
    buf_fini(&encoded);
}

struct json *bus_outcome_json(const uint8_t id[16], const struct record *outcome,
                              uint64_t timestamp_us)
{
    char id_text[ID_TEXT_SIZE], time[TEXT_TIME_SIZE];
    struct json *o = js_object();
    _free_ char *type = mem_copy(record_type(outcome), outcome->type_len);

    id_format(id, id_text);
    text_time(timestamp_us, time);
    js_set_text(js_set_text(o, "id", id_text), "status", status_name(outcome->status));
    js_set_text(js_set_text(o, "type", type), "timestamp", time);
    js_set_int(o, "attempt", outcome->attempt);
    if (outcome->error_class)
        js_set_text(o, "error_class", class_name(outcome->error_class));
    set_attrs(o, outcome);
    set_data(o, outcome);
    return o;
}
