/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The certificates are made by the openssl program, anew for each run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/up/pem.h"
#include "lib/base/clock.h"
#include "lib/http/crypto.h"

static const uint64_t day_us = UINT64_C(86400000000);
static char dir[64], certificate[96], key[96], other[96], error[512];
static struct pem pem;

static void make(const char *name, char key_path[96], char certificate_path[96])
{
    char command[512];
    snprintf(key_path, 96, "%s/%s.key", dir, name);
    snprintf(certificate_path, 96, "%s/%s.pem", dir, name);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
             "-days 30 -subj /CN=%s -keyout %s -out %s 2>/dev/null",
             name, key_path, certificate_path);
    assert_int_equal(system(command), 0);
    assert_int_equal(chmod(key_path, 0600), 0);
}

static int make_dir(void **state)
{
    (void)state;
    char unused[96];
    strcpy(dir, "/tmp/test_pem.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    make("one", key, certificate);
    make("two", other, unused);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static void pair_that_fits_is_read(void **state)
{
    (void)state;
    assert_true(pem_read(certificate, key, &pem, error, sizeof(error)));
    assert_non_null(strstr(pem.certificate, "BEGIN CERTIFICATE"));
    assert_non_null(strstr(pem.key, "PRIVATE KEY"));
    free(pem.certificate);
    free(pem.key);
}

static void key_of_another_is_refused(void **state)
{
    (void)state;
    assert_false(pem_read(certificate, other, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "not the certificate's"));
    assert_non_null(strstr(error, other));
}

static void key_that_others_can_read_is_refused(void **state)
{
    (void)state;
    assert_int_equal(chmod(key, 0640), 0);
    assert_false(pem_read(certificate, key, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "0600"));
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(chmod(certificate, 0644), 0); /* everybody may see that one */
    assert_true(pem_read(certificate, key, &pem, error, sizeof(error)));
    free(pem.certificate);
    free(pem.key);
}

static void what_is_no_pem_is_refused(void **state)
{
    (void)state;
    assert_false(pem_read(key, key, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "the certificate is not one in PEM"));
    assert_int_equal(chmod(certificate, 0600), 0);
    assert_false(pem_read(certificate, certificate, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "the key is not one in PEM"));
    assert_false(pem_read("/nonexistent", key, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "/nonexistent"));
    assert_false(pem_read(dir, key, &pem, error, sizeof(error)));
    assert_non_null(strstr(error, "regular file"));
}

static void time_of_a_certificate_is_looked_at(void **state)
{
    (void)state;
    static const struct {
        int days;
        const char *why;
    } cases[] = {{0, NULL}, {29, NULL}, {31, "has ended"}, {-1, "not valid yet"}};
    assert_true(pem_read(certificate, key, &pem, error, sizeof(error)));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t at =
            clock_wall_us() + 10000000 + (uint64_t)(cases[i].days * (int64_t)day_us);
        error[0] = 0;
        bool fits =
            crypto_certificate_fits(pem.certificate, pem.key, at, error, sizeof(error));
        assert_int_equal(fits, cases[i].why == NULL);
        if (cases[i].why)
            assert_non_null(strstr(error, cases[i].why));
    }
    free(pem.certificate);
    free(pem.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_that_fits_is_read),
        cmocka_unit_test(key_of_another_is_refused),
        cmocka_unit_test(key_that_others_can_read_is_refused),
        cmocka_unit_test(what_is_no_pem_is_refused),
        cmocka_unit_test(time_of_a_certificate_is_looked_at),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
