/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* used - which version of each secret of an integration was used last (proto/used.h)
 *
 * The broker knows names and numbers of secrets, never a value. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct act;
struct core;
struct group;
struct json;

struct used {
    char *use, *secret;
    int64_t version;
    uint64_t first_us, last_us; /* of the fold, by the wall */
    uint64_t staged_us;         /* on its way to the log, 0: never since the start */
};

/* ADMIN `secret`: stage the note, unless the last one of this version is younger than
 * USED_EVERY_US. */
void used(struct core *core, struct act *act);
/* The fold: a note of USED_TYPE about the group. */
void used_noted(struct group *group, const struct json *data);
/* Stage what the fold knows of the group. */
void used_checkpoint(struct core *core, const struct group *group);
/* [{use, secret, version, first_us, last_us}], for the status. */
struct json *used_status(const struct group *group);
void used_fini(struct group *group);
