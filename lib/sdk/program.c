/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/program.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/provider.h"

enum { EXAMPLES = 4 /* of an operation: example, example_answer, _found, _absent */ };

struct program {
    struct json *manifest; /* the texts of the tables are its */
    struct sb_connector connector;
    struct sb_operation *operations;
    struct sb_webhook *webhooks;
    struct sb_option *options;
    struct sb_secret *secrets;
    struct sb_failure_mode *failures;
    const char **publishes;
    char **examples; /* EXAMPLES texts of each operation */
};

/* --- functions of the tables --- */

static enum sb_verdict program_failed(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    return program_answer(event, answer, outcome); /* the answer says which it is */
}

static enum sb_verdict program_lookup(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    enum sb_verdict verdict = program_request(event, request, outcome);

    js_set_bool(request->json, "lookup", true);
    return verdict;
}

/* A webhook's work is a question to the program as well: call.c sees to that. */
static enum sb_verdict program_webhook(const struct sb_event *event,
                                       struct sb_outcome *outcome)
{
    (void)event;
    return sb_unclear(outcome, "a webhook of a program was not given to it");
}

/* --- the manifest --- */

/* One member of a row: where its value goes. */
struct member {
    const char *name;
    enum { TEXT, COUNT, BOOL, REPEAT, TYPE, PRICE } kind;
    size_t offset;
};

struct reading {
    struct buf *errors;
    const char *list; /* "operations" */
    size_t index;
};

#define MEMBER(type, kind, name)                                                         \
    {                                                                                    \
#name, kind, offsetof(struct type, name)                                         \
    }
static const struct member operation_members[] = {
    MEMBER(sb_operation, TEXT, name),
    MEMBER(sb_operation, TEXT, summary),
    MEMBER(sb_operation, TEXT, transition),
    MEMBER(sb_operation, TEXT, transition_failed),
    MEMBER(sb_operation, REPEAT, repeat),
    MEMBER(sb_operation, COUNT, key_lifetime_s),
    MEMBER(sb_operation, COUNT, lookup_after_s),
    MEMBER(sb_operation, COUNT, absent_status),
    {"price", TEXT, offsetof(struct sb_operation, price_text)},
    MEMBER(sb_operation, PRICE, price_max),
    MEMBER(sb_operation, TEXT, degrade),
    MEMBER(sb_operation, TEXT, test),
    MEMBER(sb_operation, BOOL, is_harmless),
    MEMBER(sb_operation, BOOL, is_poll),
    MEMBER(sb_operation, TEXT, finds),
    MEMBER(sb_operation, COUNT, timeout_ms),
    {NULL, TEXT, 0},
};
static const struct member webhook_members[] = {
    MEMBER(sb_webhook, TEXT, event),
    MEMBER(sb_webhook, TEXT, becomes),
    MEMBER(sb_webhook, TEXT, transition),
    MEMBER(sb_webhook, TEXT, test),
    {NULL, TEXT, 0},
};
static const struct member option_members[] = {
    MEMBER(sb_option, TEXT, name),
    MEMBER(sb_option, TYPE, type),
    {"default", TEXT, offsetof(struct sb_option, otherwise)},
    MEMBER(sb_option, BOOL, required),
    MEMBER(sb_option, TEXT, help),
    {NULL, TEXT, 0},
};
static const struct member secret_members[] = {
    MEMBER(sb_secret, TEXT, name),
    MEMBER(sb_secret, TEXT, what),
    MEMBER(sb_secret, TEXT, rotate),
    MEMBER(sb_secret, BOOL, optional),
    {NULL, TEXT, 0},
};
static const struct member failure_members[] = {
    MEMBER(sb_failure_mode, TEXT, name),
    MEMBER(sb_failure_mode, TEXT, seen_as),
    MEMBER(sb_failure_mode, TEXT, then),
    {NULL, TEXT, 0},
};
#undef MEMBER

static const char *const repeats[] = {"never", "safe", "keyed", NULL};
static const char *const types[] = {"text", "int", "bool", NULL};

static bool read_word(const struct json *value, const char *const *words, int *ret)
{
    const char *text = js_text(value, "", "");

    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static const char *read_price_max(const struct json *value, struct sb_operation *o)
{
    const char *currency = js_text(value, "currency", "");

    o->price_max.currency = js_text(value, "currency", NULL);
    o->price_max.millionths = js_int(value, "micros", -1);
    return strlen(currency) == 3 && o->price_max.millionths >= 0
               ? NULL
               : "{\"currency\": three letters, \"micros\": a whole number}";
}

/* Put a value where the member says. NULL, or what was expected. */
static const char *read_member(const struct member *m, const struct json *value,
                               void *row)
{
    char *at = (char *)row + m->offset;
    int64_t number = js_int(value, "", -1);

    switch (m->kind) {
    case TEXT:
        *(const char **)(void *)at = js_text(value, "", NULL);
        return js_is_text(value) ? NULL : "a text";
    case COUNT:
        *(uint32_t *)(void *)at = (uint32_t)number;
        return number >= 0 && number <= UINT32_MAX ? NULL : "a whole number";
    case BOOL:
        *(bool *)at = js_bool(value, "", false);
        return js_is_bool(value) ? NULL : "true or false";
    case REPEAT:
        return read_word(value, repeats, (int *)(void *)at) ? NULL
                                                            : "never, safe or keyed";
    case PRICE: /* of an operation only */
        return read_price_max(value, row);
    case TYPE:
    default:
        return read_word(value, types, (int *)(void *)at) ? NULL : "text, int or bool";
    }
}

static const struct member *member_find(const struct member *members, const char *name)
{
    while (members->name && strcmp(members->name, name) != 0)
        members++;
    return members->name ? members : NULL;
}

/* Members that are read elsewhere, or that only a connector on the bus has. */
static bool is_foreign(const char *name)
{
    static const char *const names[] = {
        "lookup",        "key_header",     "example",  "example_answer",
        "example_found", "example_absent", "has_price"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void read_row(const struct reading *r, const struct json *json,
                     const struct member *members, void *row)
{
    const char *name;
    void *cursor = NULL;

    if (!js_is_object(json))
        buf_format(r->errors, "%s.%zu: expected an object\n", r->list, r->index);
    for (const struct json *value; (value = js_next(json, &cursor, &name));) {
        const struct member *m = member_find(members, name);
        const char *expected =
            m && !js_is_null(value) ? read_member(m, value, row) : NULL;
        if (!m && !is_foreign(name))
            buf_format(r->errors, "%s.%zu.%s: there is no such member\n", r->list,
                       r->index, name);
        else if (expected)
            buf_format(r->errors, "%s.%zu.%s: expected %s\n", r->list, r->index, name,
                       expected);
    }
    /* the first member is its name */
    if (!*(const char **)(void *)((char *)row + members->offset))
        buf_format(r->errors, "%s.%zu.%s is missing\n", r->list, r->index, members->name);
}

/* The rows of one list; the array has one more, of zeros. */
static void *read_list(const struct json *manifest, const char *list, size_t size,
                       const struct member *members, struct buf *errors)
{
    const struct json *rows = js_get(manifest, list);
    char *all = mem_array(js_count(rows) + 1, size);

    if (rows && !js_is_array(rows))
        buf_format(errors, "%s: expected a list\n", list);
    for (size_t i = 0; js_is_array(rows) && i < js_count(rows); i++)
        read_row(&(struct reading){errors, list, i}, js_at(rows, i), members,
                 all + i * size);
    return all;
}

static const char **read_publishes(const struct json *manifest, struct buf *errors)
{
    const struct json *list = js_get(manifest, "publishes");
    const char **all = mem_array(js_count(list) + 1, sizeof(*all));

    for (size_t i = 0; i < js_count(list); i++) {
        all[i] = js_text(js_at(list, i), "", "");
        if (!js_is_text(js_at(list, i)))
            buf_format(errors, "publishes.%zu: expected a text\n", i);
    }
    return all;
}

static char *example_text(const struct json *row, const char *name)
{
    const struct json *value = js_get(row, name);
    struct buf text = BUF_NULL;

    if (value)
        js_write(value, 0, &text);
    return (char *)text.bytes;
}

static void give_examples(struct program *program)
{
    const struct json *rows = js_get(program->manifest, "operations");

    program->examples = mem_array(EXAMPLES * js_count(rows) + 1, sizeof(char *));
    for (size_t i = 0; program->operations[i].name; i++) {
        struct sb_operation *o = &program->operations[i];
        char **own = &program->examples[EXAMPLES * i];
        o->example = own[0] = example_text(js_at(rows, i), "example");
        o->example_answer = own[1] = example_text(js_at(rows, i), "example_answer");
        o->example_found = own[2] = example_text(js_at(rows, i), "example_found");
        o->example_absent = own[3] = example_text(js_at(rows, i), "example_absent");
    }
}

static void give_functions(struct program *program)
{
    const struct json *rows = js_get(program->manifest, "operations");

    for (size_t i = 0; program->operations[i].name; i++) {
        struct sb_operation *o = &program->operations[i];
        o->request = program_request;
        o->succeeded = program_answer;
        o->failed = program_failed;
        if (js_bool(js_at(rows, i), "lookup", false)) {
            o->lookup_request = program_lookup;
            o->lookup_answer = program_answer;
        }
    }
    for (size_t i = 0; program->webhooks[i].event; i++)
        program->webhooks[i].handle = program_webhook;
}

static void read_tables(struct program *p, struct buf *errors)
{
    const struct json *m = p->manifest;

#define LIST(name, type, members) read_list(m, name, sizeof(struct type), members, errors)
    p->operations = LIST("operations", sb_operation, operation_members);
    p->webhooks = LIST("webhooks", sb_webhook, webhook_members);
    p->options = LIST("options", sb_option, option_members);
    p->secrets = LIST("secrets", sb_secret, secret_members);
    p->failures = LIST("failures", sb_failure_mode, failure_members);
#undef LIST
    p->publishes = read_publishes(m, errors);
    give_functions(p);
    give_examples(p);
    p->connector = (struct sb_connector){
        .name = js_text(m, "name", NULL),
        .version = js_text(m, "version", NULL),
        .summary = js_text(m, "summary", "a program as a connector"),
        .tests = js_text(m, "tests", NULL),
        .operations = p->operations,
        .webhooks = p->webhooks,
        .options = p->options,
        .secrets = p->secrets,
        .failures = p->failures,
        .publishes = p->publishes,
    };
}

struct program *program_new(const char *text, size_t n, struct buf *errors)
{
    struct program *program = mem_alloc(sizeof(*program));
    size_t before = errors->len;
    char error[200];

    program->manifest = js_parse(text, n, error, sizeof(error));
    if (!js_is_object(program->manifest))
        buf_format(errors, "expected a JSON object%s%s\n", program->manifest ? "" : ": ",
                   program->manifest ? "" : error);
    else
        read_tables(program, errors);
    if (errors->len == before)
        manifest_check(&program->connector, errors);
    if (errors->len == before)
        return program;
    program_free(program);
    return NULL;
}

void program_free(struct program *program)
{
    if (!program)
        return;
    size_t n = js_count(js_get(program->manifest, "operations"));

    for (size_t i = 0; program->examples && i < EXAMPLES * n; i++)
        free(program->examples[i]);
    free(program->examples);
    js_free(program->manifest);
    free(program->operations);
    free(program->webhooks);
    free(program->options);
    free(program->secrets);
    free(program->failures);
    free(program->publishes);
    free(program);
}

const struct sb_connector *program_connector(const struct program *program)
{
    return &program->connector;
}

char *program_secrets(const struct integration *integration)
{
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);
    struct buf text = BUF_NULL;
    size_t n = 2;

    js_wipe(true);
    struct json *all = js_object();
    for (const struct sb_secret *s = tables.secrets; s && s->name; s++) {
        const char *value = integration->secret
                                ? integration->secret(integration->secret_user, s->name)
                                : NULL;
        js_set_text(all, s->name, value);
        n += strlen(s->name) + 6 * strlen(value ? value : "null") + 6;
    }
    buf_reserve(&text, n); /* once: what is moved is not wiped */
    js_write(all, 0, &text);
    js_free(all);
    js_wipe(false);
    return (char *)text.bytes;
}
