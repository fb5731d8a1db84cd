/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "messaging.h"

enum {
    GSM_ALONE = 160, /* septets of a message that goes out in one part */
    GSM_PART = 153,  /* of each part of several: the rest is the part's number */
    UCS2_ALONE = 70, /* UTF-16 units */
    UCS2_PART = 67,
};

enum sb_verdict text_check(const struct sb_event *event, size_t max,
                           struct sb_outcome *outcome)
{
    static const char *const known[] = {"to", "text", NULL};
    const struct sb_json *data = sb_data(event);
    const char *stranger = sb_stranger(data, known), *text = sb_text(data, "text");

    if (!sb_is_object(data, ""))
        return sb_fail(outcome, "the data must be a JSON object");
    if (stranger)
        return sb_fail(outcome, "\"%s\" is not a member this operation knows", stranger);
    if (!text || !*text)
        return sb_fail(outcome, "text must be a text that is not empty");
    if (text_length(text) > max)
        return sb_fail(outcome, "text is longer than %zu characters", max);
    return SB_DONE;
}

/* The code point at *text, which is moved on; the text is valid UTF-8. */
static uint32_t next(const char **text)
{
    unsigned char first = (unsigned char)*(*text)++;
    uint32_t point = first < 0x80   ? first
                     : first < 0xe0 ? first & 0x1fu
                     : first < 0xf0 ? first & 0x0fu
                                    : first & 0x07u;

    while (((unsigned char)**text & 0xc0) == 0x80)
        point = point << 6 | ((unsigned char)*(*text)++ & 0x3fu);
    return point;
}

size_t text_length(const char *text)
{
    size_t n = 0;

    while (*text) {
        next(&text);
        n++;
    }
    return n;
}

static bool is_in(const char *set, uint32_t point)
{
    while (*set)
        if (next(&set) == point)
            return true;
    return false;
}

/* Septets that a character takes in the GSM alphabet; 0: it is not in it. */
static unsigned septets(uint32_t point)
{
    static const char basic[] =
        "@\u00a3$\u00a5\u00e8\u00e9\u00f9\u00ec\u00f2\u00c7\n\u00d8\u00f8\r\u00c5\u00e5"
        "\u0394_\u03a6\u0393\u039b\u03a9\u03a0\u03a8\u03a3\u0398\u039e\u00c6\u00e6\u00df"
        "\u00c9 !\"#\u00a4%&'()*+,-./0123456789:;<=>?\u00a1ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        "\u00c4\u00d6\u00d1\u00dc\u00a7\u00bf"
        "abcdefghijklmnopqrstuvwxyz\u00e4\u00f6\u00f1\u00fc\u00e0";
    static const char extended[] = "\f^{}\\[~]|\u20ac";

    if (is_in(basic, point))
        return 1;
    return is_in(extended, point) ? 2 : 0;
}

unsigned text_segments_max(size_t length)
{
    size_t units = 2 * length;

    return units <= UCS2_ALONE ? 1 : (unsigned)((units + UCS2_PART - 1) / UCS2_PART);
}

unsigned text_segments(const char *text)
{
    size_t gsm = 0, ucs2 = 0;
    bool is_gsm = true;

    while (*text) {
        uint32_t point = next(&text);
        unsigned n = septets(point);
        is_gsm = is_gsm && n;
        gsm += n;
        ucs2 += point > 0xffff ? 2 : 1;
    }
    size_t units = is_gsm ? gsm : ucs2, alone = is_gsm ? GSM_ALONE : UCS2_ALONE,
           part = is_gsm ? GSM_PART : UCS2_PART;
    return units <= alone ? 1 : (unsigned)((units + part - 1) / part);
}
