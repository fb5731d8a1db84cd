/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/block.h"
#include "proto/message.h"
#include "vectors.h"

static void read_file(const char *name, const char *suffix, struct buf *out)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s.%s", VECTORS, name, suffix);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is missing; make_vectors writes it", path);
    for (size_t n = 1; n > 0; out->len += n)
        n = fread(buf_reserve(out, 4096), 1, 4096, file);
    fclose(file);
}

/* What is on disk, on the wire and in other people's programs does not change by
 * accident. */
static void every_example_is_as_it_was(void **state)
{
    struct json *json;
    const char *name;

    (void)state;
    for (size_t i = 0;; i++) {
        struct buf made = BUF_NULL, kept = BUF_NULL, text = BUF_NULL,
                   kept_text = BUF_NULL;
        if (!(name = vector_make(i, &made, &json)))
            break;
        read_file(name, "bin", &kept);
        read_file(name, "json", &kept_text);
        js_write(json, 2, &text);
        buf_text(&text, "\n");
        if (made.len != kept.len || memcmp(made.bytes, kept.bytes, made.len) != 0)
            fail_msg("%s.bin: the bytes differ", name);
        assert_string_equal(buf_str(&text), buf_str(&kept_text));
        js_free(json);
        buf_fini(&made);
        buf_fini(&kept);
        buf_fini(&text);
        buf_fini(&kept_text);
    }
}

/* The bytes of the files pass the checks that everything foreign has to pass. */
static void every_example_is_well_formed(void **state)
{
    const char *name, *why;
    unsigned seen[256] = {0}, kinds[256] = {0};
    struct json *json;

    (void)state;
    for (size_t i = 0;; i++) {
        struct buf made = BUF_NULL;
        if (!(name = vector_make(i, &made, &json)))
            break;
        if (strncmp(name, "record_", 7) == 0) {
            const struct record *r = record_check(made.bytes, made.len, &why);
            assert_true(r && r->len == made.len);
            kinds[r->kind]++;
        } else if (strcmp(name, "block") == 0) {
            assert_non_null(block_check(made.bytes, made.len, &why));
        } else {
            const struct message *m = message_check(made.bytes, made.len, &why);
            assert_non_null(m);
            seen[m->type]++;
        }
        js_free(json);
        buf_fini(&made);
    }
#define MESSAGE(number, name_, from, body)                                               \
    if (!seen[number])                                                                   \
        fail_msg("there is no example of %s", #name_);
#include "proto/messages.def"
#undef MESSAGE
    for (int kind = RECORD_REQUEST; kind <= RECORD_START; kind++)
        if ((kind <= RECORD_FACT || kind >= RECORD_BATCH) && !kinds[kind])
            fail_msg("there is no example of a record of kind %d", kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_is_as_it_was),
        cmocka_unit_test(every_example_is_well_formed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
