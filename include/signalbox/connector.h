/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* connector - all that the author of a connector includes
 *
 * A connector turns events into calls to one service and answers into outcomes.  It is
 * tables (options, secrets, operations, webhooks) and small functions; the SDK does the
 * rest: sockets, TLS, many calls at once, timeouts, size limits, retries, idempotency
 * keys, leases, secrets, the outcome's record.
 *
 * An operation has three functions, and each sees only what it needs:
 *
 *     request     the event  -> one HTTP request
 *     succeeded   an answer 200 to 299 -> the outcome's data
 *     failed      any other answer     -> try again, or the failure's class and message
 *
 * A webhook has one: the provider's event -> the domain's event.  All end with a verdict:
 *
 *     return SB_DONE;                        Success
 *     return sb_fail(outcome, "...");        Failed/permanent, and why
 *     return sb_retry(outcome, 0, "...");    another attempt later
 *     return sb_unclear(outcome, "...");     the effect cannot be told from this answer
 *     return sb_unknown(outcome, "...");     Failed/unknown: a person must look
 *     return sb_default(outcome, "...");     (failed only) the SDK's rules decide
 *
 * Lifetimes: everything handed to a function, and every text read from it, lives until
 * that function returns. Everything handed to the SDK is copied, except the tables, which
 * live as long as the process. Functions run one at a time in one thread, must not block,
 * and keep no state about an event between calls. Texts are UTF-8 and end with a NUL.
 * Running out of memory ends the process; the log makes that safe. */
#ifndef SIGNALBOX_CONNECTOR_H
#define SIGNALBOX_CONNECTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct sb_event;   /* what is to be handled */
struct sb_request; /* the HTTP request being made */
struct sb_answer;  /* what the service answered */
struct sb_outcome; /* the result being made: data, cost, cursor, facts; or why not */
struct sb_json;    /* a JSON value */

enum sb_verdict {
    SB_DONE,    /* success */
    SB_FAILED,  /* what sb_fail() returns */
    SB_RETRY,   /* what sb_retry() returns */
    SB_UNCLEAR, /* what sb_unclear() returns */
    SB_UNKNOWN, /* what sb_unknown() returns */
    SB_DEFAULT, /* what sb_default() returns */
    SB_ABSENT,  /* what sb_absent() returns */
};

/* --- verdicts --- */

/* The request failed for good; the same request would fail again.  The message is for
 * people and is stored: say what to do, never put a secret in.  At most 1,000 bytes are
 * kept. */
enum sb_verdict sb_fail(struct sb_outcome *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Try again after `after_ms`; 0 leaves the pause to Retry-After if the answer had it,
 * else to the broker's backoff. The broker counts attempts and deadline and makes the
 * outcome Failed/exhausted in the end.  Only right when the service did nothing, or when
 * the operation may be repeated (`repeat`). */
enum sb_verdict sb_retry(struct sb_outcome *outcome, uint64_t after_ms,
                         const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The service may or may not have done it.  Tried again where the operation may be
 * repeated; otherwise the outcome is Failed/unknown and a person must look. */
enum sb_verdict sb_unclear(struct sb_outcome *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The service did something, and only a person or a later webhook can tell what became of
 * it.  Not tried again. */
enum sb_verdict sb_unknown(struct sb_outcome *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Of `failed` only: the SDK decides by the answer.  x-should-retry and
 * stripe-should-retry are obeyed; 408, 425, 429 and 503 are tried again; other 5xx are
 * like sb_unclear; the rest is Failed/permanent. */
enum sb_verdict sb_default(struct sb_outcome *outcome, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of `lookup_answer` only: the service knows nothing of it, so it has not happened.  The
 * call is made then. */
enum sb_verdict sb_absent(struct sb_outcome *outcome);

/* --- JSON --- *
 * Paths are dotted: "data.object.id"; a segment that is a number indexes an array:
 * "lines.0.amount". Readers take NULL (no JSON there) and answer as if the value were
 * absent. */

/* The value at a path, NULL when absent. "" is the value itself. */
const struct sb_json *sb_at(const struct sb_json *json, const char *path);
/* Present, and not null? */
bool sb_has(const struct sb_json *json, const char *path);
/* The text at a path; NULL when absent or not a text. */
const char *sb_text(const struct sb_json *json, const char *path);
/* The whole number at a path. False, and *ret untouched, when absent or not a whole
 * number (10.0 and "10" are not). */
bool sb_int(const struct sb_json *json, const char *path, int64_t *ret);
/* The same for any number, and for true or false. */
bool sb_number(const struct sb_json *json, const char *path, double *ret);
bool sb_bool(const struct sb_json *json, const char *path, bool *ret);
/* Elements of the array, or members of the object, at a path; 0 for anything else. */
size_t sb_count(const struct sb_json *json, const char *path);
bool sb_is_object(const struct sb_json *json, const char *path);
/* The value of an object's member number `index` in the order of the text, and its name
 * in *ret_name (may be NULL); NULL when there are fewer. */
const struct sb_json *sb_member(const struct sb_json *object, size_t index,
                                const char **ret_name);
/* The element number `index` of an array, from 0; NULL when there are fewer. */
const struct sb_json *sb_element(const struct sb_json *array, size_t index);
/* The name of the first member of the object `json` that is in none of the
 * NULL-terminated `names`, else NULL. */
const char *sb_stranger(const struct sb_json *json, const char *const *names);

/* Writers: set the value at a path, making objects on the way (arrays where the next
 * segment is a number; an index equal to the count appends).  NULL as value sets nothing.
 * False when the path leads through something else or a text is not UTF-8. */
bool sb_put_text(struct sb_json *json, const char *path, const char *text);
bool sb_put_int(struct sb_json *json, const char *path, int64_t number);
bool sb_put_bool(struct sb_json *json, const char *path, bool value);
/* The number that the text is in JSON ("51.5073"): services write some as texts. False,
 * too, when it is none. */
bool sb_put_number(struct sb_json *json, const char *path, const char *text);
bool sb_put(struct sb_json *json, const char *path,
            const struct sb_json *value); /* a deep copy */

/* Set an empty object at a path; returns it to be filled, NULL as above. */
struct sb_json *sb_object(struct sb_json *json, const char *path);
/* Append an empty object to the array at a path, which is made when absent; returns it to
 * be filled, NULL as above. */
struct sb_json *sb_append(struct sb_json *json, const char *path);

/* --- the event --- */

/* The data as JSON; NULL when it is none. */
const struct sb_json *sb_data(const struct sb_event *event);
/* The data as received. */
const void *sb_raw(const struct sb_event *event, size_t *ret_len);
/* The data is a form (application/x-www-form-urlencoded), as some services' webhooks are:
 * the value of a field, the last of several; NULL when absent. */
const char *sb_form(const struct sb_event *event, const char *name);
const char *sb_id(const struct sb_event *event);
const char *sb_type(const struct sb_event *event); /* "payment.charge.requested" */
const char *
sb_key(const struct sb_event *event); /* the ordering key, NULL when there is none */
uint64_t sb_time_us(
    const struct sb_event *event); /* when it was committed; microseconds since 1970 */
/* Now, for what is waited for; the same during one function. Microseconds since 1970. */
uint64_t sb_now_us(const struct sb_event *event);
/* No attempt starts after this, microseconds since 1970; 0: none. */
uint64_t sb_deadline_us(const struct sb_event *event);
unsigned sb_attempt(const struct sb_event *event); /* from 1 */
/* An earlier attempt may have had its effect.  Operations that may not be repeated are
 * not called then. */
bool sb_doubt(const struct sb_event *event);
/* A UUID that names this request for good, the same at every attempt.  A KEYED operation
 * sends it as its key; others may store it with what the service makes (metadata, a
 * reference), so that a lookup finds it. */
const char *sb_idempotency_key(const struct sb_event *event);
/* Of a poll: the cursor that the last successful run left; NULL at the first. */
const char *sb_cursor(const struct sb_event *event);
/* The integration's name and mode ("test", "live", or NULL) as configured. */
const char *sb_integration(const struct sb_event *event);
const char *sb_mode(const struct sb_event *event);
/* The provider the integration is for: a name in `providers`; NULL when the connector has
 * no such table. */
const char *sb_provider(const struct sb_event *event);
/* The value of an option as configured, or its default; NULL when there is neither.
 * Aborts when the table does not declare it.  sb_option_int is for options of type
 * SB_INT. */
const char *sb_option(const struct sb_event *event, const char *name);
int64_t sb_option_int(const struct sb_event *event, const char *name);

/* --- the request ---
 * A mistake (a line break in a header, a secret that is not configured) is kept, and the
 * outcome is Failed/permanent naming it; so these return nothing. */

/* Method and path below the integration's base_url: "POST", "/v1/payment_intents".  Must
 * be called once. The path is sent as it is: put foreign text in with sb_segment. */
void sb_call(struct sb_request *request, const char *method, const char *path);
/* Append "/" and the text, percent-encoded. Refused when empty, "." or "..". */
void sb_segment(struct sb_request *request, const char *text);
/* A header. Names and values must be printable; Host, Content-Length and
 * Transfer-Encoding are the SDK's. */
void sb_header(struct sb_request *request, const char *name, const char *value);
/* Authorization: Bearer with the secret of that name.  The connector never sees its
 * value. */
void sb_bearer(struct sb_request *request, const char *secret);
/* Authorization: Basic; `user` is sent as it is, the password is a secret (NULL: empty).
 */
void sb_basic(struct sb_request *request, const char *user, const char *password_secret);
/* Authorization: Basic with a secret as the user and no password. */
void sb_basic_user(struct sb_request *request, const char *user_secret);
/* The secret as the value of a header ("X-Api-Key"). */
void sb_secret_header(struct sb_request *request, const char *name, const char *secret);
/* The secret as a query parameter, for services that know nothing better ("key").  It is
 * in no log line, no error and no record, but whoever stands between sees it where TLS
 * ends. */
void sb_secret_query(struct sb_request *request, const char *name, const char *secret);

/* Authorization: Bearer with an access token of OAuth 2 client credentials (RFC
 * 6749, 4.4). The SDK gets it at token_url with these two secrets and the scope (NULL:
 * none), keeps it in memory, gets it anew shortly before its end and, once, when the
 * service answers 401. However many calls want it, it is asked for once. */
void sb_oauth(struct sb_request *request, const char *token_url, const char *id_secret,
              const char *secret_secret, const char *scope);
/* The same, for services that want id and secret in the body of the request for a token
 * (client_secret_post) and not in its header (client_secret_basic). */
void sb_oauth_post(struct sb_request *request, const char *token_url,
                   const char *id_secret, const char *secret_secret, const char *scope);

/* Fields: in the body as application/x-www-form-urlencoded, in the query with GET, HEAD
 * and DELETE.  Brackets in `name` nest ("shipping[address][line1]"), all else is
 * percent-encoded, space as %20.  NULL as text: no field. */
void sb_field(struct sb_request *request, const char *name, const char *text);
void sb_field_int(struct sb_request *request, const char *name, int64_t number);
void sb_field_bool(struct sb_request *request, const char *name, bool value);
/* A JSON value as nested fields: {"a":[1,null]} under "x" is x[a][0]=1&x[a][1]=.  NULL:
 * no field. */
void sb_field_json(struct sb_request *request, const char *name,
                   const struct sb_json *value);
/* A query parameter, whatever the method. */
void sb_query(struct sb_request *request, const char *name, const char *text);
/* The body is JSON: the object to fill with sb_put_*.  Not together with fields in the
 * body. */
struct sb_json *sb_json_body(struct sb_request *request);
/* The body is this JSON value, copied. */
void sb_json(struct sb_request *request, const struct sb_json *value);
/* A body of any kind. */
void sb_body(struct sb_request *request, const char *content_type, const void *bytes,
             size_t n);

/* --- a mail instead of an HTTP request ---
 * For an integration whose base_url is smtp://host:587 (with STARTTLS) or
 * smtps://host:465.  Without TLS nothing is sent, unless allow_private_network is set.
 * The SDK writes the message: charset, encodings, MIME parts, and a Message-ID and a Date
 * that are the same at every attempt: <sb_idempotency_key()@domain of the sender>.
 * succeeded: the server has taken it for at least one recipient; failed: it has not, and
 * sb_status is its reply's code (4xx: later perhaps, 5xx: no). */

/* Instead of sb_call. The subject is one line. */
void sb_mail(struct sb_request *request, const char *subject);
/* Who: one FROM, at least one of the last three; "a@example.com" and the name before it
 * (NULL: none).  BCC is in no header. */
enum sb_mail_role {
    SB_MAIL_FROM,
    SB_MAIL_REPLY_TO,
    SB_MAIL_TO,
    SB_MAIL_CC,
    SB_MAIL_BCC,
};
void sb_mail_address(struct sb_request *request, enum sb_mail_role role,
                     const char *email, const char *name);
/* The text; several are alternatives of the same, the best last ("text/plain",
 * "text/html"). */
void sb_mail_text(struct sb_request *request, const char *media_type, const char *text);
/* A file; its bytes in base64. */
void sb_mail_attach(struct sb_request *request, const char *filename,
                    const char *media_type, const char *base64);
/* Log in; the password is a secret. */
void sb_mail_login(struct sb_request *request, const char *user,
                   const char *password_secret);

/* --- the answer --- */

unsigned sb_status(const struct sb_answer *answer); /* 100 to 599 */
/* A header's value, the last of several; NULL when absent. Names in any case. */
const char *sb_answer_header(const struct sb_answer *answer, const char *name);
/* The body as JSON; NULL when it is none. */
const struct sb_json *sb_answer_json(const struct sb_answer *answer);
const void *sb_answer_raw(const struct sb_answer *answer, size_t *ret_len);
/* Of a mail, where the raw answer is the text of the server's reply: the recipient number
 * `index` that was refused, and the reply it got; NULL when there are fewer. */
const char *sb_mail_refused(const struct sb_answer *answer, size_t index,
                            unsigned *ret_code, const char **ret_text);

/* --- the outcome --- */

/* The outcome's data, an object to fill with sb_put_*.  It is stored with a failure too.
 */
struct sb_json *sb_result(struct sb_outcome *outcome);
/* What it cost: millionths of the currency's unit (ISO 4217: "USD").  From `price`: an
 * upper bound, before the call. */
enum sb_cost_kind { SB_ESTIMATED, SB_ACTUAL };
void sb_cost(struct sb_outcome *outcome, enum sb_cost_kind kind, const char *currency,
             int64_t millionths);
/* Tokens of a language model, as an answer counts them. */
struct sb_tokens {
    int64_t input, output;
    int64_t cached; /* of `input`: read from the provider's cache */
};
/* What they cost in millionths of a US dollar, rounded up; -1 where the model is not in
 * `prices`: "MODEL INPUT [OUTPUT [CACHED]], ...", US dollars for a million tokens with at
 * most 6 digits behind the point.  Of a text that is not so, *ret_wrong points to the
 * entry. */
int64_t sb_token_cost(const char *prices, const char *model, const struct sb_tokens *used,
                      const char **ret_wrong);
/* Of a poll: where the next run starts (at most 1,000 bytes); run again at once. */
void sb_next_cursor(struct sb_outcome *outcome, const char *cursor);
void sb_more(struct sb_outcome *outcome);
/* Publish a further event of a type in `publishes`, committed together with the outcome
 * if that is Success.  Returns its data, to be filled; NULL when the type is not declared
 * or there are more than 1,000 (the outcome then fails). */
struct sb_json *sb_fact(struct sb_outcome *outcome, const char *type, const char *key);
/* The same of what the provider may tell more than once: `event_id` is the provider's own
 * id of the event (1 to 900 bytes).  It is published once however often and whichever way
 * it comes, by this operation or by a webhook of the integration, for as long as
 * `gateway.idempotency` says (7 days).  The outcome says how many had come before. */
struct sb_json *sb_fact_once(struct sb_outcome *outcome, const char *type,
                             const char *key, const char *event_id);
/* Of a poll: an event of the provider's, as its webhook would have brought it: the event
 * `<integration>.<type>` with this data, under the provider's id of it.  Where `webhooks`
 * has the type, its `handle` makes the domain's event of it, in a delivery of its own;
 * else it is a fact.  Where a webhook or another run brought it before, it is not filed
 * again (as sb_fact_once).  False, and nothing is taken: the outcome is full (1,000
 * events, or 1.5 MiB): leave a cursor behind the last one taken, and sb_more.  Also when
 * id or type are none that can be stored; the outcome then fails. */
bool sb_found(struct sb_outcome *outcome, const char *event_id, const char *type,
              const struct sb_json *data);

/* --- the tables; all but struct sb_connector end with an entry whose name is NULL --- */

enum sb_option_type { SB_TEXT, SB_INT, SB_BOOL };
struct sb_option {
    const char *name;
    enum sb_option_type type;
    const char *otherwise; /* the default, as text; NULL: none */
    bool required;
    const char *help; /* of one named status_callback, `signalbox add` gives the public
                         address of the integration's webhook as the value */
};
struct sb_secret {
    const char *name;   /* under `secrets:` of the integration */
    const char *what;   /* what it is and where one gets it */
    const char *rotate; /* how it is exchanged without an interruption */
    bool optional;
};

/* May the same request be sent twice? */
enum sb_repeat {
    SB_REPEAT_NEVER, /* no: an attempt whose effect is not known ends Failed/unknown */
    SB_REPEAT_SAFE,  /* yes, it changes nothing or the same again */
    SB_REPEAT_KEYED, /* yes, under the idempotency key that the SDK sends */
};

struct sb_operation {
    const char *name;    /* "charge": handles `<connector>.charge.requested` */
    const char *summary; /* "Take a payment" */
    /* What changes in the domain: "order: unpaid -> paid". NULL where nothing does. */
    const char *transition, *transition_failed;
    /* All three are needed: a connector with an operation that lacks one does not start.
     */
    enum sb_verdict (*request)(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome);
    enum sb_verdict (*succeeded)(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome);
    enum sb_verdict (*failed)(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome);
    /* Did it happen?  Both or neither; not for SAFE operations.  Where an earlier attempt
     * may have had its effect and the request may not be sent again (NEVER: sent and not
     * answered, or its process died; KEYED: the key's lifetime is over), the service is
     * asked instead.  `lookup_request` is like `request` and must change nothing.
     * `lookup_answer` gets the answer of any status and says: SB_DONE, it happened, with
     * the same data that `succeeded` leaves; sb_fail, it happened and failed; sb_absent,
     * it did not; sb_retry, ask again in a while; sb_unknown, it cannot be told;
     * sb_default asks again after 408, 425, 429 and 5xx and takes the rest for unknown.
     * Without a lookup, or when three did not tell, the outcome is Failed/unknown. */
    enum sb_verdict (*lookup_request)(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome);
    enum sb_verdict (*lookup_answer)(const struct sb_event *event,
                                     const struct sb_answer *answer,
                                     struct sb_outcome *outcome);
    /* How long after a call its effect may still be on the way into what the lookup
     * finds: it is asked no sooner; at most 60, 0: 10 seconds. */
    uint32_t lookup_after_s;
    /* What the service answers to a lookup with 200 when it has happened, and (with
     * `absent_status`, 0: 200) when it has not, as JSON, for `signalbox connector check`.
     * @KEY@ in it stands for sb_idempotency_key.  NULL: not checked. */
    const char *example_found, *example_absent;
    uint32_t absent_status;
    enum sb_repeat repeat;
    uint32_t key_lifetime_s; /* KEYED: how long the service remembers a key; never used
                                again past it */
    const char *key_header;  /* KEYED: NULL is "Idempotency-Key" */
    /* Calls sb_cost(outcome, SB_ESTIMATED, ...); used when the answer did not tell. NULL:
     * free. */
    void (*price)(const struct sb_event *event, struct sb_outcome *outcome);
    /* The most one call can cost, whatever it asks for: a budget is kept by it. 0 of any
     * currency: nothing. No currency: the connector cannot say; the broker then goes by
     * the dearest call so far. */
    struct {
        const char *currency;
        int64_t millionths;
    } price_max;
    /* The same where options decide it: called at the start with an event that has
     * options and no data; calls sb_cost(outcome, SB_ESTIMATED, ...), or nothing where
     * there is no bound. NULL: price_max. */
    void (*price_most)(const struct sb_event *options, struct sb_outcome *outcome);
    const char *price_text; /* the price in words, for the document */
    const char *degrade;    /* what an application does when it fails */
    const char *test;       /* how it is tried without harm */
    /* Data it takes, and what the service answers to it with 200, as JSON: for the
     * document and for `signalbox connector check`. NULL: not checked. */
    const char *example, *example_answer;
    /* A call with `example` changes nothing and costs nothing worth a thought: `signalbox
     * add` makes one to see that credentials and options are right.  SAFE only. */
    bool is_harmless;
    bool is_poll; /* made for the clock: takes a cursor and leaves one */
    /* Of a poll that files what its webhooks bring (sb_found), so that a lost one comes
     * by it: "always", or the name of the option that makes it do so.  NULL: it does not.
     */
    const char *finds;
    uint32_t timeout_ms; /* 0: the integration's limits.timeout */
    uint32_t answer_max; /* bytes of the answer's body; 0: 4 MiB */
};
/* The three functions at once: forgetting one does not compile. */
#define SB_BRANCHES(request_, succeeded_, failed_)                                       \
    .request = (request_), .succeeded = (succeeded_), .failed = (failed_)

struct sb_webhook {
    const char *event;   /* the provider's type: handles `<integration>.<event>` */
    const char *becomes; /* the domain's type: "payment.checkout.completed" */
    const char *transition;
    enum sb_verdict (*handle)(const struct sb_event *event, struct sb_outcome *outcome);
    const char *test; /* how it is tried */
};

struct sb_failure_mode {
    const char *name;    /* "card declined" */
    const char *seen_as; /* class and message one finds in the log */
    const char *then;    /* what happens, and what to do */
};

/* One of the services that a connector can talk to: the integration's `provider:` picks
 * it, and its tables alone are in force then (sb_option aborts for another's).  What is
 * NULL here is the connector's. */
struct sb_provider {
    const char *name;     /* "stripe" */
    const char *base_url; /* where the integration gives none; NULL here and in the
                             connector: the integration must */
    const struct sb_option *options;
    const struct sb_secret *secrets;
    const struct sb_operation *operations;
    const struct sb_webhook *webhooks;
    const struct sb_failure_mode *failures;
    /* For the integration that `signalbox add` writes: */
    const char *service; /* how the service is called: "Stripe"; NULL: `name` */
    const char *limits;  /* `limits` that one should have; NULL: none in particular */
    const char *webhook_secret; /* which of `secrets` its webhooks are verified with;
                                   NULL: one of their own */
};

struct sb_connector {
    const char *name;    /* "payment": the first segment of its requests' types */
    const char *version; /* its own */
    const char *summary; /* one line */
    /* The services it can talk to. NULL: there is one kind only. An integration need not
     * name one where the table has just one. */
    const struct sb_provider *providers;
    const char *base_url; /* where the integration gives none */
    const struct sb_option *options;
    const struct sb_secret *secrets;
    const struct sb_operation *operations;
    const struct sb_webhook *webhooks;
    const struct sb_failure_mode *failures;
    const char *const *publishes; /* types of its facts; NULL-terminated, may be NULL */
    const char *tests;            /* the test protocol as a whole */
};

/* The whole of main(): `return sb_connector_main(&connector, argc, argv);`.  Serves one
 * integration (-c FILE
 * --integration NAME), or prints the manifest (--manifest). Returns the exit status: 2
 * when the tables, the configuration or the arguments are wrong. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv);
/* The whole of main() of signalbox-exec: the connector is the integration's `command`, a
 * program that is asked and answers in lines of JSON. */
int sb_program_main(int argc, char **argv);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
