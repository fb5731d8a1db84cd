/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/content.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/form.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/scan.h"
#include "lib/base/slice.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

enum { PART_MAX = 64, PLAIN_TOKEN_MAX = 256 };

/* One event, and what stands around it. */
struct item {
    const struct content *content;
    struct slice_text bytes;
};

/* Append the text at a path; nothing when there is none. */
static void add_text(const struct item *item, const char *path, struct buf *out)
{
    struct slice_text value;
    if (item->content->fields)
        buf_text(out, js_text(item->content->fields, path, ""));
    else if (slice_get(item->bytes, path, &value))
        (void)slice_add_text(value, out); /* another kind of value is as good as none */
}

static void add_int(const struct item *item, const char *path, struct buf *out)
{
    const struct json *fields = item->content->fields;
    int64_t number = js_int(fields, path, 0); /* a form's are in its payload */
    struct slice_text value;
    if (fields ? js_is_int(js_get(fields, path))
               : slice_get(item->bytes, path, &value) && slice_int(value, &number))
        buf_format(out, "%" PRId64, number);
}

static void add_hash(const struct item *item, struct buf *out)
{
    uint8_t hash[CRYPTO_SHA256_SIZE];
    crypto_sha256(item->bytes.text, item->bytes.len, hash);
    text_hex(hash, sizeof(hash), out);
}

/* Append what a part names; false when it is not there, or empty. */
static bool add_part(const struct item *item, const char *part, struct buf *out)
{
    size_t before = out->len;
    if (part[0] == '=') {
        buf_text(out, part + 1);
    } else if (!strcmp(part, "#body")) {
        add_hash(item, out);
    } else if (!strncmp(part, "header:", 7)) {
        const char *value = item->content->header(item->content->user, part + 7);
        buf_text(out, value ? value : "");
    } else if (!strncmp(part, "int:", 4)) {
        add_int(item, part + 4, out);
    } else {
        add_text(item, part, out);
    }
    return out->len > before;
}

/* One alternative, its parts joined by `joint`. */
static bool add_alternative(const struct item *item, const char *text, size_t n,
                            char joint, struct buf *out)
{
    const char *end = text + n;
    buf_clear(out);
    while (text < end) {
        char part[PART_MAX];
        const char *plus = memchr(text, '+', (size_t)(end - text));
        size_t len = (size_t)((plus ? plus : end) - text);
        if (len >= sizeof(part))
            return false;
        for (size_t i = 0; i < len; i++)
            part[i] = text[i];
        part[len] = '\0';
        if (out->len > 0)
            buf_add(out, &joint, 1);
        if (!add_part(item, part, out))
            return false;
        text += len + (plus ? 1 : 0);
    }
    return out->len > 0;
}

static bool find(const struct item *item, const char *where, char joint, struct buf *out)
{
    for (;;) {
        size_t n = strcspn(where, " ");
        if (add_alternative(item, where, n, joint, out))
            return true;
        if (!where[n])
            return false;
        where += n + 1;
    }
}

/* Providers' names as segments of ours: orders/create is orders.create, the command
 * /deploy is deploy. */
static void fit_type(struct buf *type)
{
    size_t to = 0;
    for (size_t i = 0; i < type->len; i++) {
        char c = (char)type->bytes[i];
        if (c == '/' && (to == 0 || type->bytes[to - 1] == '.'))
            continue;
        type->bytes[to++] = (uint8_t)(c == '/' ? '.' : c);
    }
    type->len = to;
}

static bool give(const struct item *item, content_fn fn, void *user)
{
    struct buf id = {0}, type = {0};
    const struct scheme *scheme = item->content->scheme;
    bool good = find(item, scheme->event_id, ':', &id) &&
                find(item, scheme->event_type, '.', &type);
    if (good) {
        fit_type(&type);
        good = fn(user, buf_str(&id), buf_str(&type), item->bytes.text, item->bytes.len);
    }
    buf_fini(&id);
    buf_fini(&type);
    return good;
}

bool content_read(struct content *content)
{
    if (!content->is_form)
        return scan_check(content->body, content->body_len);
    content->fields = form_parse(content->body, content->body_len);
    return content->fields != NULL;
}

void content_fini(struct content *content)
{
    js_free(content->fields);
    content->fields = NULL;
}

static struct item whole(const struct content *content)
{
    return (struct item){content, {content->body, content->body_len}};
}

char *content_text(const struct content *content, const char *path)
{
    struct item item = whole(content);
    struct buf text = BUF_NULL;
    add_text(&item, path, &text);
    return (char *)text.bytes; /* a buffer's text ends with a NUL */
}

static bool is_array(struct slice_text value)
{
    size_t blanks = 0;
    while (blanks < value.len && strchr(" \t\r\n", value.text[blanks]))
        blanks++;
    return blanks < value.len && value.text[blanks] == '[';
}

bool content_each(const struct content *content, content_fn fn, void *user)
{
    struct item item = whole(content);
    if (!content->scheme->is_batch)
        return give(&item, fn, user);
    struct slice_text all = item.bytes;
    size_t at = 0, n = 0;
    if (content->fields || !is_array(all))
        return false;
    for (; slice_element(all, &at, &item.bytes); n++)
        if (n == CONTENT_EVENTS_MAX || !give(&item, fn, user))
            return false;
    return n > 0;
}

/* --- handshakes --- */

static void write_answer(struct json *answer, struct buf *out)
{
    js_write(answer, 0, out);
    js_free(answer);
}

static bool says(const struct content *content, const char *path, const char *word)
{
    _free_ char *text = content_text(content, path);
    return text && strcmp(text, word) == 0;
}

static bool answer_slack(const struct content *content, struct buf *out)
{
    _free_ char *challenge = content_text(content, "challenge");
    if (!challenge || !says(content, "type", "url_verification"))
        return false;
    write_answer(js_set_text(js_object(), "challenge", challenge), out);
    return true;
}

/* The token is signed with the key of events: one that looks like the start of a signed
 * event is not answered. */
static bool answer_zoom(const struct content *content, const struct scheme_key *key,
                        struct buf *out)
{
    _free_ char *plain = content_text(content, "payload.plainToken");
    if (!plain || !says(content, "event", "endpoint.url_validation") ||
        strlen(plain) > PLAIN_TOKEN_MAX || strchr(plain, ':'))
        return false;
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct crypto_part part = {plain, strlen(plain)};
    struct buf hex = {0};
    crypto_hmac_sha256(key->bytes, key->len, &part, 1, mac);
    text_hex(mac, sizeof(mac), &hex);
    struct json *answer = js_set_text(js_object(), "plainToken", plain);
    write_answer(js_set_text(answer, "encryptedToken", buf_str(&hex)), out);
    buf_fini(&hex);
    return true;
}

bool content_handshake(const struct content *content, const struct scheme_key *key,
                       struct buf *ret_answer)
{
    switch (content->scheme->handshake) {
    case HANDSHAKE_SLACK:
        return answer_slack(content, ret_answer);
    case HANDSHAKE_ZOOM:
        return answer_zoom(content, key, ret_answer);
    case HANDSHAKE_NONE:
        return false;
    }
    return false;
}
