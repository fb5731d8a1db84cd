/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ask - questions to the broker, one after the other, over one session */
#pragma once
#include "cli/bus.h"

struct cli;
struct json;

struct asking {
    struct bus bus; /* first: the peer's user */
    struct json *answer;
    bool is_good; /* the broker did it */
};

/* Join the bus. CLI_DONE, or another status after having said why; ask_close in any case.
 */
int ask_open(struct asking *asking, struct cli *cli);
/* Ask; `args` (taken; may be NULL) gets the member `actor`: who runs this command.
 * CLI_DONE: asking->answer is the answer's body, freed with the next question.
 * CLI_FAILED: the broker refused, and its reason was printed. CLI_UNREACHABLE: silence,
 * which was said. */
int ask(struct asking *asking, const char *command, struct json *args);
/* The name of the user who runs this, or its number; to be freed. */
char *ask_actor(void);
void ask_close(struct asking *asking);
