/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/config/tables.h"

/* How one type is read, shown and described. `read` stores nothing when it says no. */
struct type {
    const char *expected;
    bool (*read)(const struct field *, const char *text, const struct value_places *,
                 void *base);
    void (*show)(const struct field *, const void *base, struct buf *out);
    bool is_text; /* owns a char * at offset */
};
static const struct type types[FIELD_TYPE_COUNT];

static void *place(const struct field *field, void *base)
{
    return (char *)base + field->offset;
}

static const void *look(const struct field *field, const void *base)
{
    return (const char *)base + field->offset;
}

static bool set_text(const struct field *field, void *base, char *text)
{
    char **at = place(field, base);

    free(*at);
    *at = text;
    return true;
}

static bool is_in_bounds(const struct field *field, uint64_t value)
{
    return value >= field->min && (!field->max || value <= field->max);
}

/* --- texts --- */

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return false;
    return true;
}

static bool read_text(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    (void)places;
    return *text && strlen(text) <= 1000 && is_one_line(text) &&
           set_text(field, base, mem_text(text));
}

static bool read_name(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    (void)places;
    return text_is_name(text) && set_text(field, base, mem_text(text));
}

static bool read_choice(const struct field *field, const char *text,
                        const struct value_places *places, void *base)
{
    (void)places;
    for (const char *const *choice = field->choices; *choice; choice++)
        if (strcmp(*choice, text) == 0)
            return set_text(field, base, mem_text(text));
    return false;
}

/* An absolute form of `path`: "./" and "<data>/" replaced. */
static char *absolute(const char *path, const struct value_places *places)
{
    if (strncmp(path, "<data>/", 7) == 0)
        return mem_format("%s/%s", places->data, path + 7);
    if (strncmp(path, "<here>/", 7) == 0)
        path += 7;
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (*path == '/')
        return mem_text(path);
    if (!*path || strcmp(path, ".") == 0)
        return mem_text(places->here);
    return mem_format("%s/%s", strcmp(places->here, "/") == 0 ? "" : places->here, path);
}

static bool read_path(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    if (!*text || strlen(text) > 1000 || !is_one_line(text))
        return false;
    char *path = absolute(text, places);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    return set_text(field, base, path);
}

/* The host of a URL that has a scheme we speak, without user, query and fragment; NULL
 * otherwise. */
/* What stands behind one of the schemes; NULL when it is none of them. */
static const char *behind(const char *text, const char *const *schemes)
{
    for (; *schemes; schemes++)
        if (strncmp(text, *schemes, strlen(*schemes)) == 0)
            return text + strlen(*schemes);
    return NULL;
}

static bool is_url(const char *text, const char *const *schemes)
{
    const char *host = behind(text, schemes);

    if (!host || !isalnum((unsigned char)*host))
        if (!host || *host != '[')
            return false;
    for (; *host; host++)
        if (!isalnum((unsigned char)*host) && !strchr("-._~:/[]%", *host))
            return false;
    return true;
}

static bool set_url(const struct field *field, const char *text,
                    const char *const *schemes, void *base)
{
    if (!is_url(text, schemes) || strlen(text) > 1000)
        return false;
    char *url = mem_text(text);
    for (size_t n = strlen(url); n && url[n - 1] == '/'; n--)
        url[n - 1] = 0;
    return set_text(field, base, url);
}

static bool read_url(const struct field *field, const char *text,
                     const struct value_places *places, void *base)
{
    static const char *const schemes[] = {"https://", "http://", NULL};

    (void)places;
    return set_url(field, text, schemes, base);
}

static bool read_service_url(const struct field *field, const char *text,
                             const struct value_places *places, void *base)
{
    static const char *const schemes[] = {"https://", "http://", "smtps://", "smtp://",
                                          NULL};

    (void)places;
    return set_url(field, text, schemes, base);
}

static void show_text(const struct field *field, const void *base, struct buf *out)
{
    const char *text = *(char *const *)look(field, base);

    if (text)
        buf_text(out, text);
}

/* --- numbers --- */

static bool read_enum(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    (void)places;
    for (int i = 0; field->choices[i]; i++)
        if (strcmp(field->choices[i], text) == 0) {
            memcpy(place(field, base), &i, sizeof(i));
            return true;
        }
    return false;
}

static void show_enum(const struct field *field, const void *base, struct buf *out)
{
    int i;

    memcpy(&i, look(field, base), sizeof(i));
    buf_text(out, field->choices[i]);
}

static bool read_bool(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    bool is_true = strcmp(text, "true") == 0;

    (void)places;
    if (!is_true && strcmp(text, "false") != 0)
        return false;
    *(bool *)place(field, base) = is_true;
    return true;
}

static void show_bool(const struct field *field, const void *base, struct buf *out)
{
    buf_text(out, *(const bool *)look(field, base) ? "true" : "false");
}

/* Digits only: no sign, no space, no 0x. */
static bool parse_count(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (!*text)
        return false;
    for (; isdigit((unsigned char)*text); text++) {
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    if (*text)
        return false;
    *ret = value;
    return true;
}

static bool read_count(const struct field *field, const char *text,
                       const struct value_places *places, void *base)
{
    uint64_t value;

    (void)places;
    if (!parse_count(text, UINT32_MAX, &value) || !is_in_bounds(field, value))
        return false;
    *(uint32_t *)place(field, base) = (uint32_t)value;
    return true;
}

static void show_count(const struct field *field, const void *base, struct buf *out)
{
    buf_format(out, "%" PRIu32, *(const uint32_t *)look(field, base));
}

static bool read_size(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    uint64_t value;

    (void)places;
    if (!text_parse_size(text, &value) || !is_in_bounds(field, value))
        return false;
    *(uint64_t *)place(field, base) = value;
    return true;
}

static void size_text(uint64_t value, struct buf *out)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;

    for (; unit < 4 && value && value % 1024 == 0; unit++)
        value /= 1024;
    buf_format(out, "%" PRIu64 "%s", value, units[unit]);
}

static void show_size(const struct field *field, const void *base, struct buf *out)
{
    size_text(*(const uint64_t *)look(field, base), out);
}

static bool read_duration(const struct field *field, const char *text,
                          const struct value_places *places, void *base)
{
    uint64_t value;

    (void)places;
    if (!text_parse_duration(text, &value) || !is_in_bounds(field, value))
        return false;
    *(uint64_t *)place(field, base) = value;
    return true;
}

static void duration_text(uint64_t us, struct buf *out)
{
    char text[32];

    text_duration(us, text, sizeof(text));
    buf_text(out, text);
}

static void show_duration(const struct field *field, const void *base, struct buf *out)
{
    duration_text(*(const uint64_t *)look(field, base), out);
}

static const struct {
    char unit;
    double seconds;
} rates[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};

static bool read_rate(const struct field *field, const char *text,
                      const struct value_places *places, void *base)
{
    double *rate = place(field, base);
    uint64_t count;
    char digits[16];
    const char *slash = strchr(text, '/');

    (void)places;
    if (strcmp(text, "0") == 0) {
        *rate = 0;
        return true;
    }
    if (!slash || slash - text > 15 || !slash[1] || slash[2])
        return false;
    snprintf(digits, sizeof(digits), "%.*s", (int)(slash - text), text);
    if (!parse_count(digits, 1000000000, &count) || !count)
        return false;
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
        if (rates[i].unit == slash[1]) {
            *rate = (double)count / rates[i].seconds;
            return true;
        }
    return false;
}

static void show_rate(const struct field *field, const void *base, struct buf *out)
{
    double rate = *(const double *)look(field, base);

    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        double count = rate * rates[i].seconds, whole = (double)(uint64_t)(count + 0.5);
        if (rate > 0 && count > 0.5 && count - whole < 1e-6 && whole - count < 1e-6) {
            buf_format(out, "%.0f/%c", whole, rates[i].unit);
            return;
        }
    }
    buf_text(out, "0");
}

/* --- keys of encrypted links --- */

static bool read_key(const struct field *field, const char *text,
                     const struct value_places *places, void *base)
{
    static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

    (void)places;
    return strlen(text) == 40 && strspn(text, z85) == 40 &&
           set_text(field, base, mem_text(text));
}

/* --- host:port --- */

static bool read_address(const struct field *field, const char *text,
                         const struct value_places *places, void *base)
{
    const char *colon = strrchr(text, ':');
    bool is_bracketed = *text == '[';
    uint64_t port;

    (void)places;
    if (!colon || colon == text || !parse_count(colon + 1, 65535, &port) || !port)
        return false;
    size_t n = (size_t)(colon - text);
    if (n > 255 || (is_bracketed && (n < 4 || text[n - 1] != ']')))
        return false;
    if (strspn(text,
               is_bracketed
                   ? "[]0123456789abcdefABCDEF:."
                   : "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") <
        n)
        return false;
    *(uint16_t *)(void *)((char *)base + field->count_offset) = (uint16_t)port;
    return set_text(field, base,
                    is_bracketed ? mem_copy(text + 1, n - 2) : mem_copy(text, n));
}

static void show_address(const struct field *field, const void *base, struct buf *out)
{
    const char *host = *(char *const *)look(field, base);
    uint16_t port =
        *(const uint16_t *)(const void *)((const char *)base + field->count_offset);

    if (host)
        buf_format(out, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* --- money --- */

static bool read_money(const struct field *field, const char *text,
                       const struct value_places *places, void *base)
{
    (void)places;
    return money_parse(text, place(field, base));
}

static void show_money(const struct field *field, const void *base, struct buf *out)
{
    const struct money *money = look(field, base);
    char text[MONEY_TEXT_SIZE];

    if (!money->currency[0])
        return;
    money_text(money->micros, money->currency, text);
    buf_text(out, text);
}

static const struct type types[FIELD_TYPE_COUNT] = {
    [FIELD_TEXT] = {"a text of one line", read_text, show_text, true},
    [FIELD_NAME] = {"a name: 1 to 64 of a-z 0-9 _ -, first a letter", read_name,
                    show_text, true},
    [FIELD_PATH] = {"a path", read_path, show_text, true},
    [FIELD_URL] =
        {"a URL such as https://api.example.com, without user, query and fragment",
         read_url, show_text, true},
    [FIELD_SERVICE_URL] =
        {"a URL such as https://api.example.com or "
         "smtp://mail.example.com:587, without user, query and fragment",
         read_service_url, show_text, true},
    [FIELD_CHOICE] = {"one of", read_choice, show_text, true},
    [FIELD_ENUM] = {"one of", read_enum, show_enum, false},
    [FIELD_BOOL] = {"true or false", read_bool, show_bool, false},
    [FIELD_COUNT] = {"a whole number", read_count, show_count, false},
    [FIELD_SIZE] = {"a size such as 64MiB", read_size, show_size, false},
    [FIELD_DURATION] = {"a duration such as 250ms, 10s, 5m, 24h or 30d", read_duration,
                        show_duration, false},
    [FIELD_RATE] = {"a rate such as 100/s, 60/m or 1000/h", read_rate, show_rate, false},
    [FIELD_MONEY] = {"an amount and a currency such as 50 USD", read_money, show_money,
                     false},
    [FIELD_KEY] = {"a public key: 40 characters in quotes, as `signalbox key` shows it",
                   read_key, show_text, true},
    [FIELD_ADDRESS] = {"an address and a port such as 127.0.0.1:8080", read_address,
                       show_address, true},
};

bool value_is_single(const struct field *field)
{
    return types[field->type].read != NULL;
}

bool value_read(const struct field *field, const char *text,
                const struct value_places *places, void *base, struct buf *expected)
{
    if (types[field->type].read(field, text, places, base))
        return true;
    value_describe(field, expected);
    return false;
}

void value_show(const struct field *field, const void *base, struct buf *out)
{
    types[field->type].show(field, base, out);
}

void value_free(const struct field *field, void *base)
{
    if (types[field->type].is_text)
        set_text(field, base, NULL);
}

static void bound(const struct field *field, uint64_t value, struct buf *out)
{
    if (field->type == FIELD_COUNT)
        buf_format(out, "%" PRIu64, value);
    else if (field->type == FIELD_SIZE)
        size_text(value, out);
    else
        duration_text(value, out);
}

void value_describe(const struct field *field, struct buf *out)
{
    buf_text(out, types[field->type].expected);
    for (size_t i = 0; field->choices && field->choices[i]; i++)
        buf_format(out, "%s%s", i ? ", " : " ", field->choices[i]);
    if (field->min) {
        buf_text(out, field->max ? ", from " : ", at least ");
        bound(field, field->min, out);
    }
    if (field->max) {
        buf_text(out, field->min ? " to " : ", at most ");
        bound(field, field->max, out);
    }
}

/* --- prices --- */

/* "0.30 USD", or "0.30 USD since 2026-07-01" (midnight UTC). */
bool price_read(const char *text, const char *operation, struct config_price *ret_price)
{
    const char *since = strstr(text, " since ");
    _free_ char *amount = mem_copy(text, since ? (size_t)(since - text) : strlen(text));
    struct config_price price = {0};

    if (!money_parse(amount, &price.price))
        return false;
    if (since) {
        _free_ char *midnight = mem_format("%sT00:00:00Z", since + strlen(" since "));
        if (!text_parse_time(midnight, &price.since_us))
            return false;
    }
    price.operation = mem_text(operation);
    *ret_price = price;
    return true;
}

void price_show(const struct config_price *price, struct buf *out)
{
    char text[MONEY_TEXT_SIZE], since[TEXT_TIME_SIZE];

    money_text(price->price.micros, price->price.currency, text);
    buf_format(out, "%s: %s", price->operation, text);
    if (price->since_us) {
        text_time(price->since_us, since);
        buf_format(out, " since %.10s", since);
    }
}

/* --- references to secrets --- */

bool secret_read(const char *text, const char *use, const struct value_places *places,
                 struct config_secret *ret_secret)
{
    bool is_vault = strncmp(text, "vault:", 6) == 0;
    bool is_file = strncmp(text, "file:", 5) == 0;

    if ((!is_vault && !is_file) || strlen(text) > 1000 || !is_one_line(text))
        return false;
    if (is_vault ? !text_is_name(text + 6) : !text[5])
        return false;
    *ret_secret = (struct config_secret){
        .use = mem_text(use),
        .from = is_vault ? SECRET_VAULT : SECRET_FILE,
        .name = is_vault ? mem_text(text + 6) : absolute(text + 5, places),
    };
    return true;
}

void secret_show(const struct config_secret *secret, struct buf *out)
{
    buf_format(out, "%s:%s", secret->from == SECRET_VAULT ? "vault" : "file",
               secret->name);
}

void secret_free(struct config_secret *secret)
{
    free(secret->use);
    free(secret->name);
    *secret = (struct config_secret){0};
}
