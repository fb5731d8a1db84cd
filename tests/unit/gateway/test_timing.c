/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A forged signature takes as many instructions wherever it first differs from the right
 * one, so the time of a refusal tells nothing of it.
 *
 * Counted, not timed: a child does it under single-stepping, so the number is exact and
 * the same on a loaded machine.  What the steps cost (a cache miss, a slow division) is
 * not seen; what makes a comparison tell, an end at the first difference, is. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

#define BODY "{\"id\":\"evt_1\",\"type\":\"a.b\"}"
#define TIME "1750000000"
#define NOW  1750000000

enum { STEPS_MAX = 5000000, STEPS_LEAST = 100 };

/* --- counting --- */

/* Instructions from here to the child's end. -1 where tracing is not allowed. */
static long steps_of(void (*fn)(void *arg), void *arg)
{
    int status;
    long n = 0;
    pid_t pid = fork();

    assert_int_not_equal(pid, -1);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        raise(SIGSTOP);
        fn(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status))
        return -1;
    for (; WIFSTOPPED(status) && n < STEPS_MAX; n++)
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 ||
            waitpid(pid, &status, 0) != pid)
            break;
    if (!WIFEXITED(status)) {
        kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0); /* it is gone either way */
        return -1;
    }
    return n;
}

/* --- the comparison itself --- */

struct pair {
    const char *a, *b;
    size_t n;
    volatile bool same;
};

static void compare(void *arg)
{
    struct pair *p = arg;

    p->same = crypto_equal(p->a, p->b, p->n);
}

static void compare_until_it_differs(void *arg)
{
    struct pair *p = arg;
    size_t i = 0;

    while (i < p->n && ((volatile const char *)p->a)[i] == p->b[i])
        i++;
    p->same = i == p->n;
}

/* A sanitizer's own steps differ from one run to the next. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static bool tracing_is_allowed(void)
{
    struct pair p = {.a = "a", .b = "a", .n = 1};
    const char *preloaded = getenv("LD_PRELOAD");

#ifdef SANITIZED
    print_message("a sanitizer's steps would be counted too\n");
    return false;
#endif
    compare(&p); /* what is resolved at the first call is resolved now */
    if (preloaded && strstr(preloaded, "vgpreload"))
        print_message("under valgrind its steps would be counted, not ours\n");
    else if (steps_of(compare, &p) >= STEPS_LEAST)
        return true;
    else
        print_message("processes cannot be stepped here\n");
    return false;
}

static void comparing_takes_as_long_wherever_they_differ(void **state)
{
    static const char right[] = "8cd65f39dbf095b84ca0b0432cce8b3d";
    const size_t n = sizeof(right) - 1;
    struct pair p = {.a = right, .b = right, .n = n};

    (void)state;
    if (!tracing_is_allowed())
        skip();
    const long steps = steps_of(compare, &p),
               naive = steps_of(compare_until_it_differs, &p);
    for (size_t at = 0; at < n; at++) {
        char wrong[sizeof(right)];
        memcpy(wrong, right, sizeof(right));
        wrong[at] ^= 1;
        p.b = wrong;
        assert_int_equal(steps_of(compare, &p), steps);
        assert_true(steps_of(compare_until_it_differs, &p) < naive); /* it is seen */
    }
}

/* --- whole verifications --- */

struct attempt {
    const struct scheme *row;
    const struct scheme_key *key;
    struct scheme_input input;
    struct scheme_verdict verdict;
};

static void verify(void *arg)
{
    struct attempt *a = arg;

    scheme_verify(a->row, a->key, 1, 0, NOW, &a->input, &a->verdict);
}

/* Another character of the same kind, so that reading it is the same work. */
static char other(char c)
{
    return (char)(c >= '1' && c <= '9'   ? c - 1
                  : c == '0'             ? '1'
                  : c == 'a' || c == 'A' ? c + 1
                                         : c - 1);
}

static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The right signature's text: `mac` over `signed_text`, or the password itself. */
static char *signature_of(const struct scheme *row, const struct scheme_key *key,
                          const char *signed_text)
{
    const struct crypto_part part = {signed_text, strlen(signed_text)};
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct buf text = BUF_NULL;

    crypto_hmac_sha256(key->bytes, key->len, &part, 1, mac);
    if (row->algorithm == ALGORITHM_PASSWORD)
        text_base64(key->bytes, key->len, &text);
    else if (row->encoding == ENCODING_HEX)
        text_hex(mac, sizeof(mac), &text);
    else
        text_base64(mac, sizeof(mac), &text);
    char *out = mem_text(buf_str(&text));
    buf_fini(&text);
    return out;
}

static const struct {
    const char *scheme, *secret, *signed_text, *before, *time, *id;
} rows[] = {
    {"stripe", "whsec_test", TIME "." BODY, "t=" TIME ",v1=", NULL, NULL},
    {"github", "a-secret", BODY, "sha256=", NULL, NULL},
    {"slack", "a-secret", "v0:" TIME ":" BODY, "v0=", TIME, NULL},
    {"standard-webhooks", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
     "msg_1." TIME "." BODY, "v1,", TIME, "msg_1"},
    {"shopify", "a-secret", BODY, "", NULL, NULL},
    {"postmark", "user:a-long-password-of-a-test", "", "Basic ", NULL, NULL},
};

static void check_row(size_t i)
{
    struct scheme_key key;
    struct attempt a = {.row = scheme_find(rows[i].scheme), .key = &key};
    long steps[3], n = 0;

    assert_true(scheme_key_init(&key, a.row, rows[i].secret));
    _free_ char *right = signature_of(a.row, &key, rows[i].signed_text);
    _free_ char *header = mem_format("%s%s", rows[i].before, right);
    a.input = (struct scheme_input){.signature = header,
                                    .time = rows[i].time,
                                    .id = rows[i].id,
                                    .body = BODY,
                                    .body_len = strlen(BODY)};
    verify(&a); /* warm, and right */
    assert_int_equal(a.verdict.result, SCHEME_OK);
    const size_t start = strlen(rows[i].before), len = strlen(right);
    const size_t from[] = {0, len / 2, len - 4}; /* the first plain one from here on */
    for (size_t k = 0; k < 3; k++) {
        char *at = header + start + from[k];
        while (*at && !is_plain(*at) && at > header + start)
            at--;
        if (!is_plain(*at))
            continue;
        const char was = *at;
        *at = other(was);
        verify(&a);
        assert_int_equal(a.verdict.result, SCHEME_MISMATCH);
        steps[n++] = steps_of(verify, &a);
        *at = was;
    }
    assert_true(n >= 2);
    for (long k = 1; k < n; k++)
        if (steps[k] != steps[0])
            fail_msg("%s: %ld and %ld steps", rows[i].scheme, steps[0], steps[k]);
    scheme_key_fini(&key);
}

static void a_refusal_takes_as_long_wherever_the_signature_differs(void **state)
{
    (void)state;
    if (!tracing_is_allowed())
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_row(i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing_takes_as_long_wherever_they_differ),
        cmocka_unit_test(a_refusal_takes_as_long_wherever_the_signature_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
