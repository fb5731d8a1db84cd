/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* delivery - events made by hand for tests of calls */
#pragma once
#include <string.h>

#include "lib/base/buf.h"
#include "lib/sdk/call.h"

#define NOW_US 1700000000000000u

struct delivery {
    const char *type, *data;
    uint8_t flags;
    uint64_t deadline_us;
    unsigned attempt; /* 0 is 1 */
    bool in_doubt;
    uint64_t age_us;
    const void *attrs;
    size_t attr_len;
};

/* The id of every such event: 01890a5d-ac96-774b-bcce-b302099a8057. */
static const uint8_t delivery_id[16] = {0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b,
                                        0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57};

static struct call *deliver(const struct integration *integration, struct delivery d)
{
    struct buf out = BUF_NULL;
    struct record_parts parts = {.kind = RECORD_REQUEST,
                                 .flags = (uint8_t)(d.flags | RECORD_JSON),
                                 .type = d.type,
                                 .id = delivery_id,
                                 .deadline_us = d.deadline_us,
                                 .attrs = d.attrs,
                                 .attr_len = d.attr_len,
                                 .data = d.data,
                                 .data_len = d.data ? strlen(d.data) : 0};

    if (record_add(&out, &parts) < 0)
        return NULL;
    struct call *call =
        call_new(integration, (const struct record *)out.bytes, (struct position){7, 3},
                 NOW_US - d.age_us, d.attempt ? d.attempt : 1, d.in_doubt);
    buf_fini(&out);
    return call;
}
