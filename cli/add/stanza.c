/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/add/stanza.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

static const char *const schemes[] = {
#define SCHEME(identifier, name, signs_url, is_weak) name,
#include "lib/config/schemes.def"
#undef SCHEME
    NULL};

const char *stanza_scheme(const struct stanza *stanza)
{
    for (size_t i = 0; stanza->provider && schemes[i]; i++)
        if (strcmp(schemes[i], stanza->provider) == 0)
            return schemes[i];
    return NULL;
}

char *stanza_secret(const struct stanza *stanza, const char *secret)
{
    const char *own = js_text(stanza->manifest, "webhook_secret", NULL);

    if (strcmp(secret, "webhook") == 0 && own)
        secret = own;
    char *name = mem_format("%s_%s", stanza->name, secret);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    return name;
}

/* JSON is YAML. */
static void put_text(struct buf *out, const char *key, const char *text)
{
    struct json *value = js_from_text(text, strlen(text));

    buf_format(out, "    %s: ", key);
    js_write(value, 0, out);
    buf_text(out, "\n");
    js_free(value);
}

static void put_secrets(const struct stanza *stanza, struct buf *out)
{
    const struct json *secrets = js_get(stanza->manifest, "secrets");
    struct buf list = BUF_NULL;

    for (size_t i = 0; i < js_count(secrets); i++) {
        const char *name = js_text(js_at(secrets, i), "name", "");
        _free_ char *stored = stanza_secret(stanza, name);
        if (!js_bool(stanza->left_out, name, false))
            buf_format(&list, "%s %s: vault:%s", list.len ? "," : "", name, stored);
    }
    if (list.len)
        buf_format(out, "    secrets: {%s }\n", buf_str(&list));
    buf_fini(&list);
}

static void put_options(const struct stanza *stanza, struct buf *out)
{
    const struct json *value;
    void *cursor = NULL;
    const char *name;

    if (js_count(stanza->options) == 0)
        return;
    buf_text(out, "    options:\n");
    while ((value = js_next(stanza->options, &cursor, &name))) {
        buf_format(out, "      %s: ", name);
        js_write(value, 0, out);
        buf_text(out, "\n");
    }
}

static void put_webhook(const struct stanza *stanza, struct buf *out)
{
    const char *scheme = stanza_scheme(stanza), *mark = stanza->has_webhook ? " " : "#";
    _free_ char *secret = stanza_secret(stanza, "webhook");

    if (scheme)
        buf_format(out,
                   "%s   webhooks:\n"
                   "%s     - { path: %s, scheme: %s, secrets: [vault:%s] }\n",
                   mark, mark, stanza->name, scheme, secret);
}

void stanza_each_poll(const struct stanza *stanza,
                      void (*fn)(void *user, const struct json *poll, bool is_ready),
                      void *user)
{
    const struct json *operations = js_get(stanza->manifest, "operations");

    for (size_t i = 0; i < js_count(operations); i++) {
        const struct json *one = js_at(operations, i);
        if (js_bool(one, "is_poll", false))
            fn(user, one, js_count(js_get(one, "example")) == 0);
    }
}

struct schedules {
    struct buf *out;
    bool has_head[2]; /* of the lines in force, and of those in comments */
};

static void put_schedule(void *user, const struct json *poll, bool is_ready)
{
    struct schedules *s = user;
    const char *mark = is_ready ? " " : "#";

    if (!s->has_head[is_ready])
        buf_format(s->out, "%s   schedules:\n", mark);
    s->has_head[is_ready] = true;
    buf_format(s->out,
               "%s     - { operation: %s, every: " STANZA_POLL_EVERY ", missed: once }\n",
               mark, js_text(poll, "name", ""));
}

void stanza_write(const struct stanza *stanza, struct buf *out)
{
    const char *service = js_text(stanza->manifest, "service", stanza->name),
               *limits = js_text(stanza->manifest, "limits", NULL);

    buf_format(out, "  %s:\n    connector: %s\n", stanza->name, stanza->connector);
    if (stanza->provider)
        buf_format(out, "    provider: %s\n", stanza->provider);
    put_text(out, "service", service);
    if (stanza->mode)
        buf_format(out, "    mode: %s\n", stanza->mode);
    if (stanza->base_url)
        put_text(out, "base_url", stanza->base_url);
    if (stanza->allow_private_network)
        buf_text(out, "    allow_private_network: true\n");
    put_secrets(stanza, out);
    put_options(stanza, out);
    put_webhook(stanza, out);
    stanza_each_poll(stanza, put_schedule, &(struct schedules){.out = out});
    if (limits)
        buf_format(out, "    limits: %s\n", limits);
}

/* The line that begins with `integrations:`; NULL: there is none. */
static const char *section(const char *text)
{
    static const char word[] = "integrations:";

    while (text && strncmp(text, word, strlen(word)) != 0) {
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return text;
}

bool stanza_insert(const char *text, const char *stanza, struct buf *out)
{
    const char *line = section(text);
    size_t n = strlen(text);

    if (!line) {
        buf_add(out, text, n);
        buf_format(out, "%s\nintegrations:\n%s", n && text[n - 1] != '\n' ? "\n" : "",
                   stanza);
        return true;
    }
    const char *rest = line + strlen("integrations:");
    rest += strspn(rest, " \t\r");
    if (*rest && *rest != '\n' && *rest != '#')
        return false; /* { ... } in the same line */
    rest += strcspn(rest, "\n");
    buf_add(out, text, (size_t)(rest - text));
    buf_format(out, "\n%s", stanza);
    if (*rest)
        buf_text(out, rest + 1);
    return true;
}
