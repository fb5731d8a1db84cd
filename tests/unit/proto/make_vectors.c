/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* make_vectors DIR - write the examples anew, after the protocol was changed on purpose:
 * NAME.bin and NAME.json each */
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "vectors.h"

static int write_file(const char *dir, const char *name, const char *suffix,
                      const struct buf *bytes)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s.%s", dir, name, suffix);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes->bytes, 1, bytes->len, file) != bytes->len)
        perror(path);
    return !file || fclose(file) != 0;
}

int main(int argc, char **argv)
{
    int status = argc != 2;

    for (size_t i = 0; argc == 2; i++) {
        struct buf bytes = BUF_NULL, text = BUF_NULL;
        struct json *json = NULL;
        const char *name = vector_make(i, &bytes, &json);
        if (!name)
            break;
        js_write(json, 2, &text);
        buf_text(&text, "\n");
        status |= write_file(argv[1], name, "bin", &bytes);
        status |= write_file(argv[1], name, "json", &text);
        js_free(json);
        buf_fini(&bytes);
        buf_fini(&text);
    }
    return status;
}
