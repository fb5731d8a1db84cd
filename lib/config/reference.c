/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* reference - the page about signalbox.yaml, from the tables */
#include <stdbool.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/config/tables.h"
#include "lib/config/value.h"

static const char *const several[FIELD_TYPE_COUNT] = {
    [FIELD_TYPES] = "a list of event types or patterns",
    [FIELD_NAMES] = "a list of names",
    [FIELD_WORDS] = "a list: the program and its arguments",
    [FIELD_SECRET] = "vault:NAME or file:PATH",
    [FIELD_SECRETS] = "a list of vault:NAME or file:PATH",
    [FIELD_NAMED_SECRETS] = "a mapping to vault:NAME or file:PATH",
    [FIELD_PRICES] = "a mapping from operation to a price or a list of them",
    [FIELD_OPTIONS] = "a mapping from option to value",
    [FIELD_SECTION] = "a mapping",
    [FIELD_ITEMS] = "a list of mappings",
    [FIELD_NAMED_ITEMS] = "a mapping by name",
};

static void row(const struct field *field, struct buf *out)
{
    buf_format(out, "| `%s` | ", field->name);
    if (value_is_single(field))
        value_describe(field, out);
    else
        buf_text(out, several[field->type]);
    if (field->is_required)
        buf_text(out, " | required");
    else if (field->fallback)
        buf_format(out, " | `%s`", field->fallback);
    else
        buf_text(out, " | ");
    buf_format(out, " | %s |\n", field->sentence);
}

static void table(const struct section *section, const char *path, struct buf *out)
{
    buf_format(out, "\n## %s\n\n", *path ? path : "The file");
    buf_text(out, "| key | takes | default | meaning |\n| --- | --- | --- | --- |\n");
    for (const struct field *field = section->fields; field->name; field++)
        row(field, out);
    for (const struct field *field = section->fields; field->name; field++) {
        if (!field->section)
            continue;
        const char *name = field->type == FIELD_NAMED_ITEMS ? ".NAME"
                           : field->type == FIELD_ITEMS     ? "[]"
                                                            : "";
        _free_ char *inner =
            mem_format("%s%s%s%s", path, *path ? "." : "", field->name, name);
        table(field->section, inner, out);
    }
}

void config_reference(struct buf *out)
{
    buf_text(out,
             "# signalbox.yaml\n\nOne YAML file. Unknown and repeated keys, wrong types, "
             "anchors, "
             "aliases and tags are errors. `<data>` is the value of `data`, `<here>` the "
             "directory of the file.\n");
    table(&config_section, "", out);
}
