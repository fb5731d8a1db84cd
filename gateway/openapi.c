/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/openapi.h"

#include "gateway/openapi_text.h"
#include "lib/http/server.h"

void openapi_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    (void)gateway;
    (void)params;
    const struct http_reply reply = {200, "application/json", openapi_text,
                                     sizeof(openapi_text), NULL};
    http_reply(request, &reply);
}
