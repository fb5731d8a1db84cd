/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/audit.h"
#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "gateway/query.h"
#include "gateway/route.h"
#include "gateway/stream.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

enum {
    STATUS_MIN = 100,
    STATUS_END = 600,
    ASK_US = 2 * 1000 * 1000, /* the broker may take; then it is left out */
};
static const uint64_t audit_every_us = UINT64_C(3600000000);

static const uint32_t bounds_us[] = {1000,    2500,    5000,    10000,  25000,
                                     50000,   100000,  250000,  500000, 1000000,
                                     2500000, 5000000, 10000000};
enum { N_BOUNDS = sizeof(bounds_us) / sizeof(bounds_us[0]) };

struct route_counts {
    uint64_t by_status[STATUS_END - STATUS_MIN];
    uint64_t buckets[N_BOUNDS + 1]; /* not cumulative; the last: above all bounds */
    uint64_t sum_us, count;
};

struct metrics {
    size_t n_routes;
    struct route_counts routes[]; /* n_routes + 1; the first: no route fitted */
};

enum type { COUNTER, GAUGE, HISTOGRAM };
enum from { OWN, BROKER, GROUP, INTEGRATION, REFUSED };

struct metric;
struct writing {
    struct gateway *gateway;
    const struct json *status;
    struct buf *out;
    const struct metric *metric;
    bool is_headed; /* HELP and TYPE are written */
};
typedef void (*own_fn)(struct writing *w);
struct metric {
    const char *name;
    enum type type;
    enum from from;
    const char *where, *help;
    own_fn own;
};

/* --- counting --- */

struct metrics *metrics_new(size_t n_routes)
{
    struct metrics *metrics =
        mem_alloc(sizeof(*metrics) + (n_routes + 1) * sizeof(struct route_counts));
    metrics->n_routes = n_routes;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

void metrics_answered(struct metrics *metrics, unsigned route, unsigned status,
                      uint64_t duration_us)
{
    struct route_counts *counts =
        &metrics->routes[route <= metrics->n_routes ? route : 0];
    size_t bucket = 0;
    if (status >= STATUS_MIN && status < STATUS_END)
        counts->by_status[status - STATUS_MIN]++;
    while (bucket < N_BOUNDS && duration_us > bounds_us[bucket])
        bucket++;
    counts->buckets[bucket]++;
    counts->sum_us += duration_us;
    counts->count++;
}

/* --- lines --- */

static void write_escaped(struct buf *out, const char *text, bool is_label)
{
    for (; *text; text++) {
        if (*text == '\\' || (is_label && *text == '"'))
            buf_format(out, "\\%c", *text);
        else if (*text == '\n')
            buf_text(out, "\\n");
        else
            buf_add(out, text, 1);
    }
}

static void head(struct writing *w)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    if (w->is_headed)
        return;
    w->is_headed = true;
    buf_format(w->out, "# HELP signalbox_%s ", w->metric->name);
    write_escaped(w->out, w->metric->help, /* is_label= */ false);
    buf_format(w->out, "\n# TYPE signalbox_%s %s\n", w->metric->name,
               types[w->metric->type]);
}

struct label {
    const char *name, *value; /* value NULL: left out */
};

/* The name, with an ending of a histogram's, and up to n labels. */
static void begin(struct writing *w, const char *ending, const struct label *labels,
                  size_t n)
{
    size_t written = 0;
    head(w);
    buf_format(w->out, "signalbox_%s%s", w->metric->name, ending);
    for (size_t i = 0; i < n; i++) {
        if (!labels[i].value)
            continue;
        buf_format(w->out, "%s%s=\"", written++ ? "," : "{", labels[i].name);
        write_escaped(w->out, labels[i].value, /* is_label= */ true);
        buf_text(w->out, "\"");
    }
    buf_text(w->out, written ? "} " : " ");
}

static void line(struct writing *w, const struct label *labels, size_t n, int64_t value)
{
    begin(w, "", labels, n);
    buf_format(w->out, "%" PRId64 "\n", value);
}

static void seconds(struct buf *out, uint64_t us)
{
    buf_format(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

/* --- what is counted here --- */

static void own_build_info(struct writing *w)
{
    line(w, &(struct label){"version", SIGNALBOX_VERSION}, 1, 1);
}

static void own_broker_up(struct writing *w)
{
    line(w, NULL, 0, w->status != NULL);
}

static void own_http_requests_total(struct writing *w)
{
    const struct metrics *m = w->gateway->metrics;
    for (unsigned r = 0; r <= m->n_routes; r++)
        for (unsigned s = 0; s < STATUS_END - STATUS_MIN; s++) {
            char code[16];
            if (m->routes[r].by_status[s] == 0)
                continue;
            snprintf(code, sizeof(code), "%u", s + STATUS_MIN);
            const struct label labels[] = {
                {"method", route_method(r)}, {"route", route_path(r)}, {"code", code}};
            line(w, labels, 3, (int64_t)m->routes[r].by_status[s]);
        }
}

static void write_histogram(struct writing *w, unsigned r)
{
    const struct route_counts *counts = &w->gateway->metrics->routes[r];
    struct label labels[] = {
        {"method", route_method(r)}, {"route", route_path(r)}, {"le", NULL}};
    uint64_t below = 0;
    for (size_t i = 0; i <= N_BOUNDS; i++) {
        char bound[24] = "+Inf";
        if (i < N_BOUNDS)
            snprintf(bound, sizeof(bound), "%g", bounds_us[i] / 1e6);
        below += counts->buckets[i];
        labels[2].value = bound;
        begin(w, "_bucket", labels, 3);
        buf_format(w->out, "%" PRIu64 "\n", below);
    }
    begin(w, "_sum", labels, 2);
    seconds(w->out, counts->sum_us);
    buf_text(w->out, "\n");
    begin(w, "_count", labels, 2);
    buf_format(w->out, "%" PRIu64 "\n", counts->count);
}

static void own_http_request_duration_seconds(struct writing *w)
{
    for (unsigned r = 0; r <= w->gateway->metrics->n_routes; r++)
        if (w->gateway->metrics->routes[r].count)
            write_histogram(w, r);
}

static void own_http_connections(struct writing *w)
{
    line(w, NULL, 0, http_server_connections(w->gateway->server));
}

static void own_http_waiting(struct writing *w)
{
    line(w, NULL, 0, http_server_waiting(w->gateway->server));
}

static void own_http_streams(struct writing *w)
{
    line(w, NULL, 0, streams_count(w->gateway->streams));
}

static void own_intake_held(struct writing *w)
{
    line(w, NULL, 0, hold_count(w->gateway->hold));
}

static void endpoints(struct writing *w, size_t offset)
{
    for (size_t i = 0; i < w->gateway->n_endpoints; i++) {
        const struct endpoint *e = &w->gateway->endpoints[i];
        uint64_t value;
        memcpy(&value, (const uint8_t *)e + offset, sizeof(value));
        const struct label labels[] = {{"integration", e->integration_name},
                                       {"endpoint", e->path}};
        line(w, labels, 2, (int64_t)value);
    }
}

static void own_webhooks_accepted_total(struct writing *w)
{
    endpoints(w, offsetof(struct endpoint, accepted));
}

static void own_webhooks_refused_total(struct writing *w)
{
    endpoints(w, offsetof(struct endpoint, refused));
}

static void own_webhooks_not_taken_total(struct writing *w)
{
    endpoints(w, offsetof(struct endpoint, not_taken));
}

static void own_unaccounted(struct writing *w)
{
    uint64_t at_us, tried_us;
    const struct json *last = audit_last(w->gateway->audits, &at_us, &tried_us);
    if (last)
        line(w, NULL, 0, js_int(last, "unaccounted", 0));
}

static void own_audit_timestamp_seconds(struct writing *w)
{
    uint64_t at_us, tried_us;
    if (!audit_last(w->gateway->audits, &at_us, &tried_us))
        return;
    begin(w, "", NULL, 0);
    seconds(w->out, at_us);
    buf_text(w->out, "\n");
}

/* --- what the broker counts --- */

static bool value_at(const struct json *object, const char *where, int64_t *ret)
{
    const char *equals = strchr(where, '=');
    _free_ char *path = equals ? mem_copy(where, (size_t)(equals - where)) : NULL;
    const struct json *member = js_get(object, equals ? path : where);
    if (!member)
        return false;
    if (equals)
        *ret = !strcmp(js_text(member, NULL, ""), equals + 1);
    else if (js_is_bool(member))
        *ret = js_bool(member, NULL, false);
    else
        *ret = js_int(member, NULL, 0);
    return true;
}

static void write_broker(struct writing *w)
{
    int64_t value;
    if (value_at(w->status, w->metric->where, &value))
        line(w, NULL, 0, value);
}

static void write_groups(struct writing *w)
{
    const struct json *groups = js_get(w->status, "groups");
    bool is_for_integrations = w->metric->from == INTEGRATION;
    for (size_t i = 0; i < js_count(groups); i++) {
        const struct json *group = js_at(groups, i);
        const char *name = js_text(group, "name", ""), *kind = js_text(group, "kind", "");
        const struct label of_group[] = {{"group", name}, {"kind", kind}},
                           of_integration[] = {{"integration", name}};
        int64_t value;
        if (is_for_integrations && strcmp(kind, "integration") != 0)
            continue;
        if (value_at(group, w->metric->where, &value))
            line(w, is_for_integrations ? of_integration : of_group,
                 is_for_integrations ? 1 : 2, value);
    }
}

static void write_refused(struct writing *w)
{
    const struct json *refused = js_get(w->status, "refused");
    void *cursor = NULL;
    const char *reason;
    do {
        const struct json *value = js_next(refused, &cursor, &reason);
        if (value)
            line(w, &(struct label){"reason", reason}, 1, js_int(value, NULL, 0));
    } while (cursor);
}

/* --- all of it --- */

static const struct metric all[] = {
#define OWN_OF_OWN(name)         own_##name
#define OWN_OF_BROKER(name)      NULL
#define OWN_OF_GROUP(name)       NULL
#define OWN_OF_INTEGRATION(name) NULL
#define OWN_OF_REFUSED(name)     NULL
#define METRIC(name, type, from, where, help)                                            \
    {#name, type, from, where, help, OWN_OF_##from(name)},
#include "gateway/metrics.def"
#undef METRIC
};

void metrics_write(struct gateway *gateway, const struct json *status, struct buf *out)
{
    static void (*const writers[])(struct writing * w) = {
        [BROKER] = write_broker,
        [GROUP] = write_groups,
        [INTEGRATION] = write_groups,
        [REFUSED] = write_refused,
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct writing w = {
            .gateway = gateway, .status = status, .out = out, .metric = &all[i]};
        if (all[i].from == OWN)
            all[i].own(&w);
        else if (status)
            writers[all[i].from](&w);
    }
}

static void on_audit(void *user, const struct json *result)
{
    (void)user;
    (void)result; /* audit_last has it */
}

/* Somebody looks at the figures, so this one is kept fresh too. */
static void audit_if_due(struct gateway *gateway)
{
    uint64_t at_us, tried_us;
    audit_last(gateway->audits, &at_us, &tried_us);
    if (!audit_is_running(gateway->audits) &&
        loop_wall_us(gateway->loop) >= tried_us + audit_every_us)
        audit_start(gateway->audits, /* is_background= */ true, on_audit, NULL);
}

static void reply(struct gateway *gateway, struct http_request *request, bool ok,
                  const char *text)
{
    struct buf out = {0};
    struct json *status = ok ? js_parse(text, strlen(text), (char[64]){0}, 64) : NULL;
    metrics_write(gateway, status, &out);
    struct http_reply answer = {200, "text/plain; version=0.0.4; charset=utf-8",
                                out.bytes, out.len, NULL};
    http_reply(request, &answer);
    buf_fini(&out);
    js_free(status);
}

void metrics_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    (void)params;
    audit_if_due(gateway);
    query_ask(gateway, request, ASK_US, reply);
}
