/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* rights - what a peer from another host may say and take
 *
 * Such a peer is known by its key, and by the name the configuration gives it.  Who has
 * no entry has no session; what an entry does not name is refused `forbidden`.  Local
 * peers have no rights of this kind (NULL): the kernel's word for their user and the bus
 * keys are what counts there. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

static void texts_free(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

static char **texts_copy(const char *const *texts, size_t n)
{
    char **copy = mem_array(n, sizeof(*copy));

    for (size_t i = 0; i < n; i++)
        copy[i] = mem_text(texts[i]);
    return copy;
}

static void clear(struct rights *rights)
{
    texts_free(rights->publish, rights->n_publish);
    texts_free(rights->groups, rights->n_groups);
    free(rights->integration);
}

void rights_free(struct core *core)
{
    for (size_t i = 0; i < core->n_rights; i++) {
        clear(core->rights[i]);
        free(core->rights[i]->name);
        free(core->rights[i]);
    }
    free(core->rights);
}

struct rights *rights_find(const struct core *core, const char *name)
{
    for (size_t i = 0; i < core->n_rights; i++)
        if (strcmp(core->rights[i]->name, name) == 0)
            return core->rights[i];
    return NULL;
}

/* --- configuration --- */

static struct rights *add(struct core *core, const char *name)
{
    struct rights *rights = mem_alloc(sizeof(*rights));

    core->rights =
        mem_resize(core->rights, (core->n_rights + 1) * sizeof(struct rights *));
    core->rights[core->n_rights++] = rights;
    rights->name = mem_text(name);
    return rights;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void configure(struct core *core, const struct core_peer *in)
{
    struct rights *rights = rights_find(core, in->name);

    if (!rights)
        rights = add(core, in->name);
    rights->is_other = rights->is_connector != in->is_connector ||
                       !same_text(rights->integration, in->integration);
    clear(rights);
    rights->is_configured = true;
    rights->is_connector = in->is_connector;
    rights->integration = mem_text(in->integration);
    rights->publish = texts_copy(in->publish, in->n_publish);
    rights->n_publish = in->n_publish;
    rights->groups = texts_copy(in->groups, in->n_groups);
    rights->n_groups = in->n_groups;
    rights->may_observe = in->may_observe;
    rights->allowed_hash = 0;
}

/* Does the session still do only what its rights have? */
static const char *misfit(const struct session *session)
{
    const struct rights *rights = session->rights;

    if (!rights)
        return NULL;
    if (!rights->is_configured || rights->is_other)
        return "its entry in bus.peers is gone, or another's now";
    if (session->is_replaying && !rights->may_observe)
        return "it may not observe any more";
    if (session->group && !session->group->is_handler &&
        !rights_may_join(rights, session->group->name))
        return "it may not take this group's events any more";
    return NULL;
}

void rights_configure(struct core *core, const struct core_config *config)
{
    for (size_t i = 0; i < core->n_rights; i++)
        core->rights[i]->is_configured = false;
    for (size_t i = 0; i < config->n_peers; i++)
        configure(core, &config->peers[i]);
    for (size_t i = 0; i < core->n_sessions; i++) {
        struct session *session = core->sessions[i];
        const char *why = session ? misfit(session) : NULL;
        if (!why)
            continue;
        if (session->peer)
            session_refuse(core, session->peer, 0, ERR_not_joined, why, 0);
        session_end(core, session, why);
    }
}

/* --- questions --- */

static bool matches(char *const *patterns, size_t n, const char *type, size_t type_len)
{
    for (size_t i = 0; i < n; i++)
        if (text_match_type(patterns[i], type, type_len))
            return true;
    return false;
}

bool rights_may_publish(struct rights *rights, const struct record *r)
{
    if (!rights || (rights->is_connector && rights->n_publish == 0))
        return true; /* a connector's manifest says what it may publish */
    if (rights->allowed_hash == r->type_hash && r->type_len == rights->allowed_len &&
        memcmp(rights->allowed, record_type(r), r->type_len) == 0)
        return true;
    if (!matches(rights->publish, rights->n_publish, record_type(r), r->type_len))
        return false;
    rights->allowed_hash = r->type_hash;
    rights->allowed_len = r->type_len;
    memcpy(rights->allowed, record_type(r), r->type_len);
    return true;
}

bool rights_may_say(const struct rights *rights, const char *type, size_t type_len)
{
    return !rights || (rights->is_connector && rights->n_publish == 0) ||
           matches(rights->publish, rights->n_publish, type, type_len);
}

bool rights_may_join(const struct rights *rights, const char *group)
{
    for (size_t i = 0; rights && i < rights->n_groups; i++)
        if (strcmp(rights->groups[i], group) == 0)
            return true;
    return !rights;
}

/* Whoever may make a request may hear what became of it. */
bool rights_may_wait(struct core *core, struct rights *rights, struct position position)
{
    if (!rights)
        return true;
    struct block_ref *ref = position.block && position.block <= core->applied
                                ? cache_get(core, position.block)
                                : NULL;
    const struct record *r = ref ? block_ref_record(ref, position.index) : NULL;
    bool may = r && r->kind == RECORD_REQUEST && rights_may_publish(rights, r);
    block_ref_drop(ref);
    return may;
}
