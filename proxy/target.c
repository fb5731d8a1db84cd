/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/target.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

static const char blanks[] = " \t\n";

/* --- the target --- */

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    char low = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    const char *at = low ? strchr(digits, low) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* One character of a path; 0 where it is none that everybody reads in the same way. */
static char read_one(const char **at)
{
    char c = *(*at)++;

    if (c != '%')
        return c > 0x20 && c < 0x7f && c != '\\' ? c : 0;
    int high = digit((*at)[0]), low = high < 0 ? -1 : digit((*at)[1]);
    if (low < 0)
        return 0;
    *at += 2;
    unsigned char byte = (unsigned char)(high << 4 | low);
    return byte <= 0x20 || byte == 0x7f || strchr("/\\.%?#", byte) ? 0 : (char)byte;
}

static bool decode(const char *text, size_t n, char *out)
{
    for (const char *at = text; at < text + n; out++)
        if (!(*out = read_one(&at)) || at > text + n)
            return false;
    *out = 0;
    return true;
}

/* Is a segment empty, "." or ".."? The last one may be empty. */
static bool has_odd_segment(const char *path)
{
    for (const char *at = path + 1; at;
         at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        size_t n = strcspn(at, "/");
        if ((n == 0 && *at) || (n == 1 && *at == '.') ||
            (n == 2 && !strncmp(at, "..", 2)))
            return true;
    }
    return false;
}

static bool is_printable(const char *text)
{
    while (*text > 0x20 && *text < 0x7f)
        text++;
    return !*text;
}

static const char *without_prefix(const char *text, const char *integration)
{
    size_t n = strlen(integration);

    return *text == '/' && strncmp(text + 1, integration, n) == 0 && text[n + 1] == '/'
               ? text + n + 1
               : text;
}

const char *target_read(const char *text, const char *integration, struct target *ret)
{
    if (*text != '/' || strlen(text) > TARGET_MAX)
        return "expected a path of at most 8192 bytes";
    const char *from = without_prefix(text, integration);
    size_t n = strcspn(from, "?");
    _free_ char *path = mem_alloc(n + 1);
    const char *query = from[n] ? from + n + 1 : NULL;
    if (!decode(from, n, path) || has_odd_segment(path))
        return "the path has an empty or dotted segment, or an encoded character that "
               "others may read otherwise";
    if (query && !is_printable(query))
        return "the query has characters that are not allowed there";
    *ret = (struct target){mem_text(path), mem_copy(from, n), mem_text(query)};
    return NULL;
}

void target_fini(struct target *target)
{
    free(target->path);
    free(target->encoded);
    free(target->query);
    *target = (struct target){0};
}

/* --- the list --- */

/* One entry; its texts are the list's. */
struct entry {
    const char *methods, *path;
    size_t methods_len, path_len;
};

/* The next entry, *at moved behind it; false at the end. One that is wrong has no path.
 */
static bool next_entry(const char **at, struct entry *ret)
{
    const char *text = *at + strspn(*at, ", \t\n");

    if (!*text)
        return false;
    *ret = (struct entry){.methods = text};
    ret->methods_len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ|");
    text += ret->methods_len;
    const char *path = text + strspn(text, blanks);
    if (ret->methods_len && path > text && *path == '/') {
        ret->path = path;
        ret->path_len = strcspn(path, ", \t\n");
        text = path + ret->path_len;
        text += strspn(text, blanks);
        if (*text && *text != ',')
            ret->path = NULL;
    }
    *at = text + strcspn(text, ",");
    return true;
}

static bool has_method(const struct entry *entry, const char *method)
{
    size_t n = strlen(method);

    for (const char *at = entry->methods, *end = at + entry->methods_len; at < end;) {
        size_t len = 0;
        while (at + len < end && at[len] != '|')
            len++;
        if (len == n && memcmp(at, method, n) == 0)
            return true;
        at += len + 1;
    }
    return false;
}

static size_t segment(const char *at, const char *end)
{
    size_t n = 0;

    while (at + n < end && at[n] != '/')
        n++;
    return n;
}

static bool has_path(const struct entry *entry, const char *path)
{
    const char *p = entry->path + 1, *p_end = entry->path + entry->path_len;
    const char *at = path + 1, *end = path + strlen(path);

    for (;;) {
        size_t n = segment(p, p_end), m = segment(at, end);
        bool is_any = n == 1 && *p == '*', is_rest = n == 1 && *p == '>';
        if (is_rest && p + n == p_end)
            return m > 0;
        if (is_any ? m == 0 : n != m || memcmp(p, at, n) != 0)
            return false;
        if (p + n == p_end || at + m == end)
            return p + n == p_end && at + m == end;
        p += n + 1;
        at += m + 1;
    }
}

bool allow_has(const char *list, const char *method, const char *path)
{
    struct entry entry;

    while (next_entry(&list, &entry))
        if (entry.path && has_method(&entry, method) && has_path(&entry, path))
            return true;
    return false;
}

const char *allow_wrong(const char *list)
{
    struct entry entry = {0};
    const char *first = list;

    while (next_entry(&list, &entry))
        if (!entry.path)
            return entry.methods;
    return entry.methods ? NULL : first;
}
