/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scene - one integration with two processes, and an app that calls it: for tests of what
 * holds calls back
 *
 * Calls are payment.charge; what the two sessions were handed is kept in `held` until it
 * is answered. */
#pragma once
#include "world.h"

enum { SCENE_HELD = 256, SCENE_GATEWAY = 1, SCENE_APP, SCENE_ONE, SCENE_OTHER };

struct scene_held {
    uint64_t peer;
    struct slice at;
    char type[64];
    char data[256];
};
struct scene {
    struct world world;
    struct core_integration integration; /* may be changed; then scene_configure() */
    struct core_config config;
    const char *manifest;
    uint64_t number;
    struct scene_held held[SCENE_HELD];
    size_t n_held;
};

/* An integration `stripe` of connector `payment` with these limits; NULL: the world's
 * manifest. */
void scene_open(struct scene *scene, const struct core_integration *integration,
                const char *manifest);
void scene_close(struct scene *scene);
/* Bring the integration's changed limits into force. */
void scene_configure(struct scene *scene);
/* The broker dies and another one replays; the sessions come back holding nothing. */
void scene_crash(struct scene *scene);
/* n calls are published and committed. */
void scene_call(struct scene *scene, unsigned n);
/* One event of this type from the gateway; a webhook's where it is under `stripe.`. */
void scene_publish(struct scene *scene, uint64_t peer, const struct record_parts *parts);
/* Time goes on, and everything due happens and is committed. */
void scene_advance(struct scene *scene, uint64_t us);
/* Take what was delivered since; how many events that were. */
size_t scene_take(struct scene *scene);

/* Answer the oldest delivery that is held, and commit it. A cost below 0: none is told.
 */
void scene_succeed(struct scene *scene, int64_t cost_micros);
void scene_fail(struct scene *scene, enum record_class why);
void scene_retry(struct scene *scene, uint64_t after_us);
/* Succeed as a poll does: with a cursor, and with more to fetch or not. */
void scene_poll(struct scene *scene, const char *cursor, bool more);

/* Of the broker's status: groups.0.<path>. The text is to be freed. */
int64_t scene_int(const struct scene *scene, const char *path);
char *scene_text(const struct scene *scene, const char *path);
/* Records in the log of a kind, and of a class and a type where these are given. */
size_t scene_count(const struct scene *scene, enum record_kind kind,
                   enum record_class why, const char *type);
/* The newest of them; NULL when there is none. */
const struct record *scene_last(const struct scene *scene, enum record_kind kind,
                                enum record_class why, const char *type);
