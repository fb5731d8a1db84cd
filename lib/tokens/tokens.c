/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/tokens/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"

enum { TOKEN_BYTES = 32 };

static const struct {
    const char *name;
    enum token_scope scope;
} scopes[] = {
    {"publish", SCOPE_PUBLISH},
    {"call", SCOPE_CALL},
    {"read", SCOPE_READ},
    {"admin", SCOPE_ADMIN},
};
enum { N_SCOPES = sizeof(scopes) / sizeof(scopes[0]) };

/* --- scopes --- */

static unsigned scope_find(const char *name, size_t n)
{
    for (size_t i = 0; i < N_SCOPES; i++)
        if (strlen(scopes[i].name) == n && !memcmp(scopes[i].name, name, n))
            return scopes[i].scope;
    return SCOPE_NONE;
}

bool scopes_parse(const char *text, unsigned *ret_scopes, const char **ret_unknown,
                  size_t *ret_len)
{
    unsigned found = 0;
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ",");
        unsigned scope = scope_find(at, n);
        if (!scope) {
            *ret_unknown = at;
            *ret_len = n;
            return false;
        }
        found |= scope;
        at += n;
        if (!*at)
            break;
    }
    *ret_scopes = found;
    return true;
}

void scopes_text(unsigned bits, char ret_text[TOKEN_SCOPES_SIZE])
{
    size_t n = 0;
    ret_text[0] = 0;
    for (size_t i = 0; i < N_SCOPES; i++)
        if (bits & scopes[i].scope)
            n += (size_t)snprintf(ret_text + n, TOKEN_SCOPES_SIZE - n, "%s%s",
                                  n ? "," : "", scopes[i].name);
}

/* --- a token --- */

void token_make(char ret_text[TOKEN_TEXT_SIZE])
{
    uint8_t bytes[TOKEN_BYTES];
    id_random(bytes, sizeof(bytes));
    struct buf text = {0};
    text_base64(bytes, sizeof(bytes), &text);
    memcpy(ret_text, "sbx_", 4);
    for (size_t i = 4; i < TOKEN_TEXT_SIZE - 1; i++) {
        char c = (char)text.bytes[i - 4];
        ret_text[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    ret_text[TOKEN_TEXT_SIZE - 1] = 0;
    crypto_wipe(bytes, sizeof(bytes));
    crypto_wipe(text.bytes, text.len);
    buf_fini(&text);
}

void token_hash(const char *text, uint8_t ret_hash[32])
{
    crypto_sha256(text, strlen(text), ret_hash);
}

const struct token *tokens_find(const struct tokens *tokens, uint64_t now_us,
                                const uint8_t hash[32])
{
    const struct token *found = NULL;
    for (size_t i = 0; i < tokens->n; i++) {
        const struct token *t = &tokens->items[i];
        bool is_valid = t->until_us == 0 || now_us < t->until_us;
        if (crypto_equal(hash, t->hash, sizeof(t->hash)) && is_valid)
            found = t;
    }
    return found;
}

/* --- the file --- */

char *tokens_path(const char *data)
{
    return mem_format("%s/tokens", data);
}

static bool read_time(const struct json *entry, const char *name, uint64_t *ret_us)
{
    const char *text = js_text(entry, name, NULL);
    return !text || text_parse_time(text, ret_us);
}

/* NULL or what is wrong. */
static const char *read_entry(const struct json *entry, struct token *ret)
{
    const char *name = js_text(entry, "name", ""), *hash = js_text(entry, "sha256", "");
    const char *unknown;
    size_t n;
    struct buf bytes = {0};
    const char *why = NULL;
    if (!text_is_name(name))
        why = "`name` is no name";
    else if (!scopes_parse(js_text(entry, "scopes", ""), &ret->scopes, &unknown, &n))
        why = "`scopes` is not of publish, call, read, admin";
    else if (!text_parse_hex(hash, strlen(hash), &bytes) || bytes.len != 32)
        why = "`sha256` is not 64 hexadecimal digits";
    else if (!read_time(entry, "created", &ret->created_us) ||
             !read_time(entry, "until", &ret->until_us))
        why = "`created` or `until` is not a time of RFC 3339";
    if (!why) {
        snprintf(ret->name, sizeof(ret->name), "%s", name);
        memcpy(ret->hash, bytes.bytes, 32);
    }
    buf_fini(&bytes);
    return why;
}

static bool read_list(const char *path, const struct json *list, struct tokens *ret,
                      char *error, size_t error_size)
{
    size_t n = js_count(list);
    if (!js_is_array(list) || n > TOKENS_MAX) {
        snprintf(error, error_size, "%s: expected a list `tokens` of at most %d", path,
                 TOKENS_MAX);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const char *why = read_entry(js_at(list, i), &ret->items[i]);
        if (why) {
            snprintf(error, error_size, "%s: token %zu: %s", path, i + 1, why);
            return false;
        }
    }
    ret->n = n;
    return true;
}

bool tokens_read(const char *path, struct tokens *ret, char *error, size_t error_size)
{
    char why[128];
    struct buf text = {0};
    *ret = (struct tokens){.n = 0};
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    if (!secretfile_read_large(path, TOKENS_FILE_MAX, &text, error, error_size)) {
        buf_fini(&text);
        return false;
    }
    struct json *file = js_parse(buf_str(&text), text.len, why, sizeof(why));
    bool good = file && read_list(path, js_get(file, "tokens"), ret, error, error_size);
    if (!file)
        snprintf(error, error_size, "%s: %s", path, why);
    js_free(file);
    buf_fini(&text);
    return good;
}

static struct json *entry_json(const struct token *t)
{
    char list[TOKEN_SCOPES_SIZE], created[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
    struct buf hash = {0};
    text_hex(t->hash, sizeof(t->hash), &hash);
    scopes_text(t->scopes, list);
    text_time(t->created_us, created);
    text_time(t->until_us, until);
    struct json *entry = js_set_text(js_object(), "name", t->name);
    js_set_text(js_set_text(entry, "scopes", list), "sha256", buf_str(&hash));
    js_set_text(entry, "created", created);
    buf_fini(&hash);
    return js_set_text(entry, "until", t->until_us ? until : NULL);
}

bool tokens_write(const char *path, const struct tokens *tokens, char *error,
                  size_t error_size)
{
    struct json *list = js_array();
    struct buf text = {0};
    for (size_t i = 0; i < tokens->n; i++)
        js_push(list, entry_json(&tokens->items[i]));
    struct json *file = js_set(js_object(), "tokens", list);
    js_write(file, 2, &text);
    buf_text(&text, "\n");
    js_free(file);
    bool good = secretfile_replace(path, text.bytes, text.len, error, error_size);
    buf_fini(&text);
    return good;
}
