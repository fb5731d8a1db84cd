/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/pages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

/* The format, from the LMDB 0.9 sources (struct MDB_page, MDB_node, MDB_db, MDB_meta), 64
 * bits, little-endian. */
enum {
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    PAGE_KINDS = 0x6f
};
enum { NODE_IS_BIG = 1 };
enum { FLAG_INTEGERKEY = 8, FLAGS_OF_TREE = 0xff }; /* above: flags of the environment */
enum { DEPTH_MAX = 32 };
#define META_MAGIC 0xbeefc0deu
#define NO_PAGE    UINT64_MAX

struct page_head {
    uint64_t number;
    uint16_t pad, kind;
    uint16_t lower, upper; /* of an overflow page together: the number of pages */
};
struct node {
    uint16_t low, high, flags, key_len;
};
struct tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
struct meta {
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree trees[2]; /* free pages, blocks */
    uint64_t last_page, txn;
};

union page {
    struct page_head head;
    uint8_t bytes[PAGES_SIZE];
    uint64_t align;
};

struct walk {
    int fd;
    uint64_t last_page;
    uint8_t *seen; /* a bit for each page that something uses */
    uint64_t entries, last_key;
    bool has_key;
    bool is_free_list;
    char *why;
    size_t why_size;
};

static int damaged(char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int damaged(char *why, size_t why_size, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, why_size, format, args);
    va_end(args);
    return PAGES_DAMAGED;
}

static bool read_at(int fd, void *bytes, size_t n, uint64_t offset)
{
    ssize_t got;

    do
        got = pread(fd, bytes, n, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)n;
}

/* --- meta pages --- */

static int read_meta(int fd, uint64_t at, struct meta *meta, char *why, size_t why_size)
{
    struct {
        struct page_head head;
        struct meta meta;
    } page;

    if (!read_at(fd, &page, sizeof(page), at * PAGES_SIZE))
        return damaged(why, why_size, "meta page %llu cannot be read",
                       (unsigned long long)at);
    if (page.head.number != at || !(page.head.kind & PAGE_META) ||
        page.meta.magic != META_MAGIC)
        return damaged(why, why_size, "not a log file (meta page %llu)",
                       (unsigned long long)at);
    if (page.meta.version != 1 || page.meta.trees[0].pad != PAGES_SIZE)
        return damaged(why, why_size,
                       "a log file of another LMDB or page size (meta page %llu)",
                       (unsigned long long)at);
    *meta = page.meta;
    return PAGES_OK;
}

/* Do the two metas tell one story: alternating, the newer one with more in it? Then
 * *ret_newer. */
static int choose_meta(const struct meta metas[2], int *ret_newer, char *why,
                       size_t why_size)
{
    int newer = metas[1].txn > metas[0].txn;
    const struct meta *a = metas + newer, *b = metas + !newer;
    bool is_new = a->txn == 0 && b->txn == 0;
    bool alternates = a->txn == b->txn + 1 && (a->txn & 1) == (uint64_t)newer;
    /* Every transaction but the first, which made the tree, brought blocks. But where the
     * write of a meta page failed and the process was killed at once, LMDB has left the
     * old number and last page beside the trees that were not committed. */
    bool grows = a->last_page >= b->last_page &&
                 (b->txn < 1 || a->trees[1].entries > b->trees[1].entries ||
                  a->last_page > b->last_page);

    if (!is_new && !(alternates && grows))
        return damaged(
            why, why_size,
            "the two meta pages contradict each other (transactions %llu and %llu)",
            (unsigned long long)a->txn, (unsigned long long)b->txn);
    *ret_newer = newer;
    return PAGES_OK;
}

static int read_metas(int fd, struct meta metas[2], char *why, size_t why_size)
{
    int result = read_meta(fd, 0, metas, why, why_size);

    return result ? result : read_meta(fd, 1, metas + 1, why, why_size);
}

static int check_size(int fd, const struct meta *meta, struct pages_facts *ret, char *why,
                      size_t why_size)
{
    struct stat st;

    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        return damaged(why, why_size, "not a regular file");
    uint64_t pages = (uint64_t)st.st_size / PAGES_SIZE;
    if (meta->last_page < 1 || meta->last_page >= pages)
        return damaged(why, why_size,
                       "the file is cut short: page %llu is in use, it has %llu",
                       (unsigned long long)meta->last_page, (unsigned long long)pages);
    if (meta->map_size / PAGES_SIZE <= meta->last_page || meta->map_size > (uint64_t)1
                                                                               << 46)
        return damaged(why, why_size, "the map size stored does not fit the file");
    *ret = (struct pages_facts){.map_size = meta->map_size,
                                .file_size = (uint64_t)st.st_size,
                                .last_page = meta->last_page,
                                .txn = meta->txn,
                                .entries = meta->trees[1].entries};
    return PAGES_OK;
}

int pages_glance(int fd, struct pages_facts *ret, char *why, size_t why_size)
{
    struct meta metas[2];
    int chosen = 0, result = read_metas(fd, metas, why, why_size);

    if (!result)
        result = choose_meta(metas, &chosen, why, why_size);
    return result ? result : check_size(fd, metas + chosen, ret, why, why_size);
}

/* --- trees --- */

static int bad_page(const struct walk *walk, uint64_t number, const char *what)
{
    return damaged(walk->why, walk->why_size, "page %llu: %s", (unsigned long long)number,
                   what);
}

/* Note that `n` pages are used by one thing; each may be used once only. */
static int claim(struct walk *walk, uint64_t number, uint64_t n)
{
    if (number < 2 || n < 1 || number > walk->last_page ||
        n - 1 > walk->last_page - number)
        return bad_page(walk, number, "outside what is in use");
    for (uint64_t i = number; i < number + n; i++) {
        if (walk->seen[i / 8] & 1 << i % 8)
            return bad_page(walk, i, "used twice");
        walk->seen[i / 8] |= (uint8_t)(1 << i % 8);
    }
    return PAGES_OK;
}

static int check_big(struct walk *walk, uint64_t number, uint64_t size)
{
    struct page_head head;
    uint64_t pages = (size + sizeof(head) + PAGES_SIZE - 1) / PAGES_SIZE;

    int result = claim(walk, number, pages);
    if (result)
        return result;
    if (!read_at(walk->fd, &head, sizeof(head), number * PAGES_SIZE))
        return bad_page(walk, number, "cannot be read");
    uint32_t stored = head.lower | (uint32_t)head.upper << 16;
    if (head.number != number || (head.kind & PAGE_KINDS) != PAGE_OVERFLOW ||
        stored != pages)
        return bad_page(walk, number, "is not the block's page that its tree says");
    return PAGES_OK;
}

/* A value of the free list: a count and so many page numbers, none of them in use. */
static int check_free(struct walk *walk, uint64_t page, const uint8_t *value, size_t size)
{
    uint64_t count, number;

    if (size < sizeof(count))
        return bad_page(walk, page, "free list cut short");
    memcpy(&count, value, sizeof(count));
    if (count > size / sizeof(number) - 1)
        return bad_page(walk, page, "free list cut short");
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&number, value + i * sizeof(number), sizeof(number));
        if (claim(walk, number, 1))
            return bad_page(walk, page, "free list names a page that is in use");
    }
    return PAGES_OK;
}

static int check_key(struct walk *walk, uint64_t page, const uint8_t *key)
{
    uint64_t number;

    memcpy(&number, key, sizeof(number));
    if (walk->has_key && number <= walk->last_key)
        return bad_page(walk, page, "keys out of order");
    walk->has_key = true;
    walk->last_key = number;
    walk->entries++;
    return PAGES_OK;
}

static int check_big_free(struct walk *walk, uint64_t page, uint64_t number,
                          uint64_t size)
{
    if (size > walk->last_page * sizeof(uint64_t) + PAGES_SIZE)
        return bad_page(walk, page, "free list longer than the file");
    _free_ uint8_t *value = mem_alloc(size);
    if (!read_at(walk->fd, value, size, number * PAGES_SIZE + sizeof(struct page_head)))
        return bad_page(walk, number, "cannot be read");
    return check_free(walk, page, value, size);
}

static int check_leaf_node(struct walk *walk, const union page *page, size_t at)
{
    uint64_t number = page->head.number, big;
    struct node node;

    memcpy(&node, page->bytes + at, sizeof(node));
    uint64_t size = node.low | (uint32_t)node.high << 16;
    uint64_t held = node.flags & NODE_IS_BIG ? sizeof(big) : size;
    if (node.key_len != sizeof(uint64_t) || node.flags & ~NODE_IS_BIG ||
        at + sizeof(node) + node.key_len + held > PAGES_SIZE)
        return bad_page(walk, number, "an entry does not fit its page");
    const uint8_t *value = page->bytes + at + sizeof(node) + node.key_len;
    int result = check_key(walk, number, value - node.key_len);
    if (result)
        return result;
    if (!(node.flags & NODE_IS_BIG))
        return walk->is_free_list ? check_free(walk, number, value, size) : PAGES_OK;
    memcpy(&big, value, sizeof(big));
    result = check_big(walk, big, size);
    return result || !walk->is_free_list ? result
                                         : check_big_free(walk, number, big, size);
}

/* Read one tree page and see that its list of entries lies within it. */
static int read_page(struct walk *walk, uint64_t number, int kind, union page *page)
{
    int result = claim(walk, number, 1);

    if (result)
        return result;
    if (!read_at(walk->fd, page, sizeof(*page), number * PAGES_SIZE))
        return bad_page(walk, number, "cannot be read");
    const struct page_head *head = &page->head;
    if (head->number != number || (head->kind & PAGE_KINDS) != kind)
        return bad_page(walk, number, "is not the tree's page that it should be");
    if (head->lower < sizeof(*head) || head->lower > head->upper ||
        head->upper > PAGES_SIZE || head->lower % 2 || head->lower == sizeof(*head))
        return bad_page(walk, number, "its list of entries does not fit");
    return PAGES_OK;
}

static int check_tree_page(struct walk *walk, uint64_t number, unsigned depth)
{
    _free_ union page *page = mem_alloc(sizeof(*page));
    int result = read_page(walk, number, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, page);
    size_t n = ((size_t)page->head.lower - sizeof(page->head)) / 2;

    for (size_t i = 0; !result && i < n; i++) {
        uint16_t at;
        struct node node;
        memcpy(&at, page->bytes + sizeof(page->head) + 2 * i, sizeof(at));
        if (at < page->head.upper || at % 2 || at + sizeof(node) > PAGES_SIZE)
            return bad_page(walk, number, "an entry does not fit its page");
        if (depth == 1) {
            result = check_leaf_node(walk, page, at);
            continue;
        }
        memcpy(&node, page->bytes + at, sizeof(node));
        if (at + sizeof(node) + node.key_len > PAGES_SIZE ||
            (i && node.key_len != sizeof(uint64_t)))
            return bad_page(walk, number, "an entry does not fit its page");
        uint64_t child =
            node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
        result = check_tree_page(walk, child, depth - 1);
    }
    return result;
}

static int check_tree(struct walk *walk, const struct tree *tree)
{
    walk->entries = 0;
    walk->has_key = false;
    if ((tree->flags & FLAGS_OF_TREE) != FLAG_INTEGERKEY || tree->depth > DEPTH_MAX)
        return damaged(walk->why, walk->why_size,
                       "the tree is not of the kind the log uses");
    if (tree->root == NO_PAGE && !tree->entries)
        return PAGES_OK;
    if (!tree->depth)
        return damaged(walk->why, walk->why_size, "the tree has entries and no depth");
    int result = check_tree_page(walk, tree->root, tree->depth);
    if (!result && walk->entries != tree->entries)
        return damaged(
            walk->why, walk->why_size, "the tree holds %llu entries and says %llu",
            (unsigned long long)walk->entries, (unsigned long long)tree->entries);
    return result;
}

int pages_check(int fd, uint64_t txn, int free_too, char *why, size_t why_size)
{
    struct meta metas[2];
    struct pages_facts facts;
    int result = read_metas(fd, metas, why, why_size);

    if (result)
        return result;
    if (metas[0].txn != txn && metas[1].txn != txn)
        return PAGES_MOVED;
    const struct meta *meta = metas + (metas[1].txn == txn);
    if ((result = check_size(fd, meta, &facts, why, why_size)))
        return result;
    _free_ uint8_t *seen = mem_alloc(facts.file_size / PAGES_SIZE / 8 + 1);
    struct walk walk = {.fd = fd,
                        .last_page = meta->last_page,
                        .seen = seen,
                        .why = why,
                        .why_size = why_size};
    result = check_tree(&walk, meta->trees + 1);
    walk.is_free_list = true;
    return result || !free_too ? result : check_tree(&walk, meta->trees);
}
