/* A request is asked for as a whole: all of its channels lie in one namespace with a server to ask,
 * and in no namespace below with rules of its own. What is allowed becomes a caller with that
 * grant beside those of its credential, so the doors decide as they do for every other caller, and
 * the connection ends when the permission does.
 *
 * A frame on a WebSocket and the body of a batch name channels that are not known here: for those
 * nobody is asked, and nothing is allowed. */
#include "api/authorization.h"

#include "access/reach.h"
#include "api/answers.h"
#include "api/asking.h"
#include "api/identity.h"
#include "base/arena.h"
#include "http/target.h"

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
    struct str segment;
    while (!wish->broken && http_path_next(&rest, &segment)) {
        if (name.len)
            buf_add_char(&name, '/');
        wish->broken = http_segment_decode(segment, &name) != 0;
    }
    if (!wish->broken)
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

static const struct authorize_server *server_for(const struct exchange *exchange, struct str term)
{
    const struct authorizers *all = api_of(exchange)->authorizers;
    const struct authorize_server *best = NULL;
    for (size_t i = 0; i < all->count; i++)
        if (lies_in(term, all->at[i].prefix) && (!best || all->at[i].prefix.len > best->prefix.len))
            best = &all->at[i];
    if (best && is_divided(exchange->worker->config.rules, term, best->prefix))
        return NULL;
    return best;
}

/* The server that decides about all that is lacking; NULL if nothing is, or no single one does. */
static const struct authorize_server *server_of(struct exchange *exchange, const struct wish *wish,
                                                enum action action)
{
    struct access access = exchange_access(exchange);
    const struct authorize_server *server = NULL;
    bool lacking = false;
    for (size_t i = 0; i < wish->count; i++) {
        const struct authorize_server *own = server_for(exchange, wish->terms[i]);
        if (!own || (server && own != server))
            return NULL;
        server = own;
        lacking |= access_decide(&access, action, wish->terms[i]) != ACCESS_ALLOWED;
    }
    return lacking ? server : NULL;
}

/* ---- the question ---------------------------------------------------------------------------- */

static void add_headers(struct exchange *exchange, struct authorize_question *question)
{
    const struct authorize_server *server = question->server;
    for (size_t i = 0; i < server->headers_count; i++) {
        struct str value = http_header(exchange->head, server->headers[i]);
        bool is_cookie = str_eq(server->headers[i], STR("cookie"));
        if (!value.at || (is_cookie && !identity_may_use_cookie(exchange)))
            continue;
        size_t n = question->headers_count++;
        question->headers[n].name = server->headers[i];
        question->headers[n].value = value;
    }
}

static bool is_revoked(const struct exchange *exchange)
{
    const struct worker_config *config = &exchange->worker->config;
    return config->is_revoked &&
           config->is_revoked(config->app, exchange->caller, clock_wall_us(config->clock));
}

/* Whether the exchange goes on. A denial leaves the caller as it was. A subject that was revoked
 * stays out, whatever the operator's server says, and so does a credential that was revoked while
 * that was asked. */
static bool take_answer(struct exchange *exchange, const struct identity *identity)
{
    static const struct refusal revoked = {.problem = PROBLEM_BAD_CREDENTIAL,
                                           .detail = "the credential was revoked"};
    exchange->is_authorized = true;
    if (identity->state == IDENTITY_UNAVAILABLE) {
        api_refuse(exchange, PROBLEM_UNAVAILABLE, identity->why);
        return false;
    }
    if (identity->state == IDENTITY_KNOWN) {
        caller_unref(exchange->caller);
        exchange->caller = identity->caller;
    }
    if (!is_revoked(exchange))
        return true;
    api_refuse_as(exchange, &revoked);
    return false;
}

static bool ask(struct exchange *exchange, struct authorize_question *question)
{
    char room[INET6_ADDRSTRLEN];
    struct asking *asking = asking_begin(exchange, &exchange->late_permission);
    if (!asking)
        return false;
    question->caller = exchange->caller;
    question->address = request_stream_address(exchange->request, room);
    add_headers(exchange, question);
    struct identity identity =
        authorize_ask(api_of(exchange)->authorizers->authorize, question, &asking->identification);
    if (identity.state == IDENTITY_LATER) {
        asking_wait(asking);
        return false;
    }
    free(asking);
    return take_answer(exchange, &identity);
}

bool authorization_find(struct exchange *exchange, enum action action, struct str rest)
{
    struct wish wish = {.count = 0};
    const struct identity *late = exchange->late_permission;
    exchange->late_permission = NULL;
    if (late)
        return take_answer(exchange, late);
    if (action == ACTION_WEBHOOKS || exchange->is_authorized || !api_of(exchange)->authorizers)
        return true;
    if (rest.len)
        read_path(&wish, rest);
    else
        read_query(&wish, exchange->head->query);
    const struct authorize_server *server = wish.broken ? NULL : server_of(exchange, &wish, action);
    struct authorize_question question = {
        .server = server, .action = action, .terms = wish.terms, .terms_count = wish.count};
    bool goes_on = server ? ask(exchange, &question) : true;
    arena_free(&wish.arena);
    return goes_on;
}
