/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/add/catalog.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/program.h"
#include "lib/worker/capture.h"

enum { TIMEOUT_US = 10000000, ERROR_SIZE = 200 };

/* What the program says of itself; NULL: it is no connector, as most beside us. */
static struct json *ask(char *program)
{
    char *argv[] = {program, (char[]){"--manifest"}, NULL}, error[ERROR_SIZE];
    struct buf text = BUF_NULL;
    struct json *manifest = NULL;

    if (capture(&(struct capture_options){.argv = argv,
                                          .timeout_us = TIMEOUT_US,
                                          .output_max = PROGRAM_MANIFEST_MAX,
                                          .errors = -1},
                &text, error, sizeof(error)) == 0)
        manifest = js_parse((const char *)text.bytes, text.len, error, sizeof(error));
    buf_fini(&text);
    if (js_text(manifest, "name", NULL) && js_get(manifest, "operations"))
        return manifest;
    js_free(manifest);
    return NULL;
}

/* The tables of the provider in a connector's manifest, borrowed; NULL: it has none of
 * this name. Every name it has is noted. */
static const struct json *find_in(const struct json *manifest, const char *provider,
                                  struct buf *names)
{
    const struct json *rows = js_get(manifest, "providers"), *found = NULL;
    const char *own = js_text(manifest, "name", "");

    buf_format(names, "%s%s", names->len ? "; " : "", own);
    for (size_t i = 0; i < js_count(rows); i++) {
        const struct json *row = js_at(rows, i);
        const char *name = js_text(row, "name", "");
        buf_format(names, "%s%s", i ? ", " : ": ", name);
        if (strcmp(name, provider) == 0)
            found = row;
    }
    return js_count(rows) || strcmp(own, provider) != 0 ? found : manifest;
}

static char *pattern_beside_us(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    return mem_format("%.*s/signalbox-*", slash ? (int)(slash - path) : 0, path);
}

int catalog_find(const char *provider, const char *connector, struct catalog_entry *ret,
                 struct buf *error)
{
    _free_ char *pattern = pattern_beside_us();
    struct buf names = BUF_NULL;
    glob_t found = {0};

    *ret = (struct catalog_entry){.program = NULL};
    (void)glob(pattern, 0, NULL, &found); /* none found: none is listed */
    for (size_t i = 0; i < found.gl_pathc && !ret->manifest; i++) {
        struct json *manifest = ask(found.gl_pathv[i]);
        const struct json *row = manifest ? find_in(manifest, provider, &names) : NULL;
        if (row &&
            (!connector || strcmp(js_text(manifest, "name", ""), connector) == 0)) {
            ret->program = mem_text(found.gl_pathv[i]);
            ret->connector = mem_text(js_text(manifest, "name", ""));
            ret->manifest = js_copy(row);
        }
        js_free(manifest);
    }
    globfree(&found);
    if (!ret->manifest)
        buf_format(error, "no connector%s%s knows `%s`; there are %s",
                   connector ? " " : "", connector ? connector : "", provider,
                   names.len ? buf_str(&names) : "none");
    buf_fini(&names);
    return ret->manifest ? 0 : 1;
}

void catalog_entry_fini(struct catalog_entry *entry)
{
    free(entry->program);
    free(entry->connector);
    js_free(entry->manifest);
}
