/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* place - where addresses are on the practice map: the practice maps agree on it
 *
 * An address lies where its letters say, always at the same place, somewhere in England.
 * Five of them are answered otherwise: see `fates` in place.c.  0,0 is in the sea. */
#pragma once
#include <stdbool.h>

enum place_fate {
    PLACE_FOUND,
    PLACE_NOWHERE, /* nowhere, and 0,0 */
    PLACE_DENIED,  /* denied: the key may not */
    PLACE_SPENT,   /* spent: the day's share is used up */
    PLACE_BUSY,    /* busy: too many calls */
    PLACE_BROKEN,  /* broken */
};
enum { PLACE_NUMBER_SIZE = 32 };

/* Degrees, as text with seven digits behind the point. */
struct place {
    char lat[PLACE_NUMBER_SIZE], lng[PLACE_NUMBER_SIZE];
};

enum place_fate place_fate(const char *address);
struct place place_of(const char *address);
/* From "51.5,-0.12"; false when it is none. */
bool place_read(const char *text, struct place *ret);
/* The address of what is at a place: a text to be freed. */
char *place_address(const struct place *place);
