/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/connector/parcel.h"
#include "cli/connector/result.h"
#include "cli/connector/scenarios.h"
#include "cli/connector/service.h"
#include "cli/connector/stand.h"
#include "cli/connector/subject.h"
#include "cli/connector/template.h"
#include "cli/interrupt.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

enum {
    ERROR_SIZE = 1000,
    CASE_MAX = 2 << 20,
    END_MS = 15000,
};

struct connector_args {
    const char *lang, *directory, *provider, *once, *dry_run;
    char **words;
    size_t n;
};

/* --- new --- */

/* A line with the connector's name put in. */
static void put_line(const char *text, const char *name, struct buf *out)
{
    for (const char *at; (at = strstr(text, "@NAME@")); text = at + 6) {
        buf_add(out, text, (size_t)(at - text));
        buf_text(out, name);
    }
    buf_text(out, text);
}

/* "connector.c" is NAME.c, "test_connector.py" test_NAME.py; the others keep theirs. */
static char *file_name(const char *file, const char *name)
{
    const char *at = strstr(file, "connector.");

    return at ? mem_format("%.*s%s.%s", (int)(at - file), file, name, at + 10)
              : mem_text(file);
}

static int write_template(const struct template_file *t, const char *file,
                          const char *directory, const char *name)
{
    _free_ char *own = file_name(file, name), *path = mem_format("%s/%s", directory, own);
    struct buf text = BUF_NULL;
    FILE *out = fopen(path, "wxe");

    for (const char *const *line = t->lines; *line; line++)
        put_line(*line, name, &text);
    bool is_written = out && fwrite(text.bytes, 1, text.len, out) == text.len;
    if (out && fclose(out) != 0)
        is_written = false;
    buf_fini(&text);
    if (!is_written)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    if (strstr(file, ".py"))
        (void)chmod(path, 0755); /* it also runs as `python3 FILE` */
    printf("  %s\n", path);
    return CLI_DONE;
}

static int new_connector(const struct connector_args *a)
{
    const char *lang = a->lang ? a->lang : "c", *name = a->n == 1 ? a->words[0] : "";
    const char *directory = a->directory ? a->directory : name;
    size_t n = strlen(lang), written = 0;

    if (!text_is_name(name))
        return cli_fail(
            CLI_USAGE, "`%s` is no name; expected 1 to 64 of a-z 0-9 _ -, first a letter",
            name);
    if (strcmp(lang, "c") != 0 && strcmp(lang, "python") != 0)
        return cli_fail(CLI_USAGE, "--lang: `%s` does not fit; expected c or python",
                        lang);
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return cli_fail(CLI_FAILED, "%s: %s", directory, strerror(errno));
    for (const struct template_file *t = template_files; t->path; t++)
        if (strncmp(t->path, lang, n) == 0 && t->path[n] == '/') {
            int status = write_template(t, t->path + n + 1, directory, name);
            if (status)
                return status;
            written++;
        }
    printf("%zu files are written; %s/README.md says how to go on\n", written, directory);
    return CLI_DONE;
}

/* --- a program or an address, on the stand --- */

struct trial {
    struct loop *loop;
    struct stand stand;
    struct fake_service service;
    struct subject subject;
    bool has_subject;
};

static bool is_address(const char *word)
{
    return strstr(word, "://") != NULL;
}

static void trial_close(struct trial *t)
{
    if (t->has_subject)
        subject_close(&t->subject);
    if (t->service.server)
        service_close(&t->service);
    if (t->stand.wire)
        stand_close(&t->stand);
    loop_free(t->loop);
}

/* Start the program against the stand. Without a base_url it calls the service of ours.
 */
static int trial_start(struct trial *t, struct subject_start *start)
{
    char error[ERROR_SIZE];
    _free_ char *ours =
        mem_format("http://127.0.0.1:%u", http_server_port(t->service.server));

    if (!start->base_url) {
        start->base_url = ours;
        start->is_private = true;
    }
    if (subject_start(&t->subject, start, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    _free_ char *endpoint = subject_endpoint(&t->subject);
    if (stand_open(&t->stand, t->loop, endpoint, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    return CLI_DONE;
}

static int trial_open(struct trial *t, const struct connector_args *a)
{
    char error[ERROR_SIZE];

    *t = (struct trial){.loop = loop_new(), .has_subject = true};
    if (subject_open(&t->subject, a->words, a->n, a->provider, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    if (service_open(&t->service, t->loop, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    return CLI_DONE;
}

/* --- check --- */

static void print_scenario(void *user, const char *scenario, const char *operation,
                           enum scenario_result result, const char *why)
{
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    const struct cli *cli = user;

    if (!cli->json) {
        printf("%-8s%s%s%s%s%s\n", words[result], operation ? operation : "",
               operation ? ": " : "", scenario, *why ? ": " : "", why);
        (void)fflush(stdout); /* main looks at stdout's errors */
        return;
    }
    struct json *line = js_set_text(js_object(), "scenario", scenario);
    js_set_text(line, "operation", operation);
    js_set_text(line, "result", words[result]);
    cli_print(cli, js_set_text(line, "why", *why ? why : NULL));
}

static int run_scenarios(struct cli *cli, struct trial *t)
{
    bool is_ours = t->has_subject && subject_calls_address(&t->subject);
    struct check check = {.stand = &t->stand,
                          .service = is_ours ? &t->service : NULL,
                          .subject = t->has_subject ? &t->subject : NULL};
    unsigned broken = scenarios_run(&check, print_scenario, cli);

    if (interrupt_came())
        return CLI_FAILED;
    if (broken && t->has_subject) {
        _free_ char *said = subject_said(&t->subject);
        fprintf(stderr, "its last words:\n%s", said);
    }
    if (!cli->json)
        printf("%s\n", broken ? "it does not conform" : "it conforms");
    return broken ? CLI_FAILED : CLI_DONE;
}

static int check_address(struct cli *cli, const char *address)
{
    struct trial t = {.loop = loop_new()};
    char error[ERROR_SIZE];
    int status;

    if (stand_open(&t.stand, t.loop, address, error, sizeof(error))) {
        status = cli_fail(CLI_FAILED, "%s: %s", address, error);
    } else {
        fprintf(stderr, "waiting for a connector at %s\n", address);
        status = run_scenarios(cli, &t);
    }
    trial_close(&t);
    return status;
}

static int check(struct cli *cli, const struct connector_args *a)
{
    struct trial t;

    if (a->n == 1 && is_address(a->words[0]))
        return check_address(cli, a->words[0]);
    int status = trial_open(&t, a);
    if (!status)
        status = trial_start(&t, &(struct subject_start){0});
    if (!status)
        status = run_scenarios(cli, &t);
    trial_close(&t);
    return status;
}

/* --- run --- */

/* {"operation", "data", "key", "options", "secrets", "base_url"}; NULL after having said
 * why. */
static struct json *read_case(const char *path)
{
    static const char *const known[] = {"operation", "data",    "key",
                                        "options",   "secrets", "base_url"};
    FILE *file = fopen(path, "re");
    char *text = mem_alloc(CASE_MAX), error[200] = "expected a JSON object";
    size_t n = file ? fread(text, 1, CASE_MAX, file) : 0;
    struct json *json = file ? js_parse(text, n, error, sizeof(error)) : NULL;
    const char *name, *stranger = NULL;
    void *cursor = NULL;

    while (js_is_object(json) && js_next(json, &cursor, &name)) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            is_known |= strcmp(known[i], name) == 0;
        stranger = is_known ? stranger : name;
    }
    if (!file)
        cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
    else if (!js_is_object(json))
        cli_fail(CLI_USAGE, "%s: %s", path, error);
    else if (stranger)
        cli_fail(
            CLI_USAGE,
            "%s has no member \"%s\"; expected operation, data, key, options, secrets, "
            "base_url",
            path, stranger);
    if (file)
        (void)fclose(file); /* it was only read */
    free(text);
    if (js_is_object(json) && !stranger)
        return json;
    js_free(json);
    return NULL;
}

/* The event of the case, and the result that comes back. */
static int deliver_case(struct trial *t, const struct json *given, struct result *ret)
{
    char why[ERROR_SIZE];
    const struct parcel parcel = {.operation = js_text(given, "operation", ""),
                                  .data = js_get(given, "data"),
                                  .key = js_text(given, "key", NULL)};

    return parcel_deliver(&t->stand, &t->subject, &parcel, ret, why, sizeof(why))
               ? CLI_DONE
               : cli_fail(CLI_FAILED, "%s", why);
}

/* A header of the request; credentials are not shown. */
static void put_header(struct json *headers, const char *line, size_t n)
{
    static const char *const hidden[] = {"Authorization", "Cookie"};
    size_t name_len = (size_t)((const char *)memchr(line, ':', n) - line);
    _free_ char *name = mem_copy(line, name_len),
                *value = mem_copy(line + name_len + 2, n - name_len - 2);

    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        if (strcasecmp(name, hidden[i]) == 0)
            memset(value, '*', strlen(value));
    for (char *at; (at = strstr(value, "test_made_up_"));)
        memset(at, '*', strlen(at));
    js_set_text(headers, name, value);
}

static struct json *request_json(const struct fake_service *service)
{
    struct json *out = js_set_text(js_object(), "method", service->method),
                *headers = js_object();
    const char *at = service->headers.len ? (const char *)service->headers.bytes : "";
    char error[100];

    js_set(out, "target",
           js_from_text((const char *)service->target.bytes, service->target.len));
    for (size_t n; *at; at += n + 1) {
        n = strcspn(at, "\n");
        put_header(headers, at, n);
    }
    js_set(out, "headers", headers);
    const char *body = (const char *)service->body.bytes;
    struct json *json = service->body.len
                            ? js_parse(body, service->body.len, error, sizeof(error))
                            : NULL;
    if (service->body.len && !json)
        json = js_from_text(body, service->body.len);
    js_set(out, "body", json); /* neither JSON nor text: not shown */
    return out;
}

static int show(struct cli *cli, struct trial *t, const struct connector_args *a,
                const struct result *result)
{
    if (a->dry_run && t->service.requests) {
        cli_print(cli, request_json(&t->service));
        return CLI_DONE;
    }
    cli_print(cli, result_json(&t->stand.result));
    return result->is_success && !a->dry_run ? CLI_DONE : CLI_FAILED;
}

static int run_case(struct cli *cli, struct trial *t, const struct connector_args *a,
                    const struct json *given)
{
    struct subject_start start = {.options = js_get(given, "options"),
                                  .secrets = js_get(given, "secrets"),
                                  .needs_secrets = !a->dry_run};
    struct result result;
    char how[100];

    if (a->dry_run && !subject_calls_address(&t->subject))
        return cli_fail(CLI_USAGE,
                        "--dry-run: a program of lines makes its requests itself, and "
                        "this one cannot be told where: its manifest has no option "
                        "`" SUBJECT_ADDRESS "`; without --dry-run its outcome is shown");
    if (!a->dry_run)
        start.base_url =
            js_text(given, "base_url", js_text(t->subject.manifest, "base_url", NULL));
    start.is_private = start.base_url && strncmp(start.base_url, "http://", 7) == 0;
    int status = trial_start(t, &start);
    if (!status)
        status = deliver_case(t, given, &result);
    if (!status)
        status = show(cli, t, a, &result);
    (void)subject_stop(&t->subject, END_MS, how); /* its outcome is what was asked for */
    return status;
}

static int run(struct cli *cli, const struct connector_args *a)
{
    struct json *given = a->once ? read_case(a->once) : NULL;
    struct trial t;

    if (!a->once)
        return cli_fail(CLI_USAGE,
                        "connector run: --once FILE is needed: {\"operation\": "
                        "\"...\", \"data\": {...}}");
    if (!given)
        return CLI_USAGE;
    int status = trial_open(&t, a);
    if (!status)
        status = run_case(cli, &t, a, given);
    trial_close(&t);
    js_free(given);
    return status;
}

/* --- the command --- */

int cmd_connector(struct cli *cli, int argc, char **argv)
{
    struct connector_args a = {0};
    const struct cli_option options[] = {
        {"--lang", "c|python", &a.lang},  {"-o", "DIR", &a.directory},
        {"--provider", "P", &a.provider}, {"--once", "FILE", &a.once},
        {"--dry-run", NULL, &a.dry_run},  {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 2, SUBJECT_WORDS_MAX + 1);

    if (n < 0)
        return CLI_USAGE;
    a.words = argv + 2;
    a.n = (size_t)n - 1;
    if (strcmp(argv[1], "new") == 0)
        return new_connector(&a);
    if (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "run") != 0)
        return cli_fail(CLI_USAGE,
                        "connector: expected new NAME, check ADDRESS|PROGRAM or run "
                        "PROGRAM --once FILE");
    interrupt_catch(); /* a program was started, in a directory of its own */
    int status = (argv[1][0] == 'c' ? check : run)(cli, &a);
    interrupt_release();
    return status;
}
