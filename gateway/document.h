/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* document - the Integration Architecture Document of an integration, over HTTP */
#pragma once

struct gateway;
struct http_request;

/* GET /v1/integrations/NAME/document: HTML where `Accept` asks for it, else Markdown.
 * The vault is not open here, so it says nothing of the age of secrets. */
void document_handle(struct gateway *gateway, struct http_request *request,
                     const char *const *params);
