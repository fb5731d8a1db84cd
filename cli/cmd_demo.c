/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* demo - the story of a signalbox with a provider to practise on, without network and
 * keys.  Every line was checked before it is printed; the exit status is 0 only if all of
 * them hold. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/demo/steps.h"
#include "cli/demo/world.h"
#include "lib/base/clock.h"

enum { LAST_WORDS = 20 };

static bool tell(struct world *world, const struct step *step, size_t number, size_t of)
{
    uint64_t started = clock_steady_us();

    *world->said = *world->why = 0;
    if (world->is_tty)
        printf("[%2zu/%zu]  .... %s", number, of, step->claim);
    fflush(stdout);
    bool holds = step->holds(world);
    printf("%s[%2zu/%zu]  %s %s%s%s  (%.1f s)\n", world->is_tty ? "\r\033[K" : "", number,
           of, holds ? "ok  " : "FAILED", step->claim, holds && *world->said ? ": " : "",
           holds ? world->said : "", (double)(clock_steady_us() - started) / 1e6);
    if (!holds)
        printf("        %s\n", world->why);
    fflush(stdout);
    return holds;
}

/* The end of what the processes wrote. */
static void print_last_words(const struct world *world)
{
    char lines[LAST_WORDS][512];
    size_t n = 0;
    FILE *file = world->err ? fopen(world->err, "re") : NULL;

    if (!file)
        return;
    while (fgets(lines[n % LAST_WORDS], sizeof(lines[0]), file))
        n++;
    fclose(file);
    for (size_t i = n > LAST_WORDS ? n - LAST_WORDS : 0; i < n; i++)
        printf("        | %s", lines[i % LAST_WORDS]);
}

/* The log as people see it; the events that were only published are left out. */
static void print_log(struct world *world)
{
    static const char *const types[] = {"payment.*.requested", "stripe.checkout.>",
                                        "signalbox.>"};

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct program program;
        const char *args[] = {"-c",     world->config, "log", "--type",
                              types[i], "--limit",     "4",   NULL};
        printf("\n$ signalbox log --type '%s' --limit 4\n", types[i]);
        if (program_start(&program, args, NULL, world->err)) {
            (void)program_wait(&program); /* what it printed is shown, whatever it is */
            fputs(buf_str(&program.text), stdout);
        }
        program_fini(&program);
    }
}

static bool play(struct world *world)
{
    size_t of = 0, number = 0;

    while (demo_steps[of].claim)
        of++;
    for (const struct step *step = demo_steps; step->claim; step++)
        if (!tell(world, step, ++number, of))
            return false;
    print_log(world);
    return true;
}

int cmd_demo(struct cli *cli, int argc, char **argv)
{
    const char *keep = NULL;
    const struct cli_option options[] = {{"--keep", NULL, &keep}, {NULL, NULL, NULL}};
    struct world world = {.is_tty = isatty(STDOUT_FILENO), .up = {.pid = -1, .out = -1}};
    uint64_t started = clock_steady_us();

    if (cli_arguments(cli, options, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    bool holds = play(&world);
    if (holds && !world_stop(&world)) {
        holds = false;
        printf("FAILED  everything stops: %s\n", world.why);
    }
    if (!holds)
        print_last_words(&world);
    bool stays = keep || !holds;
    if (stays && world.dir)
        printf("\nKept: %s (signalbox log -c %s/signalbox.yaml)\n", world.dir, world.dir);
    world_close(&world, stays);
    printf("\n%s, %.1f s\n", holds ? "Every step held" : "Not every step held",
           (double)(clock_steady_us() - started) / 1e6);
    return holds ? CLI_DONE : CLI_FAILED;
}
