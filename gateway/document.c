/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/document.h"

#include <string.h>

#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/document.h"
#include "lib/document/seen.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"

enum { ERROR_SIZE = 256 };

/* The first of the two that is named; neither: Markdown. */
static enum document_format wanted(const struct http_request *request)
{
    const char *accept = http_header(request, "Accept"),
               *html = accept ? strstr(accept, "text/html") : NULL,
               *markdown = accept ? strstr(accept, "text/markdown") : NULL;

    return html && (!markdown || html < markdown) ? DOCUMENT_HTML : DOCUMENT_MARKDOWN;
}

static struct json *manifest_of(struct ledger *ledger,
                                const struct config_integration *in)
{
    const char *text = in->connector ? ledger_manifest(ledger, in->name) : NULL;
    char error[ERROR_SIZE];
    struct json *all = text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL,
                *own = document_manifest(all, in);

    js_free(all);
    return own;
}

static void answer(struct http_request *request, const struct document *document)
{
    static const struct http_header vary[] = {{"Vary", "Accept"}, {NULL, NULL}};
    enum document_format format = wanted(request);
    struct buf text = BUF_NULL;

    document_write(document, format, &text);
    http_reply(request,
               &(struct http_reply){.status = 200,
                                    .content_type = format == DOCUMENT_HTML
                                                        ? "text/html; charset=utf-8"
                                                        : "text/markdown; charset=utf-8",
                                    .body = text.bytes,
                                    .body_len = text.len,
                                    .headers = vary});
    buf_fini(&text);
}

void document_handle(struct gateway *gateway, struct http_request *request,
                     const char *const *params)
{
    const struct config_integration *in = config_integration(gateway->config, params[0]);
    char error[ERROR_SIZE];
    struct ledger *ledger = in ? gateway_ledger(gateway, error, sizeof(error)) : NULL;

    if (!in || !ledger) {
        problem_reply(request, in ? ERR_unavailable : ERR_no_integration,
                      in ? "there is no log yet" : NULL, 0);
        return;
    }
    struct seen *seen = seen_new(ledger, in, error, sizeof(error));
    struct json *manifest = manifest_of(ledger, in);
    if (seen)
        answer(request, &(struct document){.config = gateway->config,
                                           .integration = in,
                                           .manifest = manifest,
                                           .seen = seen});
    else
        problem_reply(request, ERR_unavailable, error, 0);
    js_free(manifest);
    seen_free(seen);
}
