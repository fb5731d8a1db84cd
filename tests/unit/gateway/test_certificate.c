/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Schemes whose signature is made with the key of a certificate: PayPal, Amazon SNS. The
 * certificates and signatures below were made with the openssl program, as PayPal's and
 * Amazon's documentation say; the private keys are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/certificate.h"
#include "gateway/scheme.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/http/crypto.h"

#define TIME     "2027-01-15T08:00:00Z"
#define SNS_TIME "2027-01-15T08:00:00.655Z"
#define NOW      UINT64_C(1800000000) /* 2027-01-15T08:00:00Z */
static const char ca_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIDHTCCAgWgAwIBAgIUH3NQLfOnrM7sdyC+1th545ju67kwDQYJKoZIhvcNAQEL\n"
    "BQAwHTEbMBkGA1UEAwwSUHJhY3RpY2UgYXV0aG9yaXR5MCAXDTI2MTEyNTE5MTk0\n"
    "MFoYDzIxMjYxMTAxMTkxOTQwWjAdMRswGQYDVQQDDBJQcmFjdGljZSBhdXRob3Jp\n"
    "dHkwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDdAQiR4rzwCPkAVkH+\n"
    "AnVJiq3GUDMc5uT5im5t1xj2pImk5J66h6oMNOTN+7oYsiKN0XBQm6LUoU1zfllw\n"
    "HGwIpy1DBM9RcSYTWX1yZZ0O2J8JHfpP1Y8RzWskLgJNRZXn3syhR2dGhXBfcTvp\n"
    "ZZ8+DBKdzwS/fqHVK5fQHTJa1P8ybGXRWbymuClGNIgFsJW8Ca6wt65B1UdKin9e\n"
    "S0KC49Yp9J4IzLhrTikoAOnaraR+/NUWgBJFXOz28zb4AmEHgAAxdgQ54V9h9eaP\n"
    "yrdWOKmU5Oo6LgG4p/z/bnrmlbpLRv6MFIBKVyUKr2m6/zQelHs5k6Oyts/TaGVQ\n"
    "HY3vAgMBAAGjUzBRMB0GA1UdDgQWBBR1/wpH3SsIZuwdKVa5CebDOCXWADAfBgNV\n"
    "HSMEGDAWgBR1/wpH3SsIZuwdKVa5CebDOCXWADAPBgNVHRMBAf8EBTADAQH/MA0G\n"
    "CSqGSIb3DQEBCwUAA4IBAQBh2T+uWl16zRO1oMEVlcRF+PCuJ3BUExLBmjcwDxGs\n"
    "xGxHwHWWx1Ys6lHDEuyu4unH6gmYFJre5jVYShgsDc9J4aOTfO7qEwqXgGozFpW7\n"
    "oeTmHBMyLbatyaA4TriQDcqF2a5uY+pEzxr+b1oF4gwF1BbaGPZyiI5Z+EZqFJpK\n"
    "BiYcxlROEx9VK/F1PyLTVjI4vmlog1DWCk9477XIV9MoO2TGDti5wGY9e9ojw5lg\n"
    "eA8rMyOFOK6J8pJnKy8pKAx/MoU6kF5s2/H5IQljWp1IS+2FUPJ65YHbrvMRuOjD\n"
    "OemJosOLUz4fsSQBbc8aAS+AONrwINMZAxjZH3jpfcM5\n"
    "-----END CERTIFICATE-----\n";
static const char leaf_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIC4TCCAckCFBiEZMvKJ5D8ce1F/EjPA7PDI4BqMA0GCSqGSIb3DQEBCwUAMB0x\n"
    "GzAZBgNVBAMMElByYWN0aWNlIGF1dGhvcml0eTAgFw0yNjExMjUxOTE5NDFaGA8y\n"
    "MTI2MTEwMTE5MTk0MVowOzELMAkGA1UEBhMCVVMxLDAqBgNVBAMMI21lc3NhZ2V2\n"
    "ZXJpZmljYXRpb25jZXJ0cy5wYXlwYWwuY29tMIIBIjANBgkqhkiG9w0BAQEFAAOC\n"
    "AQ8AMIIBCgKCAQEAmH3rGPp4f/whcFV4i72Ym8Rf2fKQYsZwJjP1l6nufASw8N4I\n"
    "ONubpQ5xzdTRal1AvDDd/r7yH6EnID7Q7+Nh/vnogIDEE59jySZBhbLpWkZMcfjO\n"
    "RzBwEN55l/ievLLCrNqZyyJnvCwUa5pMHMGoiAmpWtmgqOJs7Huk65kBQHGTsIsf\n"
    "6EFC0oDMzjd+Stl1zgLOF9vJf/wAW0okiQQSpMsC1Kp1YxJXOtWYEc5dOisVEq1Q\n"
    "Txs/D6HDn1vZzjcRMN3vRIG0wAh+HBKlSTU1PerfPzQ60qASWJyigWxAqyxTc0PR\n"
    "e2SqgXSvltR4WspeMa97yRWHo4zEZN92tKJF4QIDAQABMA0GCSqGSIb3DQEBCwUA\n"
    "A4IBAQBlj7iBf4eoxwMGiYCoqvlCtX1nOt3RGGJn0DXNw1K7hGv/vFTa1hKTuedh\n"
    "o7wEjtX5CewI01ueEqocHXyClspuALUZYmJPus87LAeMj4iwybmoRPIpr04wfPJd\n"
    "YH1scKD1dCWUuPqSJqEILScuKIwrgecD7l9iAKDMmOYjnucOSRGGjhgC1rMSus4t\n"
    "dKrFLgg6i9UBkkwCagU7VSh/dBoszM2feh+rrNP0jFK1NtEbXvJHWmVY8R09Nd8/\n"
    "NYmnF7F47pyV3IysCjHB3Rbq/lGlNRqzREbpYlvLC792uvK9IypHoa+AnfSO4aa3\n"
    "6d/tFxPCM3/CeNpelVzzhG2nNLNY\n"
    "-----END CERTIFICATE-----\n";
static const char other_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIC3jCCAcYCFBiEZMvKJ5D8ce1F/EjPA7PDI4BrMA0GCSqGSIb3DQEBCwUAMB0x\n"
    "GzAZBgNVBAMMElByYWN0aWNlIGF1dGhvcml0eTAgFw0yNjExMjUxOTE5NDJaGA8y\n"
    "MTI2MTEwMTE5MTk0MlowODE2MDQGA1UEAwwtbWVzc2FnZXZlcmlmaWNhdGlvbmNl\n"
    "cnRzLnBheXBhbC5jb20uZXZpbC50ZXN0MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n"
    "MIIBCgKCAQEA+ZYLrdOXdzzBjgqTiJdQcGNIkYdLu5Mp34YzizYy7etwebj6zMfj\n"
    "25G7QTGuOtOe+vG/aQ65exq+86696VRps28hAX37Nh0n4LG1dyYS0/C9nmfXAvHR\n"
    "6kRSejOXiM1SGejZ1Ne0IO1YeIBdygK5h/i+CZln5ZRAXJ5olpWIO6UoBbmO61Fs\n"
    "7/rFeRlxNZjGaJ8fmkvmX8mwsg8pkWB5tGIHTDsjY/MFWiq9eHXjVPRrYrP9+3l+\n"
    "+3h7EDnPVcqGWjZSS/m6Jci3cHB/A6vRVw3aTIGkobl5eqLrl3uEBytvXt7qXPF9\n"
    "22PkQtoSB3qEdDu208uyQFolTZsvdGEs1wIDAQABMA0GCSqGSIb3DQEBCwUAA4IB\n"
    "AQB1m42P4xB+XIWdckOJb817p/dK5MFBwsxrvfl/sUr3D+r+B5yGANHo+2xQ6Mjj\n"
    "lzyKIpR44cBX8sMe2k4bwVAURQ+mYcQSX/xhailPEq9L1TvIs90qUEj/GIN/VwdT\n"
    "uh4YbNRA/hNpZGqK1rSTcK2vJ24dfXwM6WBAPuExjS2W+yyolJAya2hdsDqDz6He\n"
    "nzoDxDrWRKTxYO+DEpWaV75qX4iWBnbW6y7PbyoGSd2n060Xy7+5j8P9H0Oy+Wup\n"
    "KdIsaQzWnCmU7b+9b7vj3eZNvCjh8UaJM3G24nuyzKbph8YIrs9Tg2kprFfTPe0e\n"
    "tsgdPYnhd+AGlqeo9Y9RCc/j\n"
    "-----END CERTIFICATE-----\n";
static const char small_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIICOTCCASECFBiEZMvKJ5D8ce1F/EjPA7PDI4BsMA0GCSqGSIb3DQEBCwUAMB0x\n"
    "GzAZBgNVBAMMElByYWN0aWNlIGF1dGhvcml0eTAgFw0yNjExMjUxOTE5NDJaGA8y\n"
    "MTI2MTEwMTE5MTk0MlowFzEVMBMGA1UEAwwMeC5wYXlwYWwuY29tMIGfMA0GCSqG\n"
    "SIb3DQEBAQUAA4GNADCBiQKBgQDFC9axgUj9oSHaqt88ZSMNJskhRkdWIkRbYvag\n"
    "1Yc1vIdsdBKqIMHnXFdeV6KHHukwt9juguhfAqobr4Y7yLTiClo3a7QHSr28Y3lO\n"
    "Mp5HhxNowt3c+x4EsvkRUifswldnbgLQFAzv3S7LRIBXTZIBY0cu6lhN6GWz22Dx\n"
    "QQbDNwIDAQABMA0GCSqGSIb3DQEBCwUAA4IBAQB5kel3zguxx2P4CZ013bbUYJbM\n"
    "cp/jfridcHcclTUnBsrRSJWDRoKEXWqz03wpqQLeDXGy/3EqZMT1GUBf0ASIt/9J\n"
    "hdSg7e1/LE9DJ0B+hDnOfc5obUkbcTwzL0et6o1DCTWJukiObS4n3eO/V6mqvYqm\n"
    "y7B+29INSfiayFBnpEmOEP2dwqOvxW2Mzu171Em9sq8MM9GMqxiD/uAFldHzz+bg\n"
    "kjm3DlC5SbJ8DH9U2C0U98jZs5pmvsuYB0uJnSOQxy8dNgOjGvr5A0wtUeSU8aOJ\n"
    "pzNG9LZ6Ks7atHfp/FcrMDmZOXEDdVOv+CSDtv+RCXAET0Sn6+419uTF34jF\n"
    "-----END CERTIFICATE-----\n";
static const char paypal_signature[] =
    "BEt1BfdTnpfrNF6GPK0bllko8a6igsB12UTxUTFifyChZoxS5BDuYNBWrV0C0NVZRHiJrA"
    "2V44kjcRqeiinMVfx5BLQMzfojQ6r/i/1nLMVbjkEMmay7XQ9jrBCkc0r5nJE3653Mwgm9"
    "A9dSqBcrxBPoOU0ncU5flbzRfx7YdKrT+5dxLl/nOCf6gW7Y+lyZer7GxPf7uWUouPsG0v"
    "NmW0LOnTg+pnXjDNNymDaz5b/ZL9YMfQYX4NDG+3UzNNYZmJHqP3SO6R4DIgjZgD2AgJN2"
    "15dy1LYfqyte0f9sYs4WD9/YI+jHg9hxiEfhLIBi6BGzl9b71L8CCIN3AFIXPA==";
static const char paypal_other_signature[] =
    "DdTCwIFmSWAciz5adI6gA0wlvQtzM0AATgzbbIwn1tRRpSlsLAhC3axNQOAhilhUf7RS+p"
    "7PTyVFOJ1YDAeGZgme6yYcr81NdkW4prkRFlgWpl148bXXZYloEqJyfuNRwkohgI5MKAB4"
    "0sVe+DUpdrpCYXnvBHEclYUnllWN+4Icyi1lgn4zs0iJ2rlasgXfVchlqbyMBok/SmH2WM"
    "UKBcGuK9Ct1PAFS7Z5bfflwaAJFNywBoYdl0BHls6JozajGBaZRAV3mPb+6MR5Bb3SPZAp"
    "LLBUce6Fah4gCKEqkeZVJcecOGNXp49QE1HffYHln1iw7PBQJe1E8LVjin8xrg==";
static const char paypal_sha1_signature[] =
    "BPbYpIQScFUqEI18f2p2f5Yshhv+znGi6w38nKgvHu1wwIpzO86LtDv2H/8PeXTUx1IUXP"
    "C+yX3NiBotmgoI6VONf+UpeE5giZz94Mup/SkMbRXZMLF5ioNRDa4ruRiIYAKM8m18A3Yj"
    "oepAme+ob9WWFKhRFFmWfAYunxW/gyXB0k2yUNhyIncY9u3Tkd0oB69O1FgkFv4rFykDSv"
    "U1GrSXqfX8olScl1p5ZmgSb67Fgj2LaFwYxCgXYznBM4d9osEuK0fILgqotZH7uzlVPX1c"
    "TTYqKT784y19HtUYmeVY3bP7fHb73QPgS+zlBu0KiUYVfNrcnsb+AIm/xaLbsw==";
#define SNS_V1                                                                           \
    "J29b5qTIzfopKb6Qcsk9/Fp2EvkVrttPDangYFGIa/wfY6R2n7ICN8yLu/+8"                       \
    "wg25c8/KV9rONIEo9ttitiM/tG2s+SDzz8SyP0b4d1m/Vjo33zIS+5R9oBUS"                       \
    "L4z8Cnc1yo2VIf1tCaa43t+8vSBgWrtunHuTXuV5nToMgwOLXtrUVVt1n60b"                       \
    "4VtuwkcqF7rt2Ktty6wUNDqeJIbpEyIdQzLA85qK+itzc3T9rx5aSsISyDg+"                       \
    "YU0k597tBznSBCfaNUoF+V1Z/k9kEoygNE1ZyML2bSfitMSSJEPElmll2o84"                       \
    "QVxvk/7t0EnfAcgGNuVI5EVPlpbbg0DoZ0yVTjUu3A=="
#define SNS_V2                                                                           \
    "GrzMzgbs1zcGfdST9tPRAPGcQHPKbbwXtzfgyA6IY9x/ajBC8VppfBR6npQY"                       \
    "+Zp2kXkFJFA+PONuv4eXeJu6lHFuPuhvKkO9I//r+b5VUmN6Hf9GvTH52sDQ"                       \
    "NAjnVpUuBBVcWGQWF/Q2Mwg8pkwCYBCdmtryd0dDRKr4vBLErATpZ3dviWZj"                       \
    "f+VRx/EVZDwDB/MdAMAfUlWwgOtWpmQx/zTo4jpoCPUMzL/kbcj3AfaDiqky"                       \
    "WgV5MWfrQdGzgcQyR+lbm0EjE0El+slYIW9hPMwpKkbel5YxwVHnOflOcZ3d"                       \
    "tSPcKq0TnNammmb2pjwoY1/zJGdWyQtmvKVh6BQHrQ=="
#define SNS_PLAIN                                                                        \
    "P1gbpj6itf9qAR39Yf+9rqbW+3K7q7abx8lxRaC/fwuBYEihaUvnvO9+00PN"                       \
    "9NUpF4R3n6MhFDGk6y0/bJrJse7vHbkJfUFWGTAGXXnfgenuBKqH86CJEOxu"                       \
    "VyNYq4MUeXVFRU36ueANLUGpm3FXu4yZErBMUgDXlSdAF7U5OmZcpCuNAXia"                       \
    "DvIZv/bzafnH1ma8jEaI5l85vuJjgI4swrvJSYfr+ztaWZqi2fNHsMxiMz+T"                       \
    "OjwTvQHTHrg8fR1OZ08pcYTWNtcsi1XUqjNrrdEoZhveqAJzWiaFzZdlnDcQ"                       \
    "r24R+mtpBZoZrX4j3pRaBcrayJ66eqxpNV0ybpIdxg=="
#define SNS_ASKS                                                                         \
    "aeZgkIX1iVP6I41/2gHrw1GWnEyBB70TwThowTaZdbU+Y1vwHA6iZ1mLqNza"                       \
    "QBWg3G37r8E13SDybE99RAuc039mM7oIO9myEwXOTmOLNhVQt5M0uGzfkBOH"                       \
    "2x9tROE/uaE0HlhHr/ukKJTwssYXWU+BRmsyLxncrE1179mnzK66rUfqCFlM"                       \
    "jl796QaHlt4D3WupxImS5eMwGUYncuNtGSHQ3zY7z9K4IZuw83AuIVvkpkZb"                       \
    "4+vdH8xw54kPHs38z8Ae/p+SM2rCbLmH5qRHb+LjLmbxMcexiWrrqWo1t+6O"                       \
    "iMYONxk1XXbwphgUALF/lV/wa/O3ez0D/1Y9tn7IGg=="

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WEBHOOK      "1JE4291016473214C"
#define TOPIC        "arn:aws:sns:us-west-2:123456789012:MyTopic"
#define PAYPAL_URL   "https://api.paypal.com/v1/notifications/certs/CERT-360caa42"
#define SNS_URL      "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3e.pem"
#define PAYPAL_BODY  "{\"id\":\"WH-1\",\"event_type\":\"PAYMENT.CAPTURE.COMPLETED\"}"

/* --- certificates --- */

static bool key_of(const char *pem, const struct crypto_trust *trust, struct buf *ret_key)
{
    char why[160] = "";
    uint64_t until_us = 0;
    bool good = crypto_certificate_key(pem, strlen(pem), trust, ret_key, &until_us, why,
                                       sizeof(why));
    assert_int_equal(good, *why == '\0');
    assert_int_equal(good, until_us > trust->now_us);
    return good;
}

static void the_certificate_must_be_what_is_asked_for(void **state)
{
    (void)state;
    const struct {
        const char *claim, *pem, *suffix;
        uint64_t now_s;
        bool is_good;
    } cases[] = {
        {"the leaf of the provider", leaf_pem, ".paypal.com", NOW, true},
        {"another's name that begins like it", other_pem, ".paypal.com", NOW, false},
        {"another's name where none is asked for", other_pem, NULL, NOW, true},
        {"before its time", leaf_pem, ".paypal.com", 1700000000, false},
        {"after its time", leaf_pem, ".paypal.com", 5000000000, false},
        {"a key of 1024 bits", small_pem, ".paypal.com", NOW, false},
        {"no certificate", "-----BEGIN CERTIFICATE-----\n", NULL, NOW, false},
        {"nothing", "", NULL, NOW, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct crypto_trust trust = {.name_suffix = cases[i].suffix,
                                           .now_us = cases[i].now_s * 1000000};
        struct buf key = {0};
        if (key_of(cases[i].pem, &trust, &key) != cases[i].is_good)
            fail_msg("%s", cases[i].claim);
        buf_fini(&key);
    }
}

static void a_chain_ends_at_a_trusted_authority(void **state)
{
    (void)state;
    char path[] = "/tmp/signalbox-ca-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, ca_pem, strlen(ca_pem)), strlen(ca_pem));
    close(fd);
    struct crypto_trust trust = {
        .needs_chain = true, .ca_file = path, .now_us = NOW * 1000000};
    struct buf key = {0};
    assert_true(key_of(leaf_pem, &trust, &key));
    trust.now_us = UINT64_C(1700000000000000);
    assert_false(key_of(leaf_pem, &trust, &key));
    trust.now_us = NOW * 1000000;
    trust.ca_file = NULL; /* the system's: they know nothing of it */
    assert_false(key_of(leaf_pem, &trust, &key));
    trust.ca_file = "/nowhere";
    assert_false(key_of(leaf_pem, &trust, &key));
    unlink(path);
    buf_fini(&key);
}

static void addresses_are_the_providers_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool of_paypal, of_sns;
    } cases[] = {
        {PAYPAL_URL, true, false},
        {"https://api.sandbox.paypal.com/v1/notifications/certs/C", true, false},
        {"https://paypal.com.evil.test/c", false, false},
        {"https://evilpaypal.com/c", false, false},
        {"https://.paypal.com/c", false, false},
        {"https://evil.test/.paypal.com/c", false, false},
        {"https://evil.test?.paypal.com/c", false, false},
        {"https://evil.test#.paypal.com/c", false, false},
        {"https://api.paypal.com@evil.test/c", false, false},
        {"https://u:p@api.paypal.com/c", false, false},
        {"https://api.paypal.com:8443/c", false, false},
        {"https://evil.test\\.paypal.com/c", false, false},
        {"https://api.paypal.com", false, false},
        {"http://api.paypal.com/c", false, false},
        {"HTTPS://api.paypal.com/c", false, false},
        {"https://API.paypal.com/c", false, false},
        {"https://api.paypal.com/c d", false, false},
        {"https://api.paypal.com/c\nd", false, false},
        {"", false, false},
        {SNS_URL, false, true},
        {"https://sns.cn-north-1.amazonaws.com.cn/x.pem", false, true},
        {"https://sns.us-west-2.amazonaws.com/x.crt", false, false},
        {"https://sns.us-west-2.amazonaws.com/x?.pem", false, false},
        {"https://sns.us.amazonaws.com/x.pem", false, false},
        {"https://sns.us-west-2.amazonaws.com.evil.test/x.pem", false, false},
        {"https://sns.us-west-2.evil.amazonaws.com/x.pem", false, false},
        {"https://snsXus-west-2.amazonaws.com/x.pem", false, false},
        {"https://s3.amazonaws.com/sns.us-west-2.amazonaws.com/x.pem", false, false},
        {"http://sns.us-west-2.amazonaws.com/x.pem", false, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (certificate_url_fits(CERTIFICATE_PAYPAL, cases[i].url) !=
                cases[i].of_paypal ||
            certificate_url_fits(CERTIFICATE_SNS, cases[i].url) != cases[i].of_sns)
            fail_msg("%s", cases[i].url);
}

/* --- verifying --- */

static enum scheme_result verify(const char *scheme, const char *secret,
                                 const char *certificate, struct scheme_input input,
                                 uint64_t now_s)
{
    const struct scheme *row = scheme_find(scheme);
    const struct crypto_trust trust = {.now_us = NOW * 1000000};
    struct scheme_key key;
    struct scheme_verdict verdict;
    struct buf public_key = {0};
    assert_true(scheme_key_init(&key, row, secret));
    if (certificate) {
        assert_true(key_of(certificate, &trust, &public_key));
        input.certificate = public_key.bytes;
        input.certificate_len = public_key.len;
    }
    scheme_verify(row, &key, 1, 0, now_s, &input, &verdict);
    scheme_key_fini(&key);
    buf_fini(&public_key);
    return verdict.result;
}

static const struct scheme_input paypal = {
    .signature = paypal_signature,
    .time = TIME,
    .id = "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
    .certificate_url = PAYPAL_URL,
    .algorithm = "SHA256withRSA",
    .body = PAYPAL_BODY,
    .body_len = sizeof(PAYPAL_BODY) - 1,
};

static void paypals_signature_covers_id_time_webhook_and_crc(void **state)
{
    (void)state;
    assert_int_equal(verify("paypal", WEBHOOK, leaf_pem, paypal, NOW), SCHEME_OK);
    assert_int_equal(verify("paypal", "1JE4291016473214D", leaf_pem, paypal, NOW),
                     SCHEME_MISMATCH);
    assert_int_equal(verify("paypal", WEBHOOK, other_pem, paypal, NOW), SCHEME_MISMATCH);
    assert_int_equal(verify("paypal", WEBHOOK, NULL, paypal, NOW), SCHEME_CERTIFICATE);
    assert_int_equal(verify("paypal", WEBHOOK, leaf_pem, paypal, NOW + 4 * 86400 + 1),
                     SCHEME_STALE);
    static const struct {
        size_t offset; /* of a text of the input */
        const char *value;
    } twins[] = {
#define TWIN(member, value) {offsetof(struct scheme_input, member), value}
        TWIN(signature, NULL),
        TWIN(signature, ""),
        TWIN(signature, "AAAA"),
        TWIN(signature, paypal_other_signature),
        TWIN(signature, paypal_sha1_signature),
        TWIN(time, NULL),
        TWIN(time, ""),
        TWIN(time, "1800000000"),
        TWIN(time, "2027-01-15T08:00:01Z"),
        TWIN(id, NULL),
        TWIN(id, "69cd13f0-d67a-11e5-baa3-778b53f4ae56"),
        TWIN(certificate_url, NULL),
        TWIN(certificate_url, "https://evil.test/cert"),
        TWIN(algorithm, NULL),
        TWIN(algorithm, "SHA1withRSA"),
        TWIN(algorithm, "sha256withrsa"),
        TWIN(body, "{\"id\":\"WH-2\",\"event_type\":\"PAYMENT.CAPTURE.COMPLETED\"}"),
#undef TWIN
    };
    for (size_t i = 0; i < COUNT(twins); i++) {
        struct scheme_input twin = paypal;
        memcpy((char *)&twin + twins[i].offset, &twins[i].value, sizeof(twins[i].value));
        if (verify("paypal", WEBHOOK, leaf_pem, twin, NOW) == SCHEME_OK)
            fail_msg("twin %zu is accepted", i);
    }
    struct scheme_input twin = paypal;
    twin.repeats = 1;
    assert_int_equal(verify("paypal", WEBHOOK, leaf_pem, twin, NOW), SCHEME_REPEATED);
    twin = paypal;
    twin.body_len--;
    assert_int_equal(verify("paypal", WEBHOOK, leaf_pem, twin, NOW), SCHEME_MISMATCH);
}

/* A CRC tells bodies apart that differ by a bit, wherever it is. */
static void no_flipped_bit_of_paypals_is_accepted(void **state)
{
    (void)state;
    char body[] = PAYPAL_BODY, signature[sizeof(paypal_signature)];
    struct scheme_input input = paypal;
    input.body = body;
    for (size_t bit = 0; bit < input.body_len * 8; bit++) {
        body[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(verify("paypal", WEBHOOK, leaf_pem, input, NOW), SCHEME_OK);
        body[bit / 8] ^= (char)(1 << bit % 8);
    }
    memcpy(signature, paypal_signature, sizeof(signature));
    input.signature = signature;
    for (size_t bit = 0; bit < (sizeof(signature) - 1) * 8; bit++) {
        signature[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(verify("paypal", WEBHOOK, leaf_pem, input, NOW), SCHEME_OK);
        signature[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_int_equal(verify("paypal", WEBHOOK, leaf_pem, input, NOW), SCHEME_OK);
}

#define SNS(version, signature, fields)                                                  \
    "{\"SignatureVersion\":\"" version "\",\"SigningCertURL\":\"" SNS_URL                \
    "\",\"Signature\":\"" signature "\"," fields "}"
#define ID_TIME_TOPIC(id)                                                                \
    "\"MessageId\":\"" id "\",\"Timestamp\":\"" SNS_TIME "\",\"TopicArn\":\"" TOPIC "\""
#define NOTIFICATION(message)                                                            \
    "\"Type\":\"Notification\",\"Message\":\"" message "\","                             \
    "\"Subject\":\"My First Message\"," ID_TIME_TOPIC("22b80b92")
#define HELLO "Hello \\\"you\\\""

static enum scheme_result verify_sns(const char *body, const char *topic, uint64_t now_s)
{
    return verify("sns", topic, leaf_pem,
                  (struct scheme_input){.body = body, .body_len = strlen(body)}, now_s);
}

static void snss_signature_covers_its_fields(void **state)
{
    (void)state;
    static const struct {
        const char *claim, *body, *topic;
        uint64_t now_s;
        enum scheme_result result;
    } cases[] = {
        {"version 1", SNS("1", SNS_V1, NOTIFICATION(HELLO)), TOPIC, NOW, SCHEME_OK},
        {"version 2", SNS("2", SNS_V2, NOTIFICATION(HELLO)), TOPIC, NOW, SCHEME_OK},
        {"a signature of version 2 said to be of 1",
         SNS("1", SNS_V2, NOTIFICATION(HELLO)), TOPIC, NOW, SCHEME_MISMATCH},
        {"a signature of version 1 said to be of 2",
         SNS("2", SNS_V1, NOTIFICATION(HELLO)), TOPIC, NOW, SCHEME_MISMATCH},
        {"another version", SNS("3", SNS_V2, NOTIFICATION(HELLO)), TOPIC, NOW,
         SCHEME_MALFORMED},
        {"another topic than the secret says", SNS("2", SNS_V2, NOTIFICATION(HELLO)),
         TOPIC "2", NOW, SCHEME_MISMATCH},
        {"another message", SNS("2", SNS_V2, NOTIFICATION("Hello")), TOPIC, NOW,
         SCHEME_MISMATCH},
        {"no subject",
         SNS("2", SNS_PLAIN,
             "\"Type\":\"Notification\",\"Message\":\"" HELLO
             "\"," ID_TIME_TOPIC("22b80b92")),
         TOPIC, NOW, SCHEME_OK},
        {"the subject left out",
         SNS("2", SNS_V2,
             "\"Type\":\"Notification\",\"Message\":\"" HELLO
             "\"," ID_TIME_TOPIC("22b80b92")),
         TOPIC, NOW, SCHEME_MISMATCH},
        {"a day old", SNS("2", SNS_V2, NOTIFICATION(HELLO)), TOPIC, NOW + 86401,
         SCHEME_STALE},
        {"a question",
         SNS("2", SNS_ASKS,
             "\"Type\":\"SubscriptionConfirmation\",\"Message\":\"You have chosen\","
             "\"Token\":\"23\",\"SubscribeURL\":\"https://sns.us-west-2.amazonaws.com/"
             "?Action=ConfirmSubscription&Token=23\","
             "\"MessageId\":\"165545c9\",\"Timestamp\":\"" TIME "\",\"TopicArn\":\"" TOPIC
             "\""),
         TOPIC, NOW, SCHEME_OK},
        {"a question with another address",
         SNS("2", SNS_ASKS,
             "\"Type\":\"SubscriptionConfirmation\",\"Message\":\"You have chosen\","
             "\"Token\":\"23\",\"SubscribeURL\":\"https://sns.us-west-2.amazonaws.com/"
             "?Action=ConfirmSubscription&Token=24\","
             "\"MessageId\":\"165545c9\",\"Timestamp\":\"" TIME "\",\"TopicArn\":\"" TOPIC
             "\""),
         TOPIC, NOW, SCHEME_MISMATCH},
        {"a type that nobody signs",
         SNS("2", SNS_V2, "\"Type\":\"Other\"," ID_TIME_TOPIC("1")), TOPIC, NOW,
         SCHEME_BODY},
        {"no message, which must be there",
         SNS("2", SNS_V2, "\"Type\":\"Notification\"," ID_TIME_TOPIC("22b80b92")), TOPIC,
         NOW, SCHEME_BODY},
        {"no topic", SNS("2", SNS_V2, "\"Type\":\"Notification\""), TOPIC, NOW,
         SCHEME_BODY},
        {"a certificate at another's address",
         "{\"SignatureVersion\":\"2\",\"SigningCertURL\":\"https://evil.test/x.pem\","
         "\"Signature\":\"" SNS_V2 "\"," NOTIFICATION(HELLO) "}",
         TOPIC, NOW, SCHEME_FOREIGN},
        {"the topic twice",
         SNS("2", SNS_V2, NOTIFICATION(HELLO) ",\"TopicArn\":\"" TOPIC "\""), TOPIC, NOW,
         SCHEME_BODY},
        {"no JSON", "Type=Notification", TOPIC, NOW, SCHEME_BODY},
        {"a list", "[]", TOPIC, NOW, SCHEME_BODY},
        {"nothing", "", TOPIC, NOW, SCHEME_BODY},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum scheme_result result =
            verify_sns(cases[i].body, cases[i].topic, cases[i].now_s);
        if (result != cases[i].result)
            fail_msg("%s: %d", cases[i].claim, (int)result);
    }
}

static void no_flipped_bit_of_an_sns_message_changes_what_is_taken(void **state)
{
    (void)state;
    char body[] = SNS("2", SNS_V2, NOTIFICATION(HELLO));
    const size_t n = sizeof(body) - 1;
    size_t taken = 0;
    for (size_t bit = 0; bit < n * 8; bit++) {
        body[bit / 8] ^= (char)(1 << bit % 8);
        struct scheme_input input = {.body = body, .body_len = n};
        taken += verify("sns", TOPIC, leaf_pem, input, NOW) == SCHEME_OK;
        body[bit / 8] ^= (char)(1 << bit % 8);
    }
    /* The address of the certificate is not signed; what is at it must fit all the same.
     */
    assert_in_range(taken, 0, 8 * strlen("us-west-2SimpleNotificationService-f3e"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_certificate_must_be_what_is_asked_for),
        cmocka_unit_test(a_chain_ends_at_a_trusted_authority),
        cmocka_unit_test(addresses_are_the_providers_or_not),
        cmocka_unit_test(paypals_signature_covers_id_time_webhook_and_crc),
        cmocka_unit_test(no_flipped_bit_of_paypals_is_accepted),
        cmocka_unit_test(snss_signature_covers_its_fields),
        cmocka_unit_test(no_flipped_bit_of_an_sns_message_changes_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
