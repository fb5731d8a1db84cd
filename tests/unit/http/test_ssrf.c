/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Ways to say "this machine" or "the inside of this network": none of them may bring
 * about a connection.  A listener on every address of the machine counts what comes. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"

enum { TIMEOUT_US = 5000000 };

/* PORT stands for the listener's. */
static const char *const tricks[] = {
    /* plain, and in every spelling that inet_aton() takes */
    "https://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/",
    "https://127.1:PORT/",
    "https://127.0.1:PORT/",
    "https://2130706433:PORT/",
    "https://0x7f000001:PORT/",
    "https://0x7f.0.0.1:PORT/",
    "https://0x7F.0x0.0x0.0x1:PORT/",
    "https://0x7f.1:PORT/",
    "https://0177.0.0.1:PORT/",
    "https://0177.1:PORT/",
    "https://017700000001:PORT/",
    "https://127.0.0.1.:PORT/",
    "https://127.000.000.001:PORT/",
    "https://127.255.255.254:PORT/",
    "https://127.127.127.127:PORT/",
    "https://0:PORT/",
    "https://0.0.0.0:PORT/",
    "https://0x0:PORT/",
    "https://00000000000:PORT/",
    /* metadata services, and their spellings */
    "https://169.254.169.254:PORT/latest/meta-data/",
    "https://0xa9fea9fe:PORT/",
    "https://2852039166:PORT/",
    "https://0251.0376.0251.0376:PORT/",
    "https://169.254.43518:PORT/",
    "https://[fd00:ec2::254]:PORT/",
    "https://[fd20:ce::254]:PORT/computeMetadata/v1/",
    "https://100.100.100.200:PORT/latest/meta-data/",
    "https://168.63.129.16:PORT/machine",
    /* networks of one's own, and those of nobody */
    "https://10.0.0.1:PORT/",
    "https://172.16.0.1:PORT/",
    "https://192.168.0.1:PORT/",
    "https://100.64.0.1:PORT/",
    "https://198.18.0.1:PORT/",
    "https://192.0.0.1:PORT/",
    "https://192.0.2.1:PORT/",
    "https://224.0.0.1:PORT/",
    "https://240.0.0.1:PORT/",
    "https://255.255.255.255:PORT/",
    /* IPv6, and IPv4 inside it */
    "https://[::1]:PORT/",
    "https://[0:0:0:0:0:0:0:1]:PORT/",
    "https://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/",
    "https://[::]:PORT/",
    "https://[::ffff:127.0.0.1]:PORT/",
    "https://[::ffff:7f00:1]:PORT/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "https://[::ffff:0:127.0.0.1]:PORT/",
    "https://[::127.0.0.1]:PORT/",
    "https://[64:ff9b::127.0.0.1]:PORT/",
    "https://[64:ff9b::7f00:1]:PORT/",
    "https://[64:ff9b:1::1]:PORT/",
    "https://[2002:7f00:1::]:PORT/",
    "https://[2002:a9fe:a9fe::]:PORT/",
    "https://[::ffff:169.254.169.254]:PORT/",
    "https://[::ffff:a9fe:a9fe]:PORT/",
    "https://[fc00::1]:PORT/",
    "https://[fe80::1]:PORT/",
    "https://[fe80::1%25lo]:PORT/",
    "https://[fec0::1]:PORT/",
    "https://[ff02::1]:PORT/",
    "https://[2001::1]:PORT/",
    "https://[2001:db8::1]:PORT/",
    "https://[100::1]:PORT/",
    /* names that mean this machine */
    "https://localhost:PORT/",
    "https://LOCALHOST:PORT/",
    "https://localhost.:PORT/",
    "https://ip6-localhost:PORT/",
    /* a URL that is read in two ways */
    "https://example.com@127.0.0.1:PORT/",
    "https://example.com:443@127.0.0.1:PORT/",
    "https://example.com%40127.0.0.1:PORT/",
    "https://127.0.0.1:PORT#@example.com/",
    "https://127.0.0.1:PORT?@example.com/",
    "https://127.0.0.1:PORT\\@example.com/",
    "https:\\\\127.0.0.1:PORT/",
    "https:///127.0.0.1:PORT/",
    "https:127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT",
    " https://127.0.0.1:PORT/",
    "https://127.0.0.1%00.example.com:PORT/",
    "https://%31%32%37.0.0.1:PORT/",
    "https://127%2e0%2e0%2e1:PORT/",
    "https://127\xe3\x80\x82"
    "0\xe3\x80\x82"
    "0\xe3\x80\x82"
    "1:PORT/", /* full stops of East Asia */
    "https://\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1:PORT/", /* digits in circles */
    /* another protocol to the same port */
    "ftp://127.0.0.1:PORT/",
    "gopher://127.0.0.1:PORT/_GET%20/",
    "dict://127.0.0.1:PORT/d:x",
    "telnet://127.0.0.1:PORT/",
    "tftp://127.0.0.1:PORT/x",
    "smtp://127.0.0.1:PORT/",
    "ldap://127.0.0.1:PORT/",
    "rtsp://127.0.0.1:PORT/",
    "file:///etc/hostname",
    "HTTP://127.0.0.1:PORT/",
};

/* Forbidden with allow_private_network too: addresses that are nobody's service. */
static const char *const never[] = {
    "http://169.254.169.254:PORT/",
    "http://0xa9fea9fe:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://[::]:PORT/",
    "http://224.0.0.1:PORT/",
    "http://[fe80::1%25lo]:PORT/",
    "http://[::ffff:169.254.169.254]:PORT/",
    "http://[ff02::1]:PORT/",
    "http://[fd00:ec2::254]:PORT/",
    "http://[::ffff:168.63.129.16]:PORT/",
    "http://100.100.100.200:PORT/",
    "ftp://127.0.0.1:PORT/",
    "file:///etc/hostname",
};

/* And these do arrive then, so that the listener is known to notice. */
static const char *const arriving[] = {
    "http://127.0.0.1:PORT/",       "http://127.1:PORT/",     "http://0x7f000001:PORT/",
    "http://127.127.127.127:PORT/", "http://localhost:PORT/",
};

struct box {
    struct loop *loop;
    struct http_client *http;
    struct loop_source *source;
    int listener;
    unsigned port, accepted, done;
    enum http_result result;
    char error[200];
};

static void on_connect(void *user, uint32_t events)
{
    struct box *box = user;
    int fd = accept4(box->listener, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    box->accepted++;
    if (fd >= 0)
        close(fd);
}

/* On every address of the machine, of both kinds where there are both. */
static void listen_everywhere(struct box *box)
{
    struct sockaddr_in6 all6 = {.sin6_family = AF_INET6};
    struct sockaddr_in all4 = {.sin_family = AF_INET};
    socklen_t n = sizeof(all6);
    int off = 0;

    box->listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (box->listener >= 0) {
        assert_int_equal(
            setsockopt(box->listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
        if (bind(box->listener, (struct sockaddr *)&all6, sizeof(all6)) != 0) {
            close(box->listener);
            box->listener = -1;
        }
    }
    if (box->listener < 0) { /* a machine without IPv6 */
        box->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(box->listener, (struct sockaddr *)&all4, sizeof(all4)), 0);
    }
    assert_int_equal(listen(box->listener, 64), 0);
    assert_int_equal(getsockname(box->listener, (struct sockaddr *)&all6, &n), 0);
    box->port = ntohs(all6.sin6_port); /* at the same place in both */
    box->source = loop_watch(box->loop, box->listener, EPOLLIN, on_connect, box);
}

static void open_box(struct box *box, bool allow_private_network)
{
    *box = (struct box){.loop = loop_new()};
    listen_everywhere(box);
    box->http = http_client_new(
        box->loop,
        &(struct http_client_options){.allow_private_network = allow_private_network});
}

static void close_box(struct box *box)
{
    http_client_free(box->http);
    loop_unwatch(box->source);
    close(box->listener);
    loop_free(box->loop);
}

static void on_done(void *user, const struct http_call *call)
{
    struct box *box = user;

    box->done++;
    box->result = http_call_result(call);
    snprintf(box->error, sizeof(box->error), "%s", http_call_error(call));
}

static void try_url(struct box *box, const char *trick)
{
    const char *at = strstr(trick, "PORT");
    char *url = at ? mem_format("%.*s%u%s", (int)(at - trick), trick, box->port, at + 4)
                   : mem_text(trick);
    unsigned before = box->done;

    http_client_call(box->http, &(struct http_call_options){.method = "GET",
                                                            .url = url,
                                                            .timeout_us = TIMEOUT_US,
                                                            .on_done = on_done,
                                                            .user = box});
    for (int i = 0; i < 1000 && box->done == before; i++)
        loop_turn(box->loop, 10);
    for (int i = 0; i < 3; i++) /* what was on its way arrives */
        loop_turn(box->loop, 1);
    assert_int_equal(box->done, before + 1);
    free(url);
}

static void no_trick_brings_about_a_connection(void **state)
{
    (void)state;
    struct box box;
    unsigned forbidden = 0, n = sizeof(tricks) / sizeof(tricks[0]);

    open_box(&box, false);
    for (unsigned i = 0; i < n; i++) {
        try_url(&box, tricks[i]);
        if (box.accepted || (box.result != HTTP_FORBIDDEN && box.result != HTTP_NOT_SENT))
            fail_msg("%s: %u connections, result %d: %s", tricks[i], box.accepted,
                     box.result, box.error);
        forbidden += box.result == HTTP_FORBIDDEN;
    }
    /* the others are names that do not exist, wherever this runs */
    assert_in_range(forbidden, n - 12, n);
    print_message("%u tricks, %u forbidden outright, %u connections\n", n, forbidden,
                  box.accepted);
    close_box(&box);
}

static void what_is_nobodys_stays_forbidden_with_the_opt_in(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, true);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        try_url(&box, never[i]);
        if (box.accepted || box.result != HTTP_FORBIDDEN)
            fail_msg("%s: %u connections, result %d: %s", never[i], box.accepted,
                     box.result, box.error);
    }
    close_box(&box);
}

/* --- names, by a resolver that says what the test wants --- */

/* What rebind.test is now, up to a NULL. */
static const char *const *answers;

static struct addrinfo *answer(const char *ip, const struct addrinfo *hints,
                               const char *service)
{
    struct addrinfo *one =
        calloc(1, sizeof(*one) + sizeof(struct sockaddr_in6)); /* freeaddrinfo frees it */
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)(one + 1);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)(one + 1);
    in_port_t port = htons((uint16_t)strtoul(service ? service : "0", NULL, 10));
    bool is_six = strchr(ip, ':') != NULL;

    one->ai_family = is_six ? AF_INET6 : AF_INET;
    one->ai_socktype = hints ? hints->ai_socktype : SOCK_STREAM;
    one->ai_addrlen = is_six ? sizeof(*in6) : sizeof(*in);
    one->ai_addr = (struct sockaddr *)(void *)(one + 1);
    one->ai_addr->sa_family = (sa_family_t)one->ai_family;
    if (is_six)
        in6->sin6_port = port;
    else
        in->sin_port = port;
    assert_int_equal(inet_pton(one->ai_family, ip,
                               is_six ? (void *)&in6->sin6_addr : (void *)&in->sin_addr),
                     1);
    return one;
}

/* Stands before the C library's, for libcurl too. */
__attribute__((visibility("default"))) int getaddrinfo(const char *name,
                                                       const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (!name || strcmp(name, "rebind.test") != 0) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
        return real(name, service, hints, ret);
    }
    struct addrinfo **end = ret;
    for (const char *const *ip = answers; *ip; ip++) {
        *end = answer(*ip, hints, service);
        end = &(*end)->ai_next;
    }
    *end = NULL;
    return 0;
}

static void a_name_is_judged_by_the_addresses_it_has(void **state)
{
    (void)state;
    static const char *const inside[][4] = {
        {"127.0.0.1"},
        {"::1"},
        {"10.0.0.1", "127.0.0.1"},
        {"169.254.169.254", "::1", "127.0.0.1"},
        {"::ffff:127.0.0.1", "64:ff9b::7f00:1"},
        {"0.0.0.0"},
        {"203.0.113.1", "127.0.0.1"}, /* nobody's first, then ours */
    };

    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        struct box box;
        open_box(&box, false);
        answers = inside[i];
        try_url(&box, "https://rebind.test:PORT/");
        if (box.accepted || box.result != HTTP_FORBIDDEN)
            fail_msg("%s...: %u connections, result %d: %s", inside[i][0], box.accepted,
                     box.result, box.error);
        close_box(&box);
    }
}

/* The name was good when somebody looked, and is not when it is dialled. */
static void a_name_that_changes_its_mind_is_judged_when_it_is_dialled(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1", NULL},
                             *const metadata[] = {"169.254.169.254", NULL},
                             *const nowhere[] = {"0.0.0.0", "::", NULL};
    struct box box;

    open_box(&box, true);
    answers = good;
    try_url(&box, "http://rebind.test:PORT/");
    assert_int_equal(box.accepted, 1); /* so the resolver is the test's indeed */
    close_box(&box);
    for (int i = 0; i < 2; i++) {
        open_box(&box, true);
        answers = i ? nowhere : metadata;
        try_url(&box, "http://rebind.test:PORT/");
        assert_int_equal(box.accepted, 0);
        assert_int_equal(box.result, HTTP_FORBIDDEN);
        close_box(&box);
    }
}

static void the_listener_notices_what_is_allowed(void **state)
{
    (void)state;
    struct box box;

    open_box(&box, true);
    for (size_t i = 0; i < sizeof(arriving) / sizeof(arriving[0]); i++) {
        unsigned before = box.accepted;
        try_url(&box, arriving[i]);
        if (box.accepted == before)
            fail_msg("%s: no connection: %s", arriving[i], box.error);
    }
    close_box(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_trick_brings_about_a_connection),
        cmocka_unit_test(what_is_nobodys_stays_forbidden_with_the_opt_in),
        cmocka_unit_test(a_name_is_judged_by_the_addresses_it_has),
        cmocka_unit_test(a_name_that_changes_its_mind_is_judged_when_it_is_dialled),
        cmocka_unit_test(the_listener_notices_what_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
