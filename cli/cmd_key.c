/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* key - the keys of links between hosts.  A secret half goes into a file of mode 0600 and
 * is never printed; the public half is what the other side is told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/vault/secretfile.h"
#include "lib/wire/curve.h"

enum { ERROR_SIZE = 1024 };

/* A new pair, its secret half in a new file. */
static int make(const char *path, char public_key[CURVE_KEY_SIZE])
{
    char secret[CURVE_KEY_SIZE], error[ERROR_SIZE];

    if (!curve_pair(public_key, secret))
        return cli_fail(CLI_FAILED, "libzmq was built without CURVE: there are no keys");
    bool is_stored = secretfile_create(path, secret, CURVE_KEY_LEN, error, sizeof(error));
    explicit_bzero(secret, sizeof(secret));
    return is_stored ? CLI_DONE : cli_fail(CLI_FAILED, "%s", error);
}

/* The public half of what a file holds. */
static int read_public(const char *path, char public_key[CURVE_KEY_SIZE])
{
    struct buf secret = BUF_NULL;
    char error[ERROR_SIZE];
    int status = CLI_DONE;

    if (!secretfile_read(path, &secret, error, sizeof(error)))
        status = cli_fail(CLI_FAILED, "%s", error);
    else if (!curve_public(buf_str(&secret), public_key))
        status = cli_fail(CLI_FAILED, "%s: it holds no key of a link", path);
    if (secret.bytes)
        explicit_bzero(secret.bytes, secret.cap);
    buf_fini(&secret);
    return status;
}

static void print_json(struct cli *cli, const char *name, const char *public_key,
                       const char *path)
{
    struct json *line = js_set_text(js_object(), "name", name);

    js_set_text(js_set_text(line, "public_key", public_key), "file", path);
    cli_print(cli, line);
}

/* --- the two sides --- */

static int new_key(struct cli *cli, const char *name, const char *file,
                   const char *integration)
{
    _free_ char *path = file ? mem_text(file) : mem_format("%s.key", name);
    char public_key[CURVE_KEY_SIZE];
    int status = make(path, public_key);

    if (status != CLI_DONE)
        return status;
    if (cli->json) {
        print_json(cli, name, public_key, path);
        return CLI_DONE;
    }
    fprintf(stderr,
            "The secret key is in %s (mode 0600): it belongs on the host of %s, and "
            "nowhere else.\nInto the configuration of the broker's host, below "
            "bus.peers:\n",
            path, name);
    printf("    %s:\n      public_key: \"%s\"\n", name, public_key);
    if (integration)
        printf("      role: connector\n      integration: %s\n", integration);
    else
        printf("      role: client\n      publish: []   # event types it may publish\n"
               "      groups: []    # consumer groups whose events it may take\n");
    return CLI_DONE;
}

/* The key of the broker's side: made once, shown as often as one likes. */
static int server_key(struct cli *cli)
{
    const struct config *config = cli_config(cli);
    char public_key[CURVE_KEY_SIZE];

    if (!config)
        return CLI_USAGE;
    if (config->bus.connect)
        return cli_fail(CLI_USAGE,
                        "the broker is at %s:%u (bus.connect): its key is there",
                        config->bus.connect, config->bus.connect_port);
    const char *path = config->bus.key_file;
    bool is_new = access(path, F_OK) != 0 && errno == ENOENT;
    int status = is_new ? make(path, public_key) : read_public(path, public_key);
    if (status != CLI_DONE)
        return status;
    if (is_new)
        fprintf(stderr,
                "The broker's secret key was made: %s (mode 0600); back it up: with "
                "another one every peer must be told anew.\n",
                path);
    if (cli->json) {
        print_json(cli, "server", public_key, path);
        return CLI_DONE;
    }
    fprintf(stderr, "Into the configuration of a host of connectors:\n");
    printf("bus:\n  connect: %s:%u\n  broker_key: \"%s\"\n",
           config->bus.listen ? config->bus.listen : "ADDRESS",
           config->bus.listen ? config->bus.listen_port : 7070, public_key);
    return CLI_DONE;
}

int cmd_key(struct cli *cli, int argc, char **argv)
{
    const char *file = NULL, *integration = NULL;
    const struct cli_option options[] = {
        {"-o", "FILE", &file}, {"--integration", "I", &integration}, {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 1, 2);

    cli_undumpable();
    if (n < 0)
        return CLI_USAGE;
    if (n == 1 && strcmp(argv[1], "server") == 0 && !file && !integration)
        return server_key(cli);
    if (n == 2 && strcmp(argv[1], "new") == 0)
        return text_is_name(argv[2])
                   ? new_key(cli, argv[2], file, integration)
                   : cli_fail(CLI_USAGE,
                              "`%s` is no name; expected 1 to 64 of a-z 0-9 _ -, first a "
                              "letter",
                              argv[2]);
    return cli_fail(CLI_USAGE,
                    "key: expected new NAME [--integration I] [-o FILE], or server");
}
