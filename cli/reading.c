/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/reading.h"

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"

struct ledger *reading_open(struct cli *cli, int *ret_status)
{
    const struct config *config = cli_config(cli);
    char error[512];

    *ret_status = CLI_USAGE;
    if (!config)
        return NULL;
    _free_ char *dir = config_log_dir(config);
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));
    if (!ledger)
        *ret_status = cli_fail(CLI_UNREACHABLE, "there is no log to read: %s", error);
    return ledger;
}

bool reading_class(const char *text, int *ret)
{
    const char *names[CLASS_COUNT + 1] = {NULL};

    *ret = class_find(text);
    if (*ret > 0)
        return true;
    for (unsigned i = 1; i < CLASS_COUNT; i++)
        names[i - 1] = class_name(i);
    const char *near = text_nearest(text, names);
    struct buf list = BUF_NULL;
    for (unsigned i = 1; i < CLASS_COUNT; i++)
        buf_format(&list, "%s%s", i > 1 ? ", " : "", class_name(i));
    cli_fail(CLI_USAGE, "--class: there is no class `%s`%s%s; expected one of %s", text,
             near ? "; did you mean " : "", near ? near : "", buf_str(&list));
    buf_fini(&list);
    return false;
}

bool reading_filter_fits(const struct ledger_filter *filter)
{
    if (filter->type && !text_is_pattern(filter->type))
        cli_fail(CLI_USAGE,
                 "--type: `%s` is neither a type nor a pattern; `*` stands for one "
                 "segment, `>` at the end for the rest",
                 filter->type);
    else if (filter->since_us && filter->until_us && filter->since_us >= filter->until_us)
        cli_fail(CLI_USAGE, "--since is not before --until: nothing lies between");
    else
        return true;
    return false;
}
