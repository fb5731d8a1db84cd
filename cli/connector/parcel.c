/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/parcel.h"

#include <stdio.h>

#include "cli/connector/result.h"
#include "cli/connector/stand.h"
#include "cli/connector/subject.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

enum {
    JOIN_US = 20000000,
    OUTCOME_US = 120000000, /* one event, with all that the connector waits for */
};

bool parcel_deliver(struct stand *stand, struct subject *subject,
                    const struct parcel *parcel, struct result *ret, char *error,
                    size_t error_size)
{
    _free_ char *type = mem_format(
        "%s.%s.requested", js_text(subject->manifest, "name", ""), parcel->operation);
    struct buf data = BUF_NULL;
    unsigned before = stand->results;

    if (!stand_wait(stand, &stand->subscribes, 0, JOIN_US)) {
        _free_ char *said = subject_said(subject);
        snprintf(error, error_size, "it did not join; its last words:\n%s", said);
        return false;
    }
    if (parcel->data)
        js_write(parcel->data, 0, &data);
    else
        buf_text(&data, "{}");
    struct position place = stand_deliver(
        stand,
        &(struct stand_event){
            .type = type, .data = data.bytes, .data_len = data.len, .key = parcel->key});
    buf_fini(&data);
    if (!stand_wait(stand, &stand->results, before, OUTCOME_US)) {
        snprintf(error, error_size, "no result within %d s", OUTCOME_US / 1000000);
        return false;
    }
    return result_read(&stand->result, place, stand_event_id(stand), ret, error,
                       error_size);
}
