/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cron.h"
#include "lib/base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Whatever a file says, offsets stay within their bounds, and a schedule by it goes
 * forward. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int64_t times[] = {-5000000000, 0, 1700000000, 4000000000, 250000000000};
    struct cron cron;
    const char *why;
    char error[100];
    size_t column;
    struct zone *zone = zone_parse(data, n, &why);

    if (!zone)
        return 0;
    cron_parse("30 2 * * *", &cron, error, sizeof(error), &column);
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        int32_t offset = zone_offset(zone, times[i]);
        assert(offset > -800000 && offset < 800000);
        int64_t next = cron_next(&cron, zone, times[i]);
        assert(next == 0 || next > times[i]);
    }
    zone_free(zone);
    return 0;
}
