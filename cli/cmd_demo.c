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
#include "cli/up/sandbox.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum { LAST_WORDS = 20, SHOWN_LINES = 24 /* of what a command prints */ };

static bool tell(struct world *world, const struct step *step, size_t number, size_t of)
{
    uint64_t started = clock_steady_us();

    _free_ char *line = mem_format("[%2zu/%zu]  .... %s", number, of, step->claim);
    *world->said = *world->why = 0;
    world->line = line;
    if (world->is_tty)
        fputs(line, stdout);
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

/* The first lines of a text. */
static void print_lines(const char *text, int lines)
{
    const char *end = text;

    while (lines-- > 0 && *end) {
        end += strcspn(end, "\n");
        end += *end == '\n';
    }
    printf("%.*s%s", (int)(end - text), text, *end ? "...\n" : "");
}

/* What a command prints, as people see it. */
static void show(struct world *world, const char *const *words)
{
    struct program program;
    const char *args[PROGRAM_ARGS_MAX] = {"-c", world->config};
    size_t n = 2;

    printf("\n$ signalbox");
    for (; *words && n < PROGRAM_ARGS_MAX - 1; args[n++] = *words++)
        printf(strchr(*words, '*') || strchr(*words, '>') ? " '%s'" : " %s", *words);
    printf("\n");
    if (program_start(&program, args, NULL, world->err)) {
        (void)program_wait(&program); /* what it printed is shown, whatever it is */
        print_lines(buf_str(&program.text), SHOWN_LINES);
    }
    program_fini(&program);
}

static void show_all(struct world *world)
{
    static const char *const commands[][6] = {
        {"log", "--type", "*.send.requested"}, {"log", "--type", "stripe.checkout.>"},
        {"log", "--status", "failed"},         {"audit"},
        {"doc", SANDBOX_INTEGRATION},
    };

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        show(world, commands[i]);
}

static bool play(struct world *world)
{
    size_t of = 0, number = 0;

    while (demo_steps[of].claim)
        of++;
    for (const struct step *step = demo_steps; step->claim; step++)
        if (!tell(world, step, ++number, of))
            return false;
    show_all(world);
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
