/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The texts handed out are wiped when they are freed, and so are the buffer they were
 * read into and the JSON parser's own copies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/service/service.h"

enum { SECRETS_SIZE_MAX = 256 << 10 };

struct secret {
    char *name;
    char **values; /* ended by NULL */
};

struct secrets {
    size_t len;
    struct secret *all;
};

/* --- reading --- */

/* Everything until EOF; -1 on error or when it is too much. */
static long read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, bytes + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : (long)len;
        len += (size_t)n;
        if (len == size)
            return -1;
    }
}

/* A text, or an array of texts, into a list. False when it is neither. */
static bool add(struct secrets *secrets, const char *name, const struct json *value)
{
    size_t n = js_is_array(value) ? js_count(value) : 1;
    struct secret *secret = &secrets->all[secrets->len++];

    secret->name = mem_text(name);
    secret->values = mem_array(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        const char *text =
            js_text(js_is_array(value) ? js_at(value, i) : value, "", NULL);
        if (!text)
            return false;
        secret->values[i] = mem_text(text);
    }
    return true;
}

static struct secrets *parse(const char *bytes, size_t n, char *error, size_t error_size)
{
    char why[256];
    js_wipe(true);
    struct json *object = js_parse(bytes, n, why, sizeof(why));
    struct secrets *secrets = mem_alloc(sizeof(*secrets));
    const char *name;
    void *cursor = NULL;
    bool is_good = js_is_object(object);

    secrets->all = mem_array(js_count(object), sizeof(*secrets->all));
    for (const struct json *value;
         is_good && (value = js_next(object, &cursor, &name)) != NULL;)
        is_good = add(secrets, name, value);
    js_free(object);
    js_wipe(false);
    explicit_bzero(why, sizeof(why)); /* it may quote the text, too */
    if (is_good)
        return secrets;
    /* The parser's reason may quote the text: only that there is one is told. */
    snprintf(error, error_size,
             "the secrets handed over are not a JSON object of texts or lists of texts");
    secrets_free(secrets);
    return NULL;
}

struct secrets *secrets_read(int fd, char *error, size_t error_size)
{
    if (fd < 0) /* none were handed over */
        return mem_alloc(sizeof(struct secrets));
    char *bytes = mem_alloc(SECRETS_SIZE_MAX);
    long n = read_all(fd, bytes, SECRETS_SIZE_MAX);
    struct secrets *secrets = NULL;
    if (n < 0)
        snprintf(error, error_size, "the secrets cannot be read from descriptor %d", fd);
    else
        secrets = parse(bytes, (size_t)n, error, error_size);
    explicit_bzero(bytes, SECRETS_SIZE_MAX);
    free(bytes);
    close(fd);
    return secrets;
}

void secrets_free(struct secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->len; i++) {
        for (char **value = secrets->all[i].values; *value; value++) {
            explicit_bzero(*value, strlen(*value));
            free(*value);
        }
        free(secrets->all[i].values);
        free(secrets->all[i].name);
    }
    free(secrets->all);
    free(secrets);
}

/* --- using --- */

const char *const *secrets_all(const struct secrets *secrets, const char *name)
{
    static const char *const none[] = {NULL};

    for (size_t i = 0; i < secrets->len; i++)
        if (strcmp(secrets->all[i].name, name) == 0)
            return (const char *const *)secrets->all[i].values;
    return none;
}

const char *const *secrets_origins(const struct secrets *secrets, const char *name)
{
    _free_ char *of = mem_format("origin.%s", name);

    return secrets_all(secrets, of);
}

const char *secrets_get(const struct secrets *secrets, const char *name)
{
    return secrets_all(secrets, name)[0];
}
