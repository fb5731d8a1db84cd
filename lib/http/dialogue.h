/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dialogue - what is said between us and an SMTP server, overheard: which reply belongs
 * to which recipient, and which one decides (RFC 5321, 4.2) */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum {
    DIALOGUE_LINE_MAX = 512, /* of a reply, RFC 5321 4.5.3.1.5; what is longer is cut */
    DIALOGUE_REFUSED = 400,  /* this code and those above say no */
};

struct dialogue_reply {
    unsigned code;                    /* 0: there was none */
    char text[DIALOGUE_LINE_MAX + 1]; /* of the last line, without the code */
};

struct dialogue {
    struct dialogue_reply *recipients; /* `n` of them, zeroed; the owner's */
    size_t n;
    size_t asked;      /* recipients named so far */
    bool is_recipient; /* the last command named one */
    bool is_over;      /* goodbye was said: what is answered to it decides nothing */
    struct dialogue_reply last;       /* the deciding one */
    char line[DIALOGUE_LINE_MAX + 1]; /* that is coming in */
    size_t line_len;
};

/* A command went out. */
void dialogue_said(struct dialogue *dialogue, const char *bytes, size_t n);
/* Bytes came in. */
void dialogue_heard(struct dialogue *dialogue, const char *bytes, size_t n);
