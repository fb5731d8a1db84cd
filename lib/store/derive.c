/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the records of one block mean for the views. */
#include <ctype.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/store/derived.h"
#include "proto/attrs.h"
#include "proto/control.h"

enum { SERVICE_MAX = 256 };

uint32_t views_service(const char *name, size_t n)
{
    char folded[SERVICE_MAX];
    size_t len = n < sizeof(folded) ? n : sizeof(folded);

    for (size_t i = 0; i < len; i++)
        folded[i] = (char)tolower((unsigned char)name[i]);
    uint32_t hash = (uint32_t)hash64(folded, len);
    return hash ? hash : 1;
}

/* Can the attribute be there?  Its number would be, as a byte. Spares most records the
 * walk. */
static bool may_have(const struct record *r, enum attr attr)
{
    return r->attr_len && memchr(record_attrs(r), (int)attr, r->attr_len);
}

static struct views_open names_of(const struct record *r, uint32_t index)
{
    struct views_open names = {.type = r->type_hash,
                               .index = index,
                               .integration = r->integration,
                               .kind = r->kind};
    const char *service;
    size_t n;

    if (may_have(r, ATTR_SERVICE) &&
        attrs_find_text(record_attrs(r), r->attr_len, ATTR_SERVICE, &service, &n))
        names.service = views_service(service, n);
    return names;
}

static void tally(struct views *views, enum views_what what,
                  const struct views_open *names, unsigned status, unsigned error_class)
{
    const struct views_tally t = {.type = names->type,
                                  .integration = names->integration,
                                  .service = names->service,
                                  .what = (uint8_t)what,
                                  .status = (uint8_t)status,
                                  .error_class = (uint8_t)error_class};

    run_tally(&views->run, &t, 1);
}

static void want_event(struct run *run, const struct record *r)
{
    run_want(run, VIEWS_ID, r->id);
    if (!id_is_zero(r->cause))
        run_want(run, VIEWS_ID, r->cause);
    if (r->key_hash)
        run_want(run, VIEWS_KEY, &r->key_hash);
}

/* --- costs --- */

static bool take_cost(void *user, const struct attr_value *v)
{
    struct views_cost *cost = user;

    if (v->attr == ATTR_COST && v->type == ATTR_IS_INT) {
        cost->micros = v->number;
        cost->reserved[0] = 1; /* there is one */
    } else if (v->attr == ATTR_CURRENCY && v->type == ATTR_IS_TEXT) {
        memcpy(cost->currency, v->text,
               v->text_len < sizeof(cost->currency) ? v->text_len
                                                    : sizeof(cost->currency) - 1);
    } else if (v->attr == ATTR_COST_KIND && v->type == ATTR_IS_TEXT) {
        cost->kind = v->text_len == 6 && memcmp(v->text, "actual", 6) == 0
                         ? VIEWS_COST_ACTUAL
                         : VIEWS_COST_ESTIMATED;
    }
    return true;
}

/* What does not say that it is actual counts as estimated. */
static void add_cost(struct views *views, const struct record *r,
                     const struct views_open *request)
{
    struct views_cost cost = {.type = request->type,
                              .integration = request->integration,
                              .count = 1,
                              .status = r->status};
    const char *why; /* what does not read is no cost; the row shows none either */

    if (may_have(r, ATTR_COST))
        attrs_walk(record_attrs(r), r->attr_len, take_cost, &cost, &why);
    if (!cost.reserved[0]) {
        cost.micros = 0;
        memset(cost.currency, 0, sizeof(cost.currency));
        cost.kind = VIEWS_COST_NONE;
    } else if (cost.kind == VIEWS_COST_NONE) {
        cost.kind = VIEWS_COST_ESTIMATED;
    }
    cost.reserved[0] = 0;
    run_cost(&views->run, &cost);
}

/* --- events --- */

/* Who takes it waits for it. */
static void open_for_groups(struct views *views, uint64_t block, const struct record *r,
                            const struct views_open *names)
{
    size_t n;
    const uint32_t *groups = types_note(views, r, &n);

    for (size_t i = 0; i < n && r->kind != RECORD_REQUEST; i++)
        if (record_is_for(r, groups[i]))
            open_add(views, block, groups[i], names);
}

/* The first outcome of a request ends it; of one whose segment was removed before the
 * views began, it is taken for the first. */
static void end_request(struct views *views, const struct record *r,
                        const struct views_open *names)
{
    struct views_open request = *names;

    if (!open_take(views, r->cause_block, 0, r->cause_index, &request) &&
        (r->cause_block == 0 || r->cause_block >= views->applied.base))
        return;
    tally(views, VIEWS_ENDED, &request, r->status, r->error_class);
    add_cost(views, r, &request);
}

static void take_event(struct views *views, const struct block *block, uint32_t index,
                       const struct record *r)
{
    struct views_open names = names_of(r, index);
    struct row *row = &views->run.row;

    row->events++;
    row->requests += r->kind == RECORD_REQUEST;
    row->facts += r->kind == RECORD_FACT;
    row->succeeded += r->status == STATUS_SUCCESS;
    row->failed += r->status == STATUS_FAILED;
    want_event(&views->run, r);
    open_for_groups(views, block->number, r, &names);
    if (r->kind == RECORD_REQUEST) {
        tally(views, VIEWS_ASKED, &names, r->status, r->error_class);
        open_add(views, block->number, 0, &names);
    } else if (r->kind == RECORD_FACT) {
        tally(views, VIEWS_TOLD, &names, r->status, r->error_class);
    } else {
        tally(views, VIEWS_ANSWERED, &names, r->status, r->error_class);
        end_request(views, r, &names);
    }
}

/* --- control records --- */

static void take_ack(struct views *views, const struct record *r)
{
    struct control_ack ack;
    struct views_open names;

    if (r->data_len < sizeof(ack))
        return;
    memcpy(&ack, record_data(r), sizeof(ack));
    views->run.row.failed += ack.result == STATUS_FAILED;
    views->run.row.succeeded += ack.result == STATUS_SUCCESS;
    uint64_t end = (uint64_t)ack.first + ack.count;
    for (uint32_t i = ack.first; (i = open_next(views, ack.block, ack.group, i)) < end;
         i++)
        if (open_take(views, ack.block, ack.group, i, &names) &&
            ack.result == STATUS_FAILED && names.kind == RECORD_FACT)
            tally(views, VIEWS_GIVEN_UP, &names, STATUS_FAILED, r->error_class);
}

/* Of a request, or of a delivery to a group. */
static void take_retry(struct views *views, const struct record *r)
{
    struct control_retry c;

    if (r->data_len < sizeof(c))
        return;
    memcpy(&c, record_data(r), sizeof(c));
    open_attempt(views, c.block, 0, c.index, c.attempts);
    open_attempt(views, c.block, c.group, c.index, c.attempts);
}

static bool is_group(const struct record *r)
{
    static const char type[] = "signalbox.group";

    return r->kind == RECORD_NOTE && r->type_len == sizeof(type) - 1 &&
           memcmp(record_type(r), type, sizeof(type) - 1) == 0;
}

static void take_control(struct views *views, const struct record *r)
{
    if (r->kind == RECORD_ACK)
        take_ack(views, r);
    if (r->kind == RECORD_RETRY)
        take_retry(views, r);
    if (is_group(r))
        types_group(views, r);
    /* Of notes only groups: all blocks of such a row are read whenever a log is opened. */
    if (r->kind == RECORD_INTEGRATION || r->kind == RECORD_MANIFEST || is_group(r))
        views->run.row.is_config = 1;
}

/* The block that the record is about, 0: none. */
static uint64_t block_it_is_about(const struct record *r)
{
    struct control_ack ack;
    struct control_retry retry;
    struct control_start start;

    if (r->kind == RECORD_OUTCOME)
        return r->cause_block;
    if (r->kind == RECORD_ACK && r->data_len >= sizeof(ack)) {
        memcpy(&ack, record_data(r), sizeof(ack));
        return ack.block;
    }
    if (r->kind == RECORD_RETRY && r->data_len >= sizeof(retry)) {
        memcpy(&retry, record_data(r), sizeof(retry));
        return retry.block;
    }
    if (r->kind == RECORD_START && r->data_len >= sizeof(start)) {
        memcpy(&start, record_data(r), sizeof(start));
        return start.block;
    }
    return 0;
}

void derive_block(struct views *views, const struct block *block)
{
    uint64_t about = 0;
    uint32_t index = 0;

    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r), index++) {
        uint64_t of = block_it_is_about(r);
        if (of && of != about) /* most are about one block */
            run_want(&views->run, VIEWS_OF, &of);
        about = of ? of : about;
        if (record_is_event(r))
            take_event(views, block, index, r);
        else
            take_control(views, r);
    }
}
