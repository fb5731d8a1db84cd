/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/practice.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"

enum { TIMEOUT_US = 20000000 };

struct asking {
    struct loop *loop;
    struct json *answer;
    char *error;
    size_t error_size;
};

bool practice_is_sandbox(const struct config_integration *integration)
{
    const char *url = integration->base_url;

    return url && integration->allow_private_network &&
           (strncmp(url, "http://127.0.0.1:", 17) == 0 ||
            strncmp(url, "http://localhost:", 17) == 0);
}

static void on_done(void *user, const struct http_call *call)
{
    struct asking *asking = user;
    size_t n = 0;

    if (http_call_result(call) == HTTP_ANSWERED) {
        const char *body = http_call_body(call, &n);
        asking->answer = js_parse(body, n, asking->error, asking->error_size);
    } else {
        snprintf(asking->error, asking->error_size, "%s", http_call_error(call));
    }
    loop_stop(asking->loop, 0);
}

/* Up to the path: a provider's prefix is not the sandbox's own. */
static int root_len(const char *url)
{
    const char *host = strstr(url, "://");

    return (int)(host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/") : strlen(url));
}

static struct json *ask_sandbox(const char *base_url, const char *method,
                                const char *path, struct json *body, char *error,
                                size_t error_size)
{
    static const struct http_field type = {"Content-Type", "application/json"};
    struct asking asking = {.loop = loop_new(), .error = error, .error_size = error_size};
    struct buf text = BUF_NULL;
    _free_ char *url = mem_format("%.*s%s", root_len(base_url), base_url, path);

    if (body)
        js_write(body, 0, &text);
    struct http_client *client = http_client_new(
        asking.loop, &(struct http_client_options){.allow_private_network = true});
    (void)http_client_call(client, &(struct http_call_options){
                                       .method = method,
                                       .url = url,
                                       .headers = &type,
                                       .n_headers = body ? 1 : 0,
                                       .body = body ? text.bytes : NULL,
                                       .body_len = text.len,
                                       .timeout_us = TIMEOUT_US,
                                       .on_done = on_done,
                                       .user = &asking,
                                   }); /* on_done comes in any case */
    (void)loop_run(asking.loop);
    http_client_free(client);
    loop_free(asking.loop);
    buf_fini(&text);
    js_free(body);
    return asking.answer;
}

struct json *practice_post(const char *base_url, const char *path, struct json *body,
                           char *error, size_t error_size)
{
    return ask_sandbox(base_url, body ? "POST" : "GET", path, body, error, error_size);
}

bool practice_no_faults(const char *base_url, char *error, size_t error_size)
{
    struct json *rules =
        ask_sandbox(base_url, "DELETE", "/sandbox/faults", NULL, error, error_size);
    bool is_done = rules != NULL;

    js_free(rules);
    return is_done;
}
