/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a consumer says over HTTP became of its events. */
#include <assert.h>
#include <stdlib.h>

#include "gateway/result.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { RESULTS_MAX = 64 };

/* What is read can be written, as records that the broker takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct result results[RESULTS_MAX];
    char why[160] = "";
    size_t count = 0;
    struct json *list = js_parse((const char *)data, n, why, sizeof(why));

    if (list && results_read(list, results, RESULTS_MAX, &count, why, sizeof(why))) {
        for (size_t i = 0; i < count; i++) {
            struct buf out = BUF_NULL;
            const char *wrong;
            if (results[i].kind != RESULT_EXTEND)
                result_write(&results[i], (struct position){i + 1, 7}, &out);
            assert(!out.len || record_check(out.bytes, out.len, &wrong));
            assert(!results[i].lease != !results[i].id);
            buf_fini(&out);
        }
    } else {
        assert(why[0]);
    }
    js_free(list);
    return 0;
}
