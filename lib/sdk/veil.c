/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/veil.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/form.h"

/* --- spellings --- */

static void wipe(struct buf *buf)
{
    if (buf->bytes)
        explicit_bzero(buf->bytes, buf->cap);
    buf_fini(buf);
}

/* Takes the spelling over. One that is there already, or too short, adds nothing. */
static void add(struct veil *veil, struct buf *spelling)
{
    bool is_new = spelling->len >= VEIL_LEAST;

    for (size_t i = 0; is_new && i < veil->n; i++)
        is_new = veil->spellings[i].len != spelling->len ||
                 memcmp(veil->spellings[i].bytes, spelling->bytes, spelling->len) != 0;
    if (!is_new) {
        wipe(spelling);
        return;
    }
    veil->spellings =
        mem_resize(veil->spellings, (veil->n + 1) * sizeof(*veil->spellings));
    size_t at = veil->n++;
    for (; at > 0 && veil->spellings[at - 1].len < spelling->len; at--)
        veil->spellings[at] = veil->spellings[at - 1];
    veil->spellings[at] = *spelling;
    *spelling = BUF_NULL;
}

/* As JSON writes it; most leave a slash as it is, and some escape it. */
static void add_json(struct veil *veil, const char *text, size_t n, bool slashes)
{
    struct buf out = BUF_NULL;

    buf_reserve(&out, 6 * n + 1); /* once: what is moved is not wiped */
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"' || text[i] == '\\' || (slashes && text[i] == '/'))
            buf_format(&out, "\\%c", text[i]);
        else if ((unsigned char)text[i] < 0x20)
            buf_format(&out, "\\u%04x", (unsigned char)text[i]);
        else
            buf_add(&out, &text[i], 1);
    }
    add(veil, &out);
}

static void add_all(struct veil *veil, const char *text, size_t n)
{
    struct buf plain = BUF_NULL, escaped = BUF_NULL;

    buf_add(&plain, text, n);
    add(veil, &plain);
    add_json(veil, text, n, /* slashes= */ false);
    add_json(veil, text, n, /* slashes= */ true);
    buf_reserve(&escaped, 3 * n + 1);
    form_escape(&escaped, text, n);
    add(veil, &escaped);
}

/* Of base64, the characters that stand for the secret alone, where it begins `offset`
 * bytes behind a group of three. */
static void add_base64(struct veil *veil, const char *secret, size_t n, size_t offset)
{
    struct buf bytes = BUF_NULL, text = BUF_NULL;
    size_t from = (offset * 8 + 5) / 6, to = (offset + n) * 8 / 6;

    buf_reserve(&bytes, n + 4);
    buf_add(&bytes, "\0\0", offset);
    buf_add(&bytes, secret, n);
    buf_reserve(&text, 2 * n + 8);
    text_base64(bytes.bytes, bytes.len, &text);
    for (int is_url = 0; is_url < 2; is_url++) {
        add_all(veil, (const char *)text.bytes + from, to - from);
        for (size_t i = 0; i < text.len; i++)
            text.bytes[i] = text.bytes[i] == '+'   ? '-'
                            : text.bytes[i] == '/' ? '_'
                                                   : text.bytes[i];
    }
    wipe(&bytes);
    wipe(&text);
}

void veil_add(struct veil *veil, const char *secret)
{
    size_t n = secret ? strlen(secret) : 0;

    if (n < VEIL_LEAST)
        return;
    add_all(veil, secret, n);
    for (size_t offset = 0; offset < 3; offset++)
        add_base64(veil, secret, n, offset);
}

void veil_fini(struct veil *veil)
{
    for (size_t i = 0; i < veil->n; i++)
        wipe(&veil->spellings[i]);
    free(veil->spellings);
    *veil = (struct veil){0};
}

/* --- covering --- */

/* Of a text that was cut, the beginning of a secret gives it away as well. */
static size_t least(size_t len)
{
    size_t half = len / 2 > VEIL_PART_LEAST ? len / 2 : VEIL_PART_LEAST;

    return half < len ? half : len;
}

/* `is_whole`: only where all of it stands. */
static void cover(const struct buf *spelling, bool is_whole, char *text, size_t n)
{
    const char *secret = (const char *)spelling->bytes;
    size_t first = is_whole ? spelling->len : least(spelling->len);
    char *at = text, *end = text + n;

    while ((at = memmem(at, (size_t)(end - at), secret, first))) {
        size_t len = first;
        while (len < spelling->len && at + len < end && at[len] == secret[len])
            len++;
        while (len < spelling->len && len > 1 && at[len - 1] == '\\')
            len--; /* half of an escape would make another one of what follows */
        memset(at, '*', len);
        at += len;
    }
}

/* Longest first, as one may be a part of another; and first what stands there whole: of
 * two secrets that begin alike (keys of one account) the beginning of one would be
 * covered, and the end of the other left. */
void veil_cover(const struct veil *veil, char *text, size_t n)
{
    for (int is_part = 0; n && is_part < 2; is_part++)
        for (size_t i = 0; i < veil->n; i++)
            cover(&veil->spellings[i], !is_part, text, n);
}

static size_t held(const struct buf *spelling, const char *text, size_t n)
{
    size_t len = spelling->len - 1 < n ? spelling->len - 1 : n;

    while (len && memcmp(text + n - len, spelling->bytes, len) != 0)
        len--;
    return len;
}

size_t veil_held(const struct veil *veil, const char *text, size_t n)
{
    size_t most = 0;

    for (size_t i = 0; n && i < veil->n; i++) {
        size_t len = held(&veil->spellings[i], text, n);
        if (len > most)
            most = len;
    }
    return most;
}
