/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/call.h"
#include "lib/sdk/program.h"
#include "lib/worker/capture.h"
#include "lib/worker/spawn.h"

/* Long enough for a program that asks too soon to be told from one that waits. */
#define LOOKUP_AFTER_MS "200"

enum {
    MANIFEST_TIMEOUT_US = 10000000,
    SAID_MAX = 2000, /* bytes of its last words that are shown */
    SECRET_MAX = 64 << 10,
    STEP_MS = 10,
};

/* --- what it can do --- */

static struct json *ask(const struct subject *subject, const char *provider, char *error,
                        size_t error_size)
{
    char flag[] = "--provider", *argv[SUBJECT_WORDS_MAX + 4] = {NULL}, why[200];
    size_t n = subject->n_words;
    struct buf text = BUF_NULL;
    struct json *manifest = NULL;

    memcpy(argv, subject->words, n * sizeof(*argv));
    argv[n++] = (char[]){"--manifest"};
    if (provider) {
        argv[n++] = flag;
        argv[n++] = (char *)(uintptr_t)provider;
    }
    if (capture(&(struct capture_options){.argv = argv,
                                          .timeout_us = MANIFEST_TIMEOUT_US,
                                          .output_max = PROGRAM_MANIFEST_MAX,
                                          .errors = STDERR_FILENO},
                &text, error, error_size) == 0) {
        manifest = js_parse((const char *)text.bytes, text.len, why, sizeof(why));
        if (!js_is_object(manifest))
            snprintf(error, error_size, "%s --manifest does not print a JSON object: %s",
                     argv[0], manifest ? "it is something else" : why);
    }
    buf_fini(&text);
    if (js_is_object(manifest))
        return manifest;
    js_free(manifest);
    return NULL;
}

int subject_open(struct subject *subject, char *const *words, size_t n_words,
                 const char *provider, char *error, size_t error_size)
{
    char path[PATH_MAX];

    *subject = (struct subject){.n_words = n_words, .integration = SUBJECT_INTEGRATION};
    if (n_words > SUBJECT_WORDS_MAX) {
        snprintf(error, error_size, "more than %d words", SUBJECT_WORDS_MAX);
        return 1;
    }
    for (size_t i = 0; i < n_words;
         i++) /* it starts elsewhere: what is a file stays one */
        subject->words[i] = mem_text(realpath(words[i], path) ? path : words[i]);
    subject->manifest = ask(subject, provider, error, error_size);
    if (!subject->manifest)
        return 1;
    subject->is_lines = js_get(subject->manifest, "exec") != NULL;
    subject->provider = mem_text(
        provider ? provider : js_text(subject->manifest, "providers.0.name", NULL));
    if (provider || !subject->provider)
        return 0;
    js_free(subject->manifest);
    subject->manifest = ask(subject, subject->provider, error, error_size);
    return subject->manifest ? 0 : 1;
}

/* --- its configuration --- */

static void put_text(struct buf *out, const char *text)
{
    struct json *value = js_from_text(text, strlen(text));

    js_write(value, 0, out); /* JSON is YAML */
    js_free(value);
}

/* What is given, or the address, or for a required one without a default something of its
 * type; NULL where it may be left out. */
static struct json *option_value(const struct json *option, const struct json *given,
                                 const char *base_url)
{
    const char *name = js_text(option, "name", ""),
               *type = js_text(option, "type", "text");
    const char *made_up = strcmp(type, "int") == 0    ? "1"
                          : strcmp(type, "bool") == 0 ? "true"
                                                      : "\"example\"";
    char error[100];

    if (js_get(given, name))
        return js_copy(js_get(given, name));
    if (base_url && strcmp(name, SUBJECT_ADDRESS) == 0)
        return js_from_text(base_url, strlen(base_url));
    return js_bool(option, "required", false) && !js_text(option, "default", NULL)
               ? js_parse(made_up, strlen(made_up), error, sizeof(error))
               : NULL;
}

static void put_options(const struct subject *subject, const struct subject_start *start,
                        struct buf *out)
{
    const struct json *options = js_get(subject->manifest, "options");
    const char *separator = "", *base_url = subject->is_lines ? start->base_url : NULL;

    buf_text(out, "    options: {");
    for (size_t i = 0; i < js_count(options); i++) {
        struct json *value = option_value(js_at(options, i), start->options, base_url);
        if (!value)
            continue;
        buf_format(out, "%s %s: ", separator, js_text(js_at(options, i), "name", ""));
        js_write(value, 0, out);
        js_free(value);
        separator = ",";
    }
    buf_text(out, " }\n");
}

static void put_command(const struct subject *subject, struct buf *out)
{
    buf_text(out, "    command: [");
    for (size_t i = 0; i < subject->n_words; i++) {
        buf_text(out, i ? ", " : "");
        put_text(out, subject->words[i]);
    }
    buf_text(out, "]\n    workers: 2\n");
}

static int write_config(const struct subject *subject, const struct subject_start *start,
                        const char *path)
{
    struct buf text = BUF_NULL;
    FILE *file = fopen(path, "wxe");

    buf_format(&text,
               "data: ./data\nrun: ./run\nintegrations:\n  %s:\n    connector: %s\n",
               subject->integration, js_text(subject->manifest, "name", "unnamed"));
    if (subject->provider)
        buf_format(&text, "    provider: %s\n", subject->provider);
    if (start->base_url) {
        buf_text(&text, "    base_url: ");
        put_text(&text, start->base_url);
        buf_format(&text, "\n    allow_private_network: %s\n",
                   start->is_private ? "true" : "false");
    }
    buf_text(&text, "    limits: { timeout: 5s, concurrency: 8 }\n");
    put_options(subject, start, &text);
    if (subject->is_lines)
        put_command(subject, &text);
    bool is_written = file && fwrite(text.bytes, 1, text.len, file) == text.len;
    if (file && fclose(file) != 0)
        is_written = false;
    buf_fini(&text);
    return is_written ? 0 : 1;
}

/* --- its secrets --- */

/* The text of a file, without the line's end. */
static char *read_secret(const char *reference, char *error, size_t error_size)
{
    const char *path = strncmp(reference, "file:", 5) == 0 ? reference + 5 : NULL;
    char *text = mem_alloc(SECRET_MAX);
    FILE *file = path ? fopen(path, "re") : NULL;
    size_t n = file ? fread(text, 1, SECRET_MAX - 1, file) : 0;

    if (!path)
        snprintf(error, error_size,
                 "expected file:PATH (a secret itself never stands here)");
    else if (!n)
        snprintf(error, error_size, "%s: %s", path,
                 file ? "it is empty" : strerror(errno));
    if (file)
        (void)fclose(file); /* it was only read */
    text[n] = 0;
    text[strcspn(text, "\r\n")] = 0;
    if (n)
        return text;
    free(text);
    return NULL;
}

/* {"bus": ..., "name": ...}, or NULL with the reason. */
static char *make_secrets(const struct subject *subject,
                          const struct subject_start *start, char *error,
                          size_t error_size)
{
    const struct json *declared = js_get(subject->manifest, "secrets");
    struct json *all = js_set_text(js_object(), "bus", "the-key-of-the-stand");
    struct buf text = BUF_NULL;
    char why[300] = "";

    for (size_t i = 0; i < js_count(declared) && !*why; i++) {
        const char *name = js_text(js_at(declared, i), "name", "");
        const char *reference = js_text(start->secrets, name, NULL),
                   *given = js_text(start->values, name, NULL);
        _free_ char *made_up = mem_format("test_made_up_%s_0123456789", name);
        _free_ char *value =
            reference ? read_secret(reference, why, sizeof(why)) : mem_text(given);
        if (value)
            js_set_text(all, name, value);
        else if (!reference && !start->needs_secrets)
            js_set_text(all, name, made_up);
        else if (!reference && !js_bool(js_at(declared, i), "optional", false))
            snprintf(why, sizeof(why),
                     "it is needed (\"secrets\": {\"%s\": \"file:PATH\"} in the event's "
                     "file): %s",
                     name, js_text(js_at(declared, i), "what", "no more is said"));
        if (*why)
            snprintf(error, error_size, "the secret `%s`: %s", name, why);
    }
    js_write(all, 0, &text);
    js_free(all);
    if (!*why)
        return (char *)text.bytes;
    buf_fini(&text);
    return NULL;
}

/* --- life --- */

bool subject_calls_address(const struct subject *subject)
{
    const struct json *options = js_get(subject->manifest, "options");

    for (size_t i = 0; i < js_count(options); i++)
        if (strcmp(js_text(js_at(options, i), "name", ""), SUBJECT_ADDRESS) == 0)
            return true;
    return !subject->is_lines;
}

static char *beside_us(const char *name)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    return mem_format("%s/%s", path, name);
}

static int make_directory(struct subject *subject, char *error, size_t error_size)
{
    char template[] = "/tmp/signalbox-connector.XXXXXX";
    const char *made = mkdtemp(template);

    if (made) {
        subject->directory = mem_text(made);
        _free_ char *run = mem_format("%s/run", made);
        if (mkdir(run, 0700) == 0)
            return 0;
    }
    snprintf(error, error_size, "%s: %s", template, strerror(errno));
    return 1;
}

static int start_program(struct subject *subject, const char *config, char *secrets,
                         char *error, size_t error_size)
{
    _free_ char *exec = beside_us("signalbox-exec"), *words = mem_text(config),
                *log = mem_format("%s/stderr", subject->directory);
    char *argv[SUBJECT_WORDS_MAX + 8] = {NULL};
    size_t n = subject->is_lines ? 1 : subject->n_words;
    const char *const variables[] = {LOOKUP_AFTER_VARIABLE "=" LOOKUP_AFTER_MS, NULL};

    memcpy(argv, subject->words, n * sizeof(*argv));
    if (subject->is_lines)
        argv[0] = exec;
    argv[n++] = (char[]){"-c"};
    argv[n++] = words;
    argv[n++] = (char[]){"--integration"};
    argv[n++] = (char *)(uintptr_t)subject->integration;
    argv[n++] = (char[]){"--secrets-fd"};
    argv[n++] = (char[]){"3"};
    int errors = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int memory = spawn_memory(secrets, strlen(secrets));
    subject->pid = spawn(&(struct spawn_options){.argv = argv,
                                                 .directory = subject->directory,
                                                 .variables = variables,
                                                 .input = -1,
                                                 .output = errors,
                                                 .errors = errors,
                                                 .secrets = memory},
                         error, error_size);
    if (errors >= 0)
        close(errors);
    if (memory >= 0)
        close(memory);
    return subject->pid > 0 ? 0 : 1;
}

int subject_start(struct subject *subject, const struct subject_start *start, char *error,
                  size_t error_size)
{
    if (!subject->directory && make_directory(subject, error, error_size))
        return 1;
    _free_ char *config = mem_format("%s/signalbox.yaml", subject->directory);
    char *secrets = make_secrets(subject, start, error, error_size);
    int result = 1;

    if (secrets && write_config(subject, start, config))
        snprintf(error, error_size, "%s: %s", config, strerror(errno));
    else if (secrets)
        result = start_program(subject, config, secrets, error, error_size);
    if (secrets)
        explicit_bzero(secrets, strlen(secrets));
    free(secrets);
    return result;
}

char *subject_endpoint(const struct subject *subject)
{
    return mem_format("ipc://%s/run/bus.sock", subject->directory);
}

bool subject_is_running(struct subject *subject)
{
    siginfo_t info = {0};

    return subject->pid > 0 &&
           waitid(P_PID, (id_t)subject->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

bool subject_stop(struct subject *subject, unsigned timeout_ms, char *ret_how)
{
    const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
    bool was_running = subject_is_running(subject);

    if (subject->pid <= 0)
        return false;
    kill(subject->pid, SIGTERM);
    for (unsigned ms = 0; ms < timeout_ms && subject_is_running(subject); ms += STEP_MS)
        nanosleep(&step, NULL);
    bool is_ended = !subject_is_running(subject);
    spawn_kill(subject->pid, ret_how, 100);
    subject->pid = 0;
    if (!is_ended)
        snprintf(ret_how, 100, "did not end within %u ms", timeout_ms);
    return was_running && is_ended && strcmp(ret_how, "ended with status 0") == 0;
}

char *subject_said(const struct subject *subject)
{
    _free_ char *path =
        mem_format("%s/stderr", subject->directory ? subject->directory : "");
    char *text = mem_alloc(SAID_MAX + 1);
    FILE *file = fopen(path, "re");

    if (file && fseek(file, -SAID_MAX, SEEK_END) != 0)
        rewind(file); /* shorter than that */
    if (file) {
        text[fread(text, 1, SAID_MAX, file)] = 0;
        (void)fclose(file); /* it was only read */
    }
    return text;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)stat, (void)type, (void)at;
    (void)remove(path); /* what stays, stays in /tmp */
    return 0;
}

void subject_close(struct subject *subject)
{
    char how[100];

    if (subject->pid > 0)
        spawn_kill(subject->pid, how, sizeof(how));
    if (subject->directory)
        (void)nftw(subject->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    js_free(subject->manifest);
    for (size_t i = 0; i < subject->n_words; i++)
        free(subject->words[i]);
    free(subject->provider);
    free(subject->directory);
    *subject = (struct subject){0};
}
