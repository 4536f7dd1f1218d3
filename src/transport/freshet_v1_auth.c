#include "transport/freshet_v1_auth.h"

#include "subscribe/subscription.h"
#include "transport/freshet_v1_messages.h"
#include "transport/freshet_v1_parts.h"

#include <errno.h>
#include <stdlib.h>

/* A question to the authority. In worker->auths while the answer is still to come. */
struct auth {
    struct identification identification;
    struct list node;
    struct freshet_v1 *v1; /* NULL once the connection is gone */
    uint8_t ref_len;
    char ref[FRESHET_V1_REF_MAX];
};

static struct str ref_of(const struct auth *auth)
{
    return (struct str){auth->ref, auth->ref_len};
}

/* ---- the new caller -------------------------------------------------------------------------- */

/* The terms that the caller may not read, copied. NULL at the end of a list that lacks memory. */
static size_t find_lost(const struct freshet_v1 *v1, const struct caller *caller,
                        struct arena *arena, struct str ret[SELECTION_TERMS_MAX])
{
    const struct access access = worker_access(v1->worker, caller);
    size_t count = 0;
    list_each (&v1->terms, node) {
        const struct term *term = container_of(node, const struct term, node);
        struct str name = {term->name, term->len};
        if (count < SELECTION_TERMS_MAX && access_decide(&access, ACTION_READ, name))
            ret[count++] = arena_copy(arena, name);
    }
    return count;
}

static void send_ok(struct freshet_v1 *v1, struct str ref, const struct str *lost, size_t count)
{
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, "ok", ref);
    json_name(&writer, "lost");
    json_array_begin(&writer);
    for (size_t i = 0; i < count; i++)
        json_add_string(&writer, lost[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

static bool has_all(const struct str *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!names[i].at)
            return false;
    return true;
}

/* The connection must not go on under the old caller's rights. So it ends without memory, and it
 * ends if a lost term cannot be dropped at once: the client comes back with its new credential. */
static void take_caller(struct freshet_v1 *v1, struct str ref, struct caller *caller)
{
    struct str lost[SELECTION_TERMS_MAX];
    struct arena arena = {0};
    size_t count = find_lost(v1, caller, &arena, lost);
    int result = exchange_replace_caller(v1->worker, &v1->websocket.pull, caller);
    if (result == -EDQUOT) {
        freshet_v1_error(v1, ref, PROBLEM_TOO_MANY, EXCHANGE_SUBJECT_FULL);
    } else if (result || !has_all(lost, count)) {
        freshet_v1_give_up(v1);
    } else if (freshet_v1_unsubscribe(v1, lost, count)) {
        send_ok(v1, ref, lost, count);
    } else {
        websocket_close_problem(&v1->websocket, PROBLEM_BAD_CREDENTIAL);
    }
    arena_free(&arena);
}

/* ---- the answer ------------------------------------------------------------------------------ */

/* The reason against the identity; NULL if it counts. */
static const char *fault_of(const struct worker *worker, const struct identity *identity)
{
    int64_t now_us = clock_wall_us(worker->config.clock);
    const struct worker_config *config = &worker->config;
    if (identity->state != IDENTITY_KNOWN)
        return identity->why;
    if (!caller_is_authenticated(identity->caller, now_us))
        return "the credential has expired: get a new one";
    return config->is_revoked && config->is_revoked(config->app, identity->caller, now_us)
               ? "the credential was revoked"
               : NULL;
}

static void answer(struct freshet_v1 *v1, struct str ref, const struct identity *identity)
{
    const char *why = fault_of(v1->worker, identity);
    if (why)
        freshet_v1_error(v1, ref,
                         identity->state == IDENTITY_UNAVAILABLE ? PROBLEM_UNAVAILABLE
                                                                 : PROBLEM_BAD_CREDENTIAL,
                         why);
    else
        take_caller(v1, ref, identity->caller);
    caller_unref(identity->caller);
}

static void answered(struct identification *identification)
{
    struct auth *auth = container_of(identification, struct auth, identification);
    list_remove(&auth->node);
    if (auth->v1)
        answer(auth->v1, ref_of(auth), &identification->identity);
    else
        caller_unref(identification->identity.caller);
    free(auth);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool is_waiting(const struct freshet_v1 *v1)
{
    list_each (&v1->worker->auths, node) {
        if (container_of(node, const struct auth, node)->v1 == v1)
            return true;
    }
    return false;
}

static struct auth *auth_new(struct freshet_v1 *v1, struct str ref)
{
    struct worker *worker = v1->worker;
    struct auth *auth = mem_try_alloc(sizeof(*auth));
    if (!auth)
        return NULL;
    *auth = (struct auth){.v1 = v1,
                          .ref_len = (uint8_t)ref.len,
                          .identification = {.done = answered,
                                             .home = &worker->loop.mailbox,
                                             .now_us = clock_wall_us(worker->config.clock)}};
    if (ref.len)
        memcpy(auth->ref, ref.at, ref.len);
    list_add_last(&worker->auths, &auth->node);
    return auth;
}

void freshet_v1_auth(struct freshet_v1 *v1, struct str ref, struct str token)
{
    const struct authority *authority = v1->worker->config.authority;
    const struct credential credential = {CREDENTIAL_MESSAGE, token};
    if (!authority) {
        freshet_v1_error(v1, ref, PROBLEM_NOT_BUILT,
                         "this server has no access rules, so no token is needed: go on without");
        return;
    }
    if (is_waiting(v1)) {
        freshet_v1_error(v1, ref, PROBLEM_TOO_MANY, "wait for the answer to the auth before");
        return;
    }
    struct auth *auth = auth_new(v1, ref);
    if (!auth) {
        freshet_v1_error(v1, ref, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    struct identity identity = authority_identify(authority, &credential, &auth->identification);
    if (identity.state == IDENTITY_LATER)
        return;
    list_remove(&auth->node);
    answer(v1, ref_of(auth), &identity);
    free(auth);
}

void freshet_v1_forget_auths(struct freshet_v1 *v1)
{
    list_each (&v1->worker->auths, node) {
        struct auth *auth = container_of(node, struct auth, node);
        if (auth->v1 == v1)
            auth->v1 = NULL;
    }
}
