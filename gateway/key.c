/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/key.h"

#include "gateway/gateway.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/config/config.h"
#include "lib/loop/loop.h"
#include "proto/control.h"
#include "proto/record.h"

void key_add(const struct gateway *gateway, struct buf *out, const char *scope,
             const char *key, size_t key_len, uint64_t body_hash)
{
    uint8_t id[16];
    hash_pair(scope, key, key_len, id);
    struct control_idempotency control = {
        .body_hash = body_hash,
        .expires_us =
            loop_wall_us(gateway->loop) + gateway->config->gateway.idempotency_us,
    };
    struct record_parts parts = {.kind = RECORD_IDEMPOTENCY,
                                 .id = id,
                                 .data = &control,
                                 .data_len = sizeof(control)};
    record_add(out, &parts); /* fixed size: cannot be over a limit */
}
