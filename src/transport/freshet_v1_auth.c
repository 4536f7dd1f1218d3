/* Two questions at most: who it is, to the authority; and then, to the operator's server, for the
 * subscriptions that the new credential does not give. Both may be answered later. Nothing of the
 * connection changes before the last answer. */
#include "transport/freshet_v1_auth.h"

#include "net/peer.h"
#include "subscribe/subscription.h"
#include "transport/freshet_v1_messages.h"
#include "transport/freshet_v1_parts.h"
#include "transport/permits.h"

#include <errno.h>
#include <stdlib.h>

/* An `auth` that is being answered. In worker->auths while it waits. */
struct auth {
    struct identification identification;
    struct list node;
    struct freshet_v1 *v1;     /* NULL once the connection is gone */
    struct evidence *evidence; /* with the new credential in it if only the operator's server knows
                                * that; NULL: that server decides about nothing */
    struct caller *caller;     /* of the new credential */
    struct caller *permitted;  /* the same with what the operator's server gives; NULL: nothing */
    unsigned rounds;           /* questions to the operator's server */
    bool is_denied;            /* it gives no more */
    uint8_t ref_len;
    char ref[FRESHET_V1_REF_MAX];
};

static const char unknown[] = "no key and no token of this server looks like this credential, and "
                              "no server of its operator knows it here";

static struct str ref_of(const struct auth *auth)
{
    return (struct str){auth->ref, auth->ref_len};
}

static void auth_free(struct auth *auth)
{
    list_remove(&auth->node);
    evidence_free(auth->evidence);
    caller_unref(auth->caller);
    caller_unref(auth->permitted);
    free(auth);
}

static void fail(struct auth *auth, enum problem problem, const char *why)
{
    freshet_v1_error(auth->v1, ref_of(auth), problem, why);
    auth_free(auth);
}

/* ---- the new caller -------------------------------------------------------------------------- */

/* A caller on the auth's connection. */
static struct access access_of(const struct auth *auth, const struct caller *caller)
{
    return worker_access(auth->v1->worker, request_stream_conn(freshet_v1_request(auth->v1)),
                         caller);
}

static struct access access_by(const struct auth *auth, const struct caller *caller)
{
    struct access access = access_of(auth, caller);
    return auth->evidence ? evidence_access(auth->evidence, access) : access;
}

static struct access new_access(const struct auth *auth)
{
    return access_by(auth, auth->permitted ? auth->permitted : auth->caller);
}

/* The terms that may not be read, copied. NULL at the end of a list that lacks memory. */
static size_t find_lost(const struct auth *auth, struct arena *arena,
                        struct str ret[SELECTION_TERMS_MAX])
{
    const struct access access = new_access(auth);
    size_t count = 0;
    list_each (&auth->v1->terms, node) {
        const struct term *term = container_of(node, const struct term, node);
        struct str name = {term->name, term->len};
        if (count < SELECTION_TERMS_MAX && access_decide(&access, ACTION_READ, name))
            ret[count++] = arena_copy(arena, name);
    }
    return count;
}

/* Terms rest on the permission if the credential alone does not give them. */
static void hold_terms(const struct auth *auth)
{
    struct access own = access_by(auth, auth->caller);
    list_each (&auth->v1->terms, node) {
        const struct term *term = container_of(node, const struct term, node);
        struct str name = {term->name, term->len};
        bool rests = access_decide(&own, ACTION_READ, name) != ACCESS_ALLOWED;
        freshet_v1_hold(auth->v1, &name, 1, rests ? auth->permitted : NULL);
    }
}

/* Sends a message with a list of channels and patterns as its member. */
static void send_list(struct freshet_v1 *v1, const char *op, struct str ref, const char *member,
                      const struct str *lost, size_t count)
{
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, op, ref);
    json_name(&writer, member);
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
static void go_on(struct auth *auth, const struct str *lost, size_t count)
{
    struct freshet_v1 *v1 = auth->v1;
    hold_terms(auth);
    permits_set_evidence(&v1->websocket, auth->evidence);
    auth->evidence = NULL; /* the permits have it */
    if (!has_all(lost, count))
        freshet_v1_give_up(v1);
    else if (freshet_v1_unsubscribe(v1, lost, count))
        send_list(v1, "ok", ref_of(auth), "lost", lost, count);
    else
        websocket_close_problem(&v1->websocket, PROBLEM_BAD_CREDENTIAL);
}

static void take_caller(struct auth *auth)
{
    struct freshet_v1 *v1 = auth->v1;
    struct str lost[SELECTION_TERMS_MAX];
    struct arena arena = {0};
    size_t count = find_lost(auth, &arena, lost);
    const struct caller *after = auth->permitted ? auth->permitted : auth->caller;
    bool is_same =
        str_eq(caller_subject(live_caller(v1->worker, &v1->websocket.pull)), caller_subject(after));
    int result = exchange_replace_caller(v1->worker, &v1->websocket.pull, auth->caller);
    if (result == -EDQUOT)
        freshet_v1_error(v1, ref_of(auth), PROBLEM_TOO_MANY, EXCHANGE_SUBJECT_FULL);
    else if (result)
        freshet_v1_give_up(v1);
    else
        go_on(auth, lost, count);
    if (!result && !is_same)
        freshet_v1_attend_anew(v1, after);
    arena_free(&arena);
    auth_free(auth);
}

/* The terms that the connection's own rights do not give any more, copied. Those that rest on a
 * permission end with that. */
static size_t find_taken(const struct freshet_v1 *v1, const struct access *access,
                         struct arena *arena, struct str ret[SELECTION_TERMS_MAX])
{
    const struct evidence *evidence = permits_evidence(&v1->websocket);
    const struct access own = evidence ? evidence_access(evidence, *access) : *access;
    size_t count = 0;
    list_each (&v1->terms, node) {
        const struct term *term = container_of(node, const struct term, node);
        struct str name = {term->name, term->len};
        if (count < SELECTION_TERMS_MAX && !live_caller(v1->worker, term) &&
            access_decide(&own, ACTION_READ, name))
            ret[count++] = arena_copy(arena, name);
    }
    return count;
}

bool freshet_v1_review(struct pull *pull, const struct access *access)
{
    struct freshet_v1 *v1 = container_of(pull, struct freshet_v1, websocket.pull);
    struct str lost[SELECTION_TERMS_MAX];
    struct arena arena = {0};
    size_t count = find_taken(v1, access, &arena, lost);
    freshet_v1_attend_all(v1, access->caller);
    if (!has_all(lost, count))
        freshet_v1_give_up(v1);
    else if (count && freshet_v1_unsubscribe(v1, lost, count))
        send_list(v1, "lost", STR_NONE, "channels", lost, count);
    else if (count)
        pull->ops->goodbye(pull, ENDING_RULES);
    arena_free(&arena);
    return true;
}

/* ---- what the operator's server gives -------------------------------------------------------- */

/* The reason against the identity; NULL if it counts. */
static const char *fault_of(const struct worker *worker, const struct identity *identity)
{
    int64_t now_us = clock_wall_us(worker->config.clock);
    const struct worker_config *config = &worker->config;
    if (identity->state != IDENTITY_KNOWN)
        return identity->why;
    if (!caller_is_authenticated(identity->caller, now_us))
        return ACCESS_EXPIRED_WORDS;
    return config->is_revoked && config->is_revoked(config->app, identity->caller, now_us)
               ? ACCESS_REVOKED_WORDS
               : NULL;
}

/* Whether nobody at all stands for the credential: no source knows it, and the operator's servers
 * do not decide about any of the subscriptions. */
static bool is_unknown(const struct auth *auth, const struct identity *identity, size_t lost)
{
    return identity->state == IDENTITY_FOREIGN && lost && !auth->permitted &&
           auth->evidence->credential.len;
}

/* Whether the answer is to be gone on with; otherwise the client has been told. The denial of a
 * credential that is good here leaves what that gives by itself. */
static bool take_permission(struct auth *auth, const struct identity *identity)
{
    const char *why = fault_of(auth->v1->worker, identity);
    if (identity->state == IDENTITY_UNAVAILABLE) {
        fail(auth, PROBLEM_UNAVAILABLE, why);
        return false;
    }
    auth->rounds++;
    auth->is_denied = identity->state != IDENTITY_KNOWN;
    bool is_unvouched =
        identity->state == IDENTITY_BAD && (identity->is_unfit || auth->evidence->credential.len);
    if (!auth->is_denied) {
        caller_unref(auth->permitted);
        auth->permitted = identity->caller;
    }
    auth->caller = worker_renew(auth->v1->worker, auth->caller);
    auth->permitted = worker_renew(auth->v1->worker, auth->permitted);
    if (!is_unvouched && (auth->is_denied || !why))
        return true;
    fail(auth, PROBLEM_BAD_CREDENTIAL, why);
    return false;
}

static void permitted(struct identification *identification);

/* Asks for the terms that would be lost. True: there is no more to ask for. */
static bool ask_for_lost(struct auth *auth)
{
    struct worker *worker = auth->v1->worker;
    struct identity identity = {.state = IDENTITY_KNOWN};
    struct str lost[SELECTION_TERMS_MAX];
    bool goes_on = true;
    while (goes_on && !auth->is_denied && auth->evidence && auth->rounds < PERMISSION_ROUNDS_MAX) {
        struct arena arena = {0};
        const struct permission_question question = {
            .access = access_of(auth, auth->permitted ? auth->permitted : auth->caller),
            .evidence = auth->evidence,
            .action = ACTION_READ,
            .terms = lost,
            .count = find_lost(auth, &arena, lost)};
        auth->identification.done = permitted;
        auth->identification.now_us = clock_wall_us(worker->config.clock);
        identity.state = IDENTITY_FOREIGN;
        bool may_ask = has_all(lost, question.count);
        if (may_ask)
            identity = worker->config.permissions->ask(worker->config.app, &question,
                                                       &auth->identification);
        arena_free(&arena);
        if (may_ask && is_unknown(auth, &identity, question.count))
            identity = identity_bad(unknown);
        goes_on = identity.state != IDENTITY_LATER && take_permission(auth, &identity);
    }
    return goes_on;
}

static void permitted(struct identification *identification)
{
    struct auth *auth = container_of(identification, struct auth, identification);
    struct identity identity = identification->identity;
    if (!auth->v1) {
        caller_unref(identity.caller);
        auth_free(auth);
    } else if (take_permission(auth, &identity) && ask_for_lost(auth)) {
        take_caller(auth);
    }
}

/* ---- the credential -------------------------------------------------------------------------- */

/* Evidence with the new credential, if only the operator's server can know that. */
static bool renew_evidence(struct auth *auth, struct str opaque)
{
    const struct evidence *old = permits_evidence(&auth->v1->websocket);
    if (!old)
        return true;
    struct evidence facts = *old;
    facts.credential = opaque;
    auth->evidence = evidence_new(&facts);
    return auth->evidence;
}

/* `opaque` is the credential if no source knows it. */
static void identified(struct auth *auth, struct str opaque)
{
    struct identity identity = auth->identification.identity;
    auth->caller = identity.caller;
    const char *why = opaque.len ? NULL : fault_of(auth->v1->worker, &identity);
    if (why)
        fail(auth,
             identity.state == IDENTITY_UNAVAILABLE ? PROBLEM_UNAVAILABLE : PROBLEM_BAD_CREDENTIAL,
             why);
    else if (!renew_evidence(auth, opaque))
        fail(auth, PROBLEM_UNAVAILABLE, "no memory: try again");
    else if (ask_for_lost(auth))
        take_caller(auth);
}

static void answered(struct identification *identification)
{
    struct auth *auth = container_of(identification, struct auth, identification);
    if (auth->v1) {
        identified(auth, STR_NONE);
        return;
    }
    caller_unref(identification->identity.caller);
    auth_free(auth);
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

static uint64_t peer_of_asker(const struct identification *identification)
{
    union client_address client;
    const struct auth *auth = container_of(identification, struct auth, identification);
    request_stream_client(auth->v1->websocket.pull.request, &client);
    return peer_number(&client.any);
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
                                             .peer = peer_of_asker,
                                             .home = &worker->loop.mailbox,
                                             .now_us = clock_wall_us(worker->config.clock)}};
    if (ref.len)
        memcpy(auth->ref, ref.at, ref.len);
    list_add_last(&worker->auths, &auth->node);
    return auth;
}

/* Whether an operator's server may know a credential that this one does not. The evidence was kept
 * by the handshake, and a reload may have ended that since. */
static bool can_ask(const struct freshet_v1 *v1)
{
    const struct worker_config *config = &v1->worker->config;
    return permits_evidence(&v1->websocket) && config->permissions->can_ask(config->app);
}

void freshet_v1_auth(struct freshet_v1 *v1, struct str ref, struct str token)
{
    const struct authority *authority = v1->worker->config.authority;
    const struct credential credential = {.kind = CREDENTIAL_MESSAGE, .text = token};
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
    auth->identification.identity = identity;
    bool is_opaque = identity.state == IDENTITY_FOREIGN && can_ask(v1);
    identified(auth, is_opaque ? token : STR_NONE);
}

void freshet_v1_forget_auths(struct freshet_v1 *v1)
{
    list_each (&v1->worker->auths, node) {
        struct auth *auth = container_of(node, struct auth, node);
        if (auth->v1 == v1)
            auth->v1 = NULL;
    }
}
