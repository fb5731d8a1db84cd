/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/settling.h"

#include <stdlib.h>

#include "gateway/problem.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"

struct settling *settling_add(struct settling **list, struct http_request *request,
                              struct json *answer, uint64_t until_us)
{
    struct settling *settling = mem_alloc(sizeof(*settling));
    *settling = (struct settling){.pending.request = request,
                                  .next = *list,
                                  .until_us = until_us,
                                  .answer = answer};
    *list = settling;
    http_set_user(request, settling);
    return settling;
}

struct settling *settling_find(struct settling *list, uint64_t batch)
{
    while (list && list->batch != batch)
        list = list->next;
    return list;
}

void settling_end(struct settling **list, struct settling *settling, unsigned error,
                  const char *why)
{
    struct settling **at = list;
    while (*at != settling)
        at = &(*at)->next;
    *at = settling->next;
    if (settling->pending.request && !error) {
        answer_json(settling->pending.request, 200, settling->answer, NULL);
        settling->answer = NULL;
    } else if (settling->pending.request) {
        problem_reply(settling->pending.request, error, why, 0);
    }
    js_free(settling->answer);
    free(settling);
}
