/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a program of somebody else's may say: a manifest, or an answer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/program.h"
#include "lib/worker/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { NOW_US = 1700000000 };

/* A manifest that is taken says the same when it is printed and read again. */
static void as_manifest(const char *text, size_t n)
{
    struct buf errors = BUF_NULL, first = BUF_NULL, second = BUF_NULL;
    struct program *program = program_new(text, n, &errors);

    if (program) {
        manifest_write(program_connector(program), NULL, 0, &first);
        struct program *again = program_new(buf_str(&first), first.len, &errors);
        assert(again);
        manifest_write(program_connector(again), NULL, 0, &second);
        assert(strcmp(buf_str(&first), buf_str(&second)) == 0);
        program_free(again);
    }
    assert(program || errors.len);
    program_free(program);
    buf_fini(&errors);
    buf_fini(&first);
    buf_fini(&second);
}

/* Whatever the answer is, the records that come of it are well-formed. */
static void as_answer(const struct integration *integration, const char *type,
                      const char *text, size_t n)
{
    static const uint8_t id[16] = {1};
    struct buf record = BUF_NULL, out = BUF_NULL;
    size_t offset;
    const char *why;

    record_add(&record, &(struct record_parts){.kind = RECORD_REQUEST,
                                               .flags = RECORD_JSON,
                                               .type = type,
                                               .id = id,
                                               .data = "{}",
                                               .data_len = 2});
    struct call *call = call_new(integration, (const struct record *)record.bytes,
                                 (struct position){1, 0}, NOW_US, 1, false);
    bool is_asked = call_begin(call, NOW_US);
    assert(is_asked);
    bool has_more = call_end_line(
        call, &(struct worker_answer){.result = WORKER_ANSWERED, .line = text, .len = n},
        0, NOW_US);
    if (!has_more) {
        call_write(call, NOW_US, &out);
        int records = record_count(out.bytes, out.len, &offset, &why);
        assert(records >= 1);
    }
    call_free(call);
    buf_fini(&record);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char manifest[] =
        "{\"name\":\"t\",\"version\":\"1\",\"operations\":[{\"name\":\"once\",\"lookup\":"
        "true},{\"name\":\"safe\",\"repeat\":\"safe\"}],\"publishes\":[\"t.found\"]}";
    struct buf errors = BUF_NULL;
    struct program *program = program_new(manifest, strlen(manifest), &errors);
    const struct integration integration = {
        .connector = program_connector(program), .name = "inst", .is_program = true};

    as_manifest((const char *)data, n);
    as_answer(&integration, "t.once.requested", (const char *)data, n);
    as_answer(&integration, "t.safe.requested", (const char *)data, n);
    program_free(program);
    return 0;
}
