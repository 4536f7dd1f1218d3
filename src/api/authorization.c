/* A permission becomes a caller with that grant beside those of its credential, so the doors
 * decide as they do for every other caller, and the connection ends when the permission does.
 *
 * A question is about what is lacking: the channels and patterns that neither a rule nor the
 * credential gives. Each of them must lie in a namespace with a server to ask, and in no namespace
 * below with rules of its own; otherwise the request is refused in any case, and nobody is asked.
 * Where several servers decide, or there are more channels than a question has, several questions
 * follow one another, each by a caller that has what was allowed before.
 *
 * The channels of a request stand in its path and query, and are asked for before it is handled; or
 * in its body, and the handler asks. Messages of WebSockets are asked for by transport/permits.c,
 * with copies of what the handshake has shown. */
#include "api/authorization.h"

#include "access/reach.h"
#include "api/answers.h"
#include "api/asking.h"
#include "api/identity.h"
#include "base/arena.h"
#include "http/target.h"
#include "net/peer.h"

#include <stdlib.h>

/* The channels and patterns that a request names. */
struct wish {
    struct arena arena;
    struct str terms[AUTHORIZE_TERMS_MAX];
    size_t count;
    bool broken; /* a name is not valid, or there are too many: the handler says so */
};

/* ---- the wish -------------------------------------------------------------------------------- */

static void add_term(struct wish *wish, struct str term)
{
    struct str kept = arena_copy(&wish->arena, term);
    if (!kept.at || wish->count == AUTHORIZE_TERMS_MAX || !pattern_valid(kept, NULL))
        wish->broken = true;
    else
        wish->terms[wish->count++] = kept;
}

static void read_path(struct wish *wish, struct str rest)
{
    struct buf name = {0};
    if (http_path_decode(rest, &name))
        wish->broken = true;
    else
        add_term(wish, buf_str(&name));
    buf_free(&name);
}

static void read_query(struct wish *wish, struct str query)
{
    struct str name, value;
    struct buf text = {0};
    while (!wish->broken && http_query_next(&query, &name, &value)) {
        if (!http_query_name_is(name, STR("channel")))
            continue;
        buf_clear(&text);
        if (http_query_decode(value, &text))
            wish->broken = true;
        else
            add_term(wish, buf_str(&text));
    }
    buf_free(&text);
}

/* ---- the server to ask ----------------------------------------------------------------------- */

static bool lies_in(struct str term, struct str prefix)
{
    if (term.at[0] == '$' || !str_starts(term, prefix))
        return false;
    return !prefix.len || term.len == prefix.len || term.at[prefix.len] == '/';
}

/* Whether a namespace below the prefix has rules of its own for a part of the term. */
static bool is_divided(const struct rules *rules, struct str term, struct str prefix)
{
    struct reach reach;
    for (size_t i = 0; i < rules->count; i++)
        if (rules->at[i].prefix.len > prefix.len && reach_begin(&reach, term, rules->at[i].prefix))
            return true;
    return false;
}

static const struct authorize_server *server_for(const struct authorizers *all,
                                                 const struct rules *rules, struct str term)
{
    const struct authorize_server *best = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (lies_in(term, all->at[i].prefix) && (!best || all->at[i].prefix.len > best->prefix.len))
            best = &all->at[i];
    return best && is_divided(rules, term, best->prefix) ? NULL : best;
}

/* ---- lacking rights -------------------------------------------------------------------------- */

/* Channels and patterns that one server decides about. */
struct lack {
    const struct authorize_server *server; /* NULL: nothing is lacking */
    enum action action;
    struct str terms[AUTHORIZE_TERMS_MAX];
    size_t count;
};

static void add_lacking(struct lack *lack, struct str term)
{
    for (size_t i = 0; i < lack->count; i++)
        if (str_eq(lack->terms[i], term))
            return;
    if (lack->count < AUTHORIZE_TERMS_MAX)
        lack->terms[lack->count++] = term; /* the others are asked for by the next question */
}

/* Finds what one question is about. The server is NULL also if nobody decides about a part. Names
 * that are not valid are left to the doors. */
static void find_lack(const struct authorizers *all, const struct permission_question *wanted,
                      struct lack *ret)
{
    const struct rules *rules = wanted->access.rules;
    struct access judged = evidence_access(wanted->evidence, wanted->access);
    ret->server = NULL;
    ret->count = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        struct str term = wanted->terms[i];
        enum access_verdict verdict = ACCESS_ALLOWED;
        if (pattern_valid(term, NULL))
            verdict = access_decide(&judged, wanted->action, term);
        if (verdict == ACCESS_ALLOWED || verdict == ACCESS_ELSEWHERE)
            continue; /* nobody may give the latter */
        enum action action = wanted->action;
        (void)access_translate(&action, &term);
        const struct authorize_server *own = server_for(all, rules, term);
        if (!own) {
            ret->server = NULL;
            return;
        }
        if (!ret->server) {
            ret->server = own;
            ret->action = action;
        }
        if (own == ret->server && action == ret->action)
            add_lacking(ret, term);
    }
}

static struct identity ask_for(void *app, const struct permission_question *wanted,
                               struct identification *identification)
{
    const struct authorizers *all = ((struct api *)app)->authorizers;
    struct lack lack = {.server = NULL};
    if (all) /* a reload may have removed them while a WebSocket goes on */
        find_lack(all, wanted, &lack);
    if (!lack.server)
        return (struct identity){.state = IDENTITY_FOREIGN};
    const struct authorize_question question = {.server = lack.server,
                                                .action = lack.action,
                                                .terms = lack.terms,
                                                .terms_count = lack.count,
                                                .caller = wanted->access.caller,
                                                .evidence = wanted->evidence};
    return authorize_ask(all->authorize, &question, identification);
}

static bool can_ask(void *app)
{
    return ((struct api *)app)->authorizers != NULL;
}

const struct permission_source authorization_source = {.ask = ask_for, .can_ask = can_ask};

/* ---- the evidence ---------------------------------------------------------------------------- */

/* The evidence of a request, which it borrows. */
struct shown {
    struct evidence evidence;
    struct evidence_field *fields;
    struct buf credential;
    char address[INET6_ADDRSTRLEN];
};

static bool has_field(const struct shown *shown, struct str name)
{
    for (size_t i = 0; i < shown->evidence.fields_count; i++)
        if (str_eq(shown->fields[i].name, name))
            return true;
    return false;
}

static void add_field(const struct exchange *exchange, struct shown *shown, struct str name)
{
    struct str value = http_header(exchange->head, name);
    if (!value.at || has_field(shown, name) ||
        (str_eq(name, STR("cookie")) && !identity_may_use_browsers(exchange)))
        return;
    shown->fields[shown->evidence.fields_count++] = (struct evidence_field){name, value};
}

/* Takes what any of the servers may see, since a WebSocket asks for channels of all of them. False
 * if there is no memory. */
static bool show(struct exchange *exchange, struct shown *shown)
{
    const struct authorizers *all = api_of(exchange)->authorizers;
    union client_address client;
    size_t most = 1;
    for (size_t i = 0; i < all->count; i++)
        most += all->at[i].headers_count;
    *shown = (struct shown){.fields = mem_try_alloc(most * sizeof(*shown->fields))};
    if (!shown->fields)
        return false;
    for (size_t i = 0; i < all->count; i++)
        for (size_t j = 0; j < all->at[i].headers_count; j++)
            add_field(exchange, shown, all->at[i].headers[j]);
    shown->evidence.fields = shown->fields;
    request_stream_client(exchange->request, &client);
    shown->evidence.address = client_address_text(&client, shown->address);
    shown->evidence.peer = peer_number(&client.any);
    if (exchange->is_opaque)
        shown->evidence.credential = identity_credential(exchange, &shown->credential);
    return !exchange->is_opaque || shown->evidence.credential.len;
}

static void forget(struct shown *shown)
{
    buf_wipe(&shown->credential);
    free(shown->fields);
}

struct evidence *authorization_keep(struct exchange *exchange)
{
    struct shown shown;
    if (!authorization_asks(exchange))
        return NULL; /* any more: the request has waited over a reload */
    struct evidence *evidence = show(exchange, &shown) ? evidence_new(&shown.evidence) : NULL;
    forget(&shown);
    return evidence;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static bool is_revoked(const struct exchange *exchange)
{
    const struct worker_config *config = &exchange->worker->config;
    return config->is_revoked &&
           config->is_revoked(config->app, exchange->caller, clock_wall_us(config->clock));
}

static bool refuse_credential(struct exchange *exchange, const char *why)
{
    const struct refusal refusal = {.problem = PROBLEM_BAD_CREDENTIAL, .detail = why};
    api_refuse_as(exchange, &refusal);
    return false;
}

/* Applies the answer of the operator's server; false if the exchange has been refused. A denial
 * leaves the caller as it was. A revoked subject or credential is refused whatever the answer says:
 * the revocation may have come while the question was under way. */
static bool take_answer(struct exchange *exchange, const struct identity *identity)
{
    if (identity->state == IDENTITY_UNAVAILABLE) {
        api_refuse(exchange, PROBLEM_UNAVAILABLE, identity->why);
        return false;
    }
    exchange->is_denied = identity->state != IDENTITY_KNOWN;
    if (!exchange->is_denied) {
        caller_unref(exchange->caller);
        exchange->caller = identity->caller;
        exchange->permissions++;
    }
    exchange->caller = worker_renew(exchange->worker, exchange->caller);
    if (exchange->is_denied)
        return !(exchange->is_opaque || identity->is_unfit) ||
               refuse_credential(exchange, identity->why);
    return !is_revoked(exchange) || refuse_credential(exchange, ACCESS_REVOKED_WORDS);
}

/* ---- asking ---------------------------------------------------------------------------------- */

bool authorization_asks(const struct exchange *exchange)
{
    return api_of(exchange)->authorizers != NULL;
}

static bool may_ask(const struct exchange *exchange)
{
    return authorization_asks(exchange) && !exchange->is_denied &&
           exchange->permissions < PERMISSION_ROUNDS_MAX;
}

/* Asks one question; `ret_more`: something may be lacking still. False: the exchange waits, or was
 * answered. */
static bool ask(struct exchange *exchange, const struct permission_question *wanted, bool *ret_more)
{
    struct asking *asking = asking_begin(exchange, &exchange->late_permission);
    if (!asking)
        return false;
    struct identity identity = ask_for(api_of(exchange), wanted, &asking->identification);
    if (identity.state == IDENTITY_LATER) {
        asking_wait(asking);
        return false;
    }
    free(asking);
    *ret_more = identity.state != IDENTITY_FOREIGN;
    return !*ret_more || take_answer(exchange, &identity);
}

bool authorization_allow(struct exchange *exchange, enum action action, const struct str *terms,
                         size_t count)
{
    struct shown shown;
    bool goes_on = true, more = true;
    if (!may_ask(exchange) || !count)
        return true;
    if (!show(exchange, &shown)) {
        forget(&shown);
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return false;
    }
    while (goes_on && more && may_ask(exchange)) {
        const struct permission_question wanted = {
            .access = worker_access(exchange->worker, exchange_conn(exchange), exchange->caller),
            .evidence = &shown.evidence,
            .action = action,
            .terms = terms,
            .count = count};
        goes_on = ask(exchange, &wanted, &more);
    }
    forget(&shown);
    return goes_on;
}

/* Notes whether messages of a WebSocket may be asked for: on a channel of a server, or on any. */
static void note_later(struct exchange *exchange, const struct wish *wish)
{
    const struct rules *rules = exchange->worker->config.rules;
    exchange->may_ask = !wish->count;
    for (size_t i = 0; i < wish->count; i++)
        exchange->may_ask |=
            server_for(api_of(exchange)->authorizers, rules, wish->terms[i]) != NULL;
}

bool authorization_find(struct exchange *exchange, enum action action, struct str rest)
{
    struct wish wish = {.count = 0};
    const struct identity *late = exchange->late_permission;
    exchange->late_permission = NULL;
    if (late && !take_answer(exchange, late))
        return false;
    if (!authorization_asks(exchange) || action == ACTION_WEBHOOKS)
        return true;
    if (rest.len)
        read_path(&wish, rest);
    else
        read_query(&wish, exchange->head->query);
    if (exchange->head->upgrade_websocket)
        note_later(exchange, &wish);
    bool goes_on = wish.broken || authorization_allow(exchange, action, wish.terms, wish.count);
    arena_free(&wish.arena);
    return goes_on;
}
