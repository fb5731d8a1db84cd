/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

const struct cli_command cli_commands[] = {
    {"demo", "[--keep]",
     "the whole story without network or keys; 0 only if every step held", cmd_demo},
    {"init", "", "write a first configuration", cmd_init},
    {"add",
     "PROVIDER [--connector C] [--name N] [--mode test|live] [--options JSON] "
     "[--base-url URL] "
     "[--allow-private-network] [--print] [--no-try]",
     "an integration's stanza, its secrets asked for, its key tried harmlessly", cmd_add},
    {"up", "[--sandbox [--dir DIR]]",
     "supervise all processes; with --sandbox: own data, a provider to practise on",
     cmd_up},
    {"call",
     "CONNECTOR.OPERATION [--data JSON|@FILE|-] [--integration I] [--key K] [--wait 10s] "
     "[--deadline 1h]",
     "ask a connector and print the outcome", cmd_call},
    {"publish", "TYPE [--data JSON|@FILE|-] [--key K] [--count N]", "events of your own",
     cmd_publish},
    {"status", "", "processes, groups with what is pending, the log", cmd_status},
    {"webhooks", "",
     "every endpoint: its address, what was accepted last, what was refused and why",
     cmd_webhooks},
    {"simulate",
     "ENDPOINT EVENT [--data JSON|@FILE|-] [--fault "
     "duplicate|reorder|stale|bad-signature|wrong-secret|tampered] | --all INTEGRATION",
     "a webhook from the practice provider, or all of an integration tried out; in the "
     "sandbox only",
     cmd_simulate},
    {"reload", "",
     "read the configuration and the secrets again, show what differs, apply it",
     cmd_reload},
    {"pause", "[INTEGRATION] [--reason TEXT]",
     "hand nothing to a connector until resumed; none named: to none", cmd_pause},
    {"resume", "[INTEGRATION]", "hand over what waited; none named: for all", cmd_resume},
    {"redrive",
     "ID... | [--type PATTERN] [--class C] [--service S] [--integration I] [--key K] "
     "[--group G] [--since T] [--until T] [--dry-run] [--again]",
     "try again what failed, once, by id or by what it is", cmd_redrive},
    {"cancel", "ID", "end a request that nobody works on yet", cmd_cancel},
    {"resolve", "ID --as success|failed --note TEXT",
     "say what became of a request whose effect is not known", cmd_resolve},
    {"secret", "set NAME | list | rotate NAME --keep-old 24h | remove NAME --old",
     "keep secrets in the vault; values come from stdin, never from the command line",
     cmd_secret},
    {"key", "new NAME [--integration I] [-o FILE] | server",
     "keys of links between hosts: make a peer's, make or show the broker's", cmd_key},
    {"token",
     "new NAME --scope publish,call,read,admin [--expires 90d] | list | rotate NAME "
     "[--keep-old 24h] | revoke NAME",
     "who may use the HTTP API, and what for; a token is shown once, when it is made",
     cmd_token},
    {"config", "check | reference", "check the configuration; print what may stand in it",
     cmd_config},
    {"connector",
     "new NAME [--lang c|python] [-o DIR] | check ADDRESS|PROGRAM [--provider P] | run "
     "PROGRAM --once FILE [--dry-run]",
     "for authors: make a connector, try it with the conformance kit, try one event",
     cmd_connector},
    {"log",
     "[--service S] [--type PATTERN] [--integration I] [--status pending|success|failed] "
     "[--class C] [--since T] [--until T] [--key K] [--cause ID] [--limit N] [--cursor "
     "C] "
     "[--follow] [--records] [--csv] | --summary | --rebuild-views | verify [--head "
     "HASH] | "
     "export [--since T] [--until T] -o FILE | import FILE",
     "every request and fact with its status, oldest first; check, copy and take in a "
     "log",
     cmd_log},
    {"trace", "ID", "a request, its attempts, its outcome, what followed", cmd_trace},
    {"audit", "[--list]",
     "accepted, success, failed, pending, unaccounted; 1 unless unaccounted is 0",
     cmd_audit},
    {"cost", "[--since T] [--until T] [--by integration|operation|day]",
     "what calls cost, by currency: actual, estimated, and by configured prices",
     cmd_cost},
    {"doc", "[INTEGRATION] [--all -o DIR] [--format md|html] [--declared] [--check]",
     "the Integration Architecture Document of an integration, or of all", cmd_doc},
    {"backup", "DIR",
     "copy the log, checked, with vault and tokens, while it runs or not", cmd_backup},
    {"restore", "DIR",
     "a backup becomes the data of a system that has none; integrations start paused",
     cmd_restore},
    {NULL, NULL, NULL, NULL},
};

static int help(void)
{
    printf("signalbox - a self-hosted integration broker\n\n"
           "usage: signalbox COMMAND [ARGUMENT...] [-c FILE] [--json]\n\n");
    for (const struct cli_command *c = cli_commands; c->name; c++)
        printf("  %-10s %s\n  %10s   signalbox %s%s%s\n", c->name, c->summary, "",
               c->name, *c->args ? " " : "", c->args);
    printf(
        "\n-c FILE names the configuration (./signalbox.yaml, else "
        "./sandbox/signalbox.yaml); --json prints one object "
        "a line.\n"
        "Exit status: 0 done, 1 the thing asked about failed, 2 usage or configuration,\n"
        "3 the system is not reachable, 4 still pending.\n");
    return CLI_DONE;
}

static int unknown(const char *word)
{
    const char *names[64] = {NULL};
    size_t n = 0;

    for (const struct cli_command *c = cli_commands; c->name && n < 63; c++)
        names[n++] = c->name;
    const char *near = text_nearest(word, names);
    return cli_fail(CLI_USAGE, "there is no command `%s`%s%s%s; see signalbox help", word,
                    near ? "; did you mean `" : "", near ? near : "", near ? "`" : "");
}

/* -c FILE and --json before the command. Returns the index of the command, or argc. */
static int global_arguments(struct cli *cli, int argc, char **argv)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0)
            cli->json = true;
        else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
            cli->config_path = argv[++i];
        else
            break;
    }
    return i;
}

static int run(struct cli *cli, int argc, char **argv)
{
    int at = global_arguments(cli, argc, argv);
    const char *word = at < argc ? argv[at] : "help";

    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 ||
        strcmp(word, "-h") == 0)
        return help();
    if (strcmp(word, "version") == 0 || strcmp(word, "--version") == 0) {
        puts("signalbox " SIGNALBOX_VERSION);
        return CLI_DONE;
    }
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, word) == 0)
            return c->fn(cli, argc - at, argv + at);
    return unknown(word);
}

int main(int argc, char **argv)
{
    struct cli cli = {.config_path = CLI_CONFIG_DEFAULT};

    log_open("signalbox");
    js_checked();
    (void)umask(077); /* cannot fail */
    int status = run(&cli, argc, argv);
    config_free(cli.config);
    if (fflush(stdout) != 0 || ferror(stdout))
        status =
            status ? status : cli_fail(CLI_FAILED, "the output could not be written");
    return status;
}
