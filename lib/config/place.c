/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Where something stands in the file, for those who say what is to be changed in it */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/config/node.h"

/* The member that the next segment of *path names, and *path behind it. */
static const struct node *member(const struct node *map, const char **path)
{
    size_t n = strcspn(*path, ".");
    _free_ char *name = mem_copy(*path, n);

    *path += n + ((*path)[n] == '.');
    return node_member(map, name);
}

int config_line(const char *text, size_t n, const char *path)
{
    struct problems problems = {0};
    struct node *root = node_parse(text, n, &problems);
    const struct node *at = root;
    int line = 0;

    while (at && *path && (at = member(at, &path)))
        line = (int)at->key_mark.line;
    node_free(root);
    problems_fini(&problems);
    return line;
}
