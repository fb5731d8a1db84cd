/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/content.h"

#include <inttypes.h>
#include <string.h>

#include "gateway/form.h"
#include "gateway/slice.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

enum { PART_MAX = 64, PLAIN_TOKEN_MAX = 256 };

/* One event, and what stands around it. */
struct item {
    const struct content *content;
    const struct json *value;
    const char *bytes;
    size_t len;
};

static void add_hash(const struct item *item, struct buf *out)
{
    uint8_t hash[CRYPTO_SHA256_SIZE];
    crypto_sha256(item->bytes, item->len, hash);
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
    } else if (strncmp(part, "int:", 4) != 0) {
        buf_text(out, js_text(item->value, part, ""));
    } else if (js_is_int(js_get(item->value, part + 4))) {
        buf_format(out, "%" PRId64, js_int(item->value, part + 4, 0));
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
        good = fn(user, buf_str(&id), buf_str(&type), item->bytes, item->len);
    }
    buf_fini(&id);
    buf_fini(&type);
    return good;
}

struct json *content_parse(const struct content *content)
{
    char error[128];
    if (content->is_form)
        return form_parse(content->body, content->body_len);
    return js_parse(content->body, content->body_len, error, sizeof(error));
}

bool content_each(const struct content *content, const struct json *body, content_fn fn,
                  void *user)
{
    struct item item = {content, body, content->body, content->body_len};
    if (!content->scheme->is_batch)
        return give(&item, fn, user);
    struct slice_text raw = {content->body, content->body_len}, element;
    size_t at = 0, n = js_is_array(body) ? js_count(body) : 0;
    if (n == 0 || n > CONTENT_EVENTS_MAX)
        return false;
    for (size_t i = 0; slice_element(raw, &at, &element); i++) {
        item = (struct item){content, js_at(body, i), element.text, element.len};
        if (!give(&item, fn, user))
            return false;
    }
    return true;
}

/* --- handshakes --- */

static void write_answer(struct json *answer, struct buf *out)
{
    js_write(answer, 0, out);
    js_free(answer);
}

static bool answer_slack(const struct json *body, struct buf *out)
{
    const char *challenge = js_text(body, "challenge", NULL);
    if (strcmp(js_text(body, "type", ""), "url_verification") != 0 || !challenge)
        return false;
    write_answer(js_set_text(js_object(), "challenge", challenge), out);
    return true;
}

/* The token is signed with the key of events: one that looks like the start of a signed
 * event is not answered. */
static bool answer_zoom(const struct scheme_key *key, const struct json *body,
                        struct buf *out)
{
    const char *plain = js_text(body, "payload.plainToken", NULL);
    if (strcmp(js_text(body, "event", ""), "endpoint.url_validation") != 0 || !plain ||
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

bool content_handshake(const struct scheme *scheme, const struct scheme_key *key,
                       const struct json *body, struct buf *ret_answer)
{
    switch (scheme->handshake) {
    case HANDSHAKE_SLACK:
        return answer_slack(body, ret_answer);
    case HANDSHAKE_ZOOM:
        return answer_zoom(key, body, ret_answer);
    case HANDSHAKE_NONE:
        return false;
    }
    return false;
}
