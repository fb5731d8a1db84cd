/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/http/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A byte 0xff is a recipient named, 0xfe goodbye; all else is what the server says. Every
 * reply kept is a text within its bound, with a code of three digits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dialogue_reply recipients[3] = {{0}};
    struct dialogue d = {.recipients = recipients, .n = 3};

    for (size_t i = 0; i < n; i++) {
        if (data[i] == 0xff)
            dialogue_said(&d, "RCPT TO:<a@b>", 13);
        else if (data[i] == 0xfe)
            dialogue_said(&d, "QUIT", 4);
        else
            dialogue_heard(&d, (const char *)data + i, 1);
    }
    assert(d.last.code <= 999 && strlen(d.last.text) <= DIALOGUE_LINE_MAX);
    for (size_t i = 0; i < 3; i++)
        assert(recipients[i].code <= 999 &&
               strlen(recipients[i].text) <= DIALOGUE_LINE_MAX);
    return 0;
}
