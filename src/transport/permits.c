#include "transport/permits.h"

#include <stdlib.h>

/* The permits of one WebSocket, in worker->permits. */
struct permits {
    struct map_node node;
    struct websocket *websocket;
    struct evidence *evidence;
    struct waiting_message *waiting; /* NULL: none */
    struct holding holding;          /* of both */
};

/* A message that waits for an answer. */
struct waiting_message {
    struct identification identification;
    struct permits *permits; /* NULL once the WebSocket is gone */
    struct caller *caller;   /* what was allowed before, to this message */
    unsigned rounds;
    bool is_stale; /* the question was asked in the name of a credential that was replaced since */
    enum ws_opcode opcode;
    size_t len;
    char *data;
};

/* A message while it is handled. */
struct permit_turn {
    struct permits *permits;
    enum ws_opcode opcode;
    struct str data;
    const struct identity *late; /* the answer that it has waited for; NULL: none */
    struct caller *caller;       /* who may do what was allowed; NULL: nothing was */
    unsigned rounds;
    bool is_denied; /* the operator's server was asked, and gives no more */
    bool is_over;   /* no server decides about something that is lacking */
};

static struct worker *worker_of(const struct websocket *websocket)
{
    return websocket->pull.request->worker;
}

static struct str key_of(const void *const *websocket)
{
    return (struct str){(const char *)websocket, sizeof(*websocket)};
}

static bool has_websocket(const struct map_node *node, struct str key)
{
    return memcmp(&container_of(node, struct permits, node)->websocket, key.at, key.len) == 0;
}

void permits_init(struct worker *worker)
{
    map_init(&worker->permits, has_websocket);
}

void permits_deinit(struct worker *worker)
{
    map_deinit(&worker->permits);
}

static struct permits *find(const struct websocket *websocket)
{
    const void *key = websocket;
    if (!websocket->asks)
        return NULL;
    struct map_node *node = map_find(&worker_of(websocket)->permits, key_of(&key));
    return node ? container_of(node, struct permits, node) : NULL;
}

static void count(struct permits *permits)
{
    struct worker *worker = worker_of(permits->websocket);
    size_t bytes = sizeof(*permits) + evidence_size(permits->evidence);
    if (permits->waiting)
        bytes += sizeof(*permits->waiting) + permits->waiting->len;
    permits->holding.request = permits->websocket->pull.request;
    holding_set(&worker->holdings, &permits->holding, ACCOUNT_INTAKE, bytes);
}

bool permits_begin(struct websocket *websocket, struct evidence *evidence)
{
    struct permits *permits = evidence ? mem_try_alloc(sizeof(*permits)) : NULL;
    if (!permits) {
        bool lacks_memory = evidence != NULL;
        evidence_free(evidence);
        return !lacks_memory;
    }
    *permits = (struct permits){.websocket = websocket, .evidence = evidence};
    const void *key = websocket;
    map_add(&worker_of(websocket)->permits, &permits->node, key_of(&key));
    websocket->asks = true;
    count(permits);
    return true;
}

/* Frees the message itself. */
static void forget_message(struct waiting_message *waiting)
{
    if (waiting->data)
        explicit_bzero(waiting->data, waiting->len); /* `auth` has a token */
    free(waiting->data);
    waiting->data = NULL;
}

void permits_end(struct websocket *websocket)
{
    struct permits *permits = find(websocket);
    if (!permits)
        return;
    if (permits->waiting) { /* freed by its answer, which may take long: its message is not held */
        forget_message(permits->waiting);
        permits->waiting->permits = NULL;
    }
    holding_set(&worker_of(websocket)->holdings, &permits->holding, ACCOUNT_INTAKE, 0);
    map_remove(&worker_of(websocket)->permits, &permits->node);
    evidence_free(permits->evidence);
    free(permits);
}

/* ---- handling -------------------------------------------------------------------------------- */

static void handle(struct websocket *websocket, struct permit_turn *turn)
{
    struct worker *worker = worker_of(websocket);
    worker->permit_turn = turn;
    websocket->ops->message(websocket, turn->opcode, turn->data);
    worker->permit_turn = NULL;
    if (turn->late) /* nobody has asked for it again */
        caller_unref(turn->late->caller);
    caller_unref(turn->caller);
}

void permits_handle(struct websocket *websocket, enum ws_opcode opcode, struct str data)
{
    struct permit_turn turn = {.permits = find(websocket), .opcode = opcode, .data = data};
    if (turn.permits)
        handle(websocket, &turn);
    else
        websocket->ops->message(websocket, opcode, data);
}

static void free_waiting(struct waiting_message *waiting)
{
    caller_unref(waiting->caller);
    forget_message(waiting);
    free(waiting);
}

static void handle_again(struct permits *permits, struct waiting_message *waiting)
{
    struct websocket *websocket = permits->websocket;
    bool counts = !websocket->close_sent && !waiting->is_stale;
    struct permit_turn turn = {.permits = permits,
                               .opcode = waiting->opcode,
                               .data = {waiting->data, waiting->len},
                               .late = counts ? &waiting->identification.identity : NULL,
                               .caller = counts ? caller_ref(waiting->caller) : NULL,
                               .rounds = waiting->rounds};
    permits->waiting = NULL;
    websocket->waits = false;
    count(permits);
    if (!counts)
        caller_unref(waiting->identification.identity.caller);
    if (!websocket->close_sent)
        handle(websocket, &turn);
    if (!websocket->waits)
        request_stream_wake(websocket->pull.request);
}

static void answered(struct identification *identification)
{
    struct waiting_message *waiting =
        container_of(identification, struct waiting_message, identification);
    if (waiting->permits)
        handle_again(waiting->permits, waiting);
    else
        caller_unref(identification->identity.caller);
    free_waiting(waiting);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct permit_turn *turn_of(const struct websocket *websocket)
{
    struct permit_turn *turn = worker_of(websocket)->permit_turn;
    return turn && turn->permits->websocket == websocket ? turn : NULL;
}

struct caller *permits_caller(const struct websocket *websocket)
{
    const struct permit_turn *turn = turn_of(websocket);
    return turn ? turn->caller : NULL;
}

const struct evidence *permits_evidence(const struct websocket *websocket)
{
    const struct permits *permits = find(websocket);
    return permits ? permits->evidence : NULL;
}

/* The caller with the rules: of what was allowed, or of the connection. */
static struct access access_of(const struct websocket *websocket)
{
    struct worker *worker = worker_of(websocket);
    struct caller *caller = permits_caller(websocket);
    return worker_access(worker, request_stream_conn(websocket->pull.request),
                         caller ? caller : live_caller(worker, &websocket->pull));
}

struct access permits_access(const struct websocket *websocket)
{
    const struct evidence *evidence = permits_evidence(websocket);
    const struct permit_turn *turn = turn_of(websocket);
    struct access access = access_of(websocket);
    access.is_denied = turn && turn->is_denied;
    return evidence ? evidence_access(evidence, access) : access;
}

static bool is_lacking(const struct websocket *websocket, enum action action,
                       const struct str *terms, size_t count)
{
    struct access access = permits_access(websocket);
    for (size_t i = 0; i < count; i++)
        if (pattern_valid(terms[i], NULL) && access_decide(&access, action, terms[i]))
            return true;
    return false;
}

/* Takes the message along, until the answer comes. False if there is no memory. */
static bool wait_for(struct permit_turn *turn, struct waiting_message *waiting)
{
    struct permits *permits = turn->permits;
    waiting->data = mem_try_alloc(turn->data.len + 1);
    if (!waiting->data)
        return false;
    memcpy(waiting->data, turn->data.at, turn->data.len);
    waiting->len = turn->data.len;
    waiting->opcode = turn->opcode;
    waiting->caller = caller_ref(turn->caller);
    waiting->rounds = turn->rounds;
    waiting->permits = permits;
    permits->waiting = waiting;
    permits->websocket->waits = true;
    count(permits);
    return true;
}

/* The answer of the operator's server, if it comes at once. A question whose message cannot wait is
 * left to answered(). */
static struct identity ask(struct permit_turn *turn, const struct permission_question *question)
{
    static const struct identity no_memory = {.state = IDENTITY_UNAVAILABLE,
                                              .why = "no memory: try again"};
    struct worker *worker = worker_of(turn->permits->websocket);
    struct waiting_message *waiting = mem_try_alloc(sizeof(*waiting));
    if (!waiting)
        return no_memory;
    *waiting =
        (struct waiting_message){.identification = {.done = answered,
                                                    .home = &worker->loop.mailbox,
                                                    .now_us = clock_wall_us(worker->config.clock)}};
    struct identity identity =
        worker->config.permissions->ask(worker->config.app, question, &waiting->identification);
    if (identity.state == IDENTITY_LATER)
        return wait_for(turn, waiting) ? identity : no_memory;
    free_waiting(waiting);
    return identity;
}

static bool is_revoked(const struct worker *worker, const struct caller *caller)
{
    const struct worker_config *config = &worker->config;
    return config->is_revoked &&
           config->is_revoked(config->app, caller, clock_wall_us(config->clock));
}

static enum permit refuse(struct refusal *ret, enum problem problem, const char *why)
{
    (void)refusal_set(ret, problem, why);
    return PERMIT_REFUSED;
}

/* Applies the answer of the operator's server. A denial leaves the rights as they were, so the
 * doors refuse the message. But if only that server knows the credential, a denial means that the
 * credential is bad. */
static enum permit take(struct permit_turn *turn, const struct identity *identity,
                        struct refusal *ret_refusal)
{
    struct worker *worker = worker_of(turn->permits->websocket);
    turn->caller = worker_renew(worker, turn->caller);
    switch (identity->state) {
    case IDENTITY_UNAVAILABLE:
        return refuse(ret_refusal, PROBLEM_UNAVAILABLE, identity->why);
    case IDENTITY_KNOWN:
        caller_unref(turn->caller);
        turn->caller = worker_renew(worker, identity->caller);
        turn->rounds++;
        if (is_revoked(worker, turn->caller))
            return refuse(ret_refusal, PROBLEM_BAD_CREDENTIAL, ACCESS_REVOKED_WORDS);
        return PERMIT_GOES_ON;
    case IDENTITY_FOREIGN:
        turn->is_over = true;
        return PERMIT_GOES_ON;
    default:
        turn->is_denied = true;
        if (identity->is_unfit || turn->permits->evidence->credential.len)
            return refuse(ret_refusal, PROBLEM_BAD_CREDENTIAL, identity->why);
        return PERMIT_GOES_ON;
    }
}

enum permit permits_find(struct websocket *websocket, enum action action, const struct str *terms,
                         size_t count, struct refusal *ret_refusal)
{
    struct permit_turn *turn = turn_of(websocket);
    enum permit permit = PERMIT_GOES_ON;
    if (turn && turn->late)
        permit = take(turn, turn->late, ret_refusal);
    while (turn && permit == PERMIT_GOES_ON && !turn->is_denied && !turn->is_over &&
           turn->rounds < PERMISSION_ROUNDS_MAX && is_lacking(websocket, action, terms, count)) {
        const struct permission_question question = {access_of(websocket), turn->permits->evidence,
                                                     action, terms, count};
        struct identity identity = ask(turn, &question);
        permit =
            identity.state == IDENTITY_LATER ? PERMIT_WAITS : take(turn, &identity, ret_refusal);
    }
    if (turn)
        turn->late = NULL;
    return permit;
}

void permits_set_evidence(struct websocket *websocket, struct evidence *evidence)
{
    struct permits *permits = evidence ? find(websocket) : NULL;
    if (!permits) {
        evidence_free(evidence);
        return;
    }
    evidence_free(permits->evidence);
    permits->evidence = evidence;
    if (permits->waiting)
        permits->waiting->is_stale = true;
    count(permits);
}
