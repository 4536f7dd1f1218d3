#include "api/identity.h"

#include "api/answers.h"
#include "api/asking.h"
#include "base/base64.h"
#include "http/cookie.h"
#include "http/target.h"
#include "http/token.h"
#include "net/tls.h"
#include "transport/websocket.h"

#include <stdlib.h>

/* ---- the credential -------------------------------------------------------------------------- */

/* A credential being read; `why` says what is wrong with it. */
struct reader {
    const struct http_head *head;
    struct credential credential;
    struct buf room; /* for what has to be decoded: a secret */
    const char *why;
};

static void take(struct reader *reader, enum credential_kind kind, struct str text)
{
    reader->credential = (struct credential){.kind = kind, .text = text};
    if (!text.len)
        reader->why = "the credential is empty";
}

static void take_basic(struct reader *reader, struct str text)
{
    if (base64_decode(&reader->room, text))
        reader->why = "Authorization: Basic is followed by base64";
    else
        take(reader, CREDENTIAL_BASIC, buf_str(&reader->room));
}

static void read_authorization(struct reader *reader)
{
    struct str rest = http_header(reader->head, STR("authorization"));
    if (!rest.at)
        return;
    struct str scheme = str_cut(&rest, ' ');
    rest = str_trim(rest);
    if (http_fields_repeat(&reader->head->fields, STR("authorization")))
        reader->why = "send one Authorization header";
    else if (str_eq_nocase(scheme, STR("bearer")))
        take(reader, CREDENTIAL_BEARER, rest);
    else if (str_eq_nocase(scheme, STR("basic")))
        take_basic(reader, rest);
    else
        reader->why = "Authorization is Bearer with a key or a token, or Basic";
}

static void read_subprotocol(struct reader *reader)
{
    struct str list, name;
    for (size_t pos = 0;
         http_header_next(reader->head, STR("sec-websocket-protocol"), &pos, &list);)
        while (http_list_next(&list, &name))
            if (str_starts(name, WEBSOCKET_TOKEN))
                take(reader, CREDENTIAL_SUBPROTOCOL, str_skip(name, WEBSOCKET_TOKEN.len));
}

static void read_query(struct reader *reader)
{
    struct str rest = reader->head->query, name, value;
    bool found = false;
    while (!reader->why && http_query_next(&rest, &name, &value)) {
        if (!http_query_name_is(name, STR("token")))
            continue;
        if (found || http_query_decode(value, &reader->room))
            reader->why = "token is there once, percent-encoded";
        else
            take(reader, CREDENTIAL_QUERY, buf_str(&reader->room));
        found = true;
    }
}

/* Browsers send cookies, and show certificates, whoever has written the page. Only pages of this
 * server, and of `origins`, may use them: others would act in their visitor's name. */
bool identity_may_use_browsers(const struct exchange *exchange)
{
    struct str origin = http_header(exchange->head, STR("origin"));
    struct str site = http_header(exchange->head, STR("sec-fetch-site"));
    const struct worker_config *config = &exchange->worker->config;
    if (str_eq(site, STR("same-origin")))
        return true; /* with a method other than GET, or a WebSocket, such a page has an Origin */
    if (origin.at)
        return config->admits && config->admits(config->app, origin) == ADMITS_CREDENTIALS;
    return !str_eq(site, STR("cross-site")) && !str_eq(site, STR("same-site"));
}

static void read_cookie(struct reader *reader, const struct exchange *exchange)
{
    struct str name = api_of(exchange)->cookie;
    struct str value = name.len ? http_cookie(&reader->head->fields, name) : STR_NONE;
    if (value.len && identity_may_use_browsers(exchange))
        take(reader, CREDENTIAL_COOKIE, value);
}

const struct tls_peer *identity_certificate(const struct exchange *exchange)
{
    const struct conn *conn = exchange_conn(exchange);
    return conn && !(conn->door & DOOR_TRUSTED) ? tls_peer(conn) : NULL;
}

static void read_certificate(struct reader *reader, const struct exchange *exchange)
{
    const struct tls_peer *peer = identity_certificate(exchange);
    if (peer && identity_may_use_browsers(exchange))
        reader->credential = (struct credential){.kind = CREDENTIAL_CERTIFICATE,
                                                 .text = peer->subject,
                                                 .since_us = peer->since_us,
                                                 .until_us = peer->until_us};
}

static void read_credential(struct reader *reader, const struct exchange *exchange)
{
    read_authorization(reader);
    if (!reader->why && !reader->credential.kind)
        read_subprotocol(reader);
    if (!reader->why && !reader->credential.kind)
        read_query(reader);
    if (!reader->why && !reader->credential.kind)
        read_cookie(reader, exchange);
    if (!reader->why && !reader->credential.kind)
        read_certificate(reader, exchange);
    if (buf_failed(&reader->room))
        reader->why = "no memory: try again";
}

struct str identity_credential(const struct exchange *exchange, struct buf *room)
{
    struct reader reader = {.head = exchange->head};
    read_credential(&reader, exchange);
    *room = reader.room;
    return reader.why ? STR_NONE : reader.credential.text;
}

/* ---- the authority --------------------------------------------------------------------------- */

/* Whether the operator's server may know a credential that this one does not: the session of a
 * cookie is asked about in any case, and Basic names a key. */
static bool may_be_opaque(const struct exchange *exchange, enum credential_kind kind)
{
    return api_of(exchange)->authorizers &&
           (kind == CREDENTIAL_BEARER || kind == CREDENTIAL_QUERY ||
            kind == CREDENTIAL_SUBPROTOCOL);
}

static bool is_revoked(const struct exchange *exchange, int64_t now_us)
{
    const struct api *api = api_of(exchange);
    return (api->revocations && revocations_have(api->revocations, exchange->caller, now_us)) ||
           caller_lost_voucher(exchange->caller, api->vouchers, api->vouchers_count);
}

/* Whether the exchange goes on; otherwise it was answered. */
static bool take_identity(struct exchange *exchange, const struct identity *identity)
{
    int64_t now_us = clock_wall_us(exchange->worker->config.clock);
    struct refusal refusal = {.problem = PROBLEM_BAD_CREDENTIAL, .detail = identity->why};
    exchange->is_identified = true;
    exchange->caller = identity->caller;
    if (identity->state == IDENTITY_UNAVAILABLE)
        refusal.problem = PROBLEM_UNAVAILABLE;
    else if (identity->state == IDENTITY_KNOWN && is_revoked(exchange, now_us))
        refusal.detail = ACCESS_REVOKED_WORDS;
    else if (identity->state == IDENTITY_KNOWN && caller_is_authenticated(identity->caller, now_us))
        return true;
    else if (identity->state == IDENTITY_KNOWN)
        refusal.detail = ACCESS_EXPIRED_WORDS;
    api_refuse_as(exchange, &refusal);
    return false;
}

static bool ask(struct exchange *exchange, const struct credential *credential)
{
    struct asking *asking = asking_begin(exchange, &exchange->late);
    if (!asking)
        return false;
    struct identity identity =
        authority_identify(api_of(exchange)->authority, credential, &asking->identification);
    if (identity.state == IDENTITY_LATER) {
        asking_wait(asking);
        return false;
    }
    free(asking);
    exchange->is_opaque =
        identity.state == IDENTITY_FOREIGN && may_be_opaque(exchange, credential->kind);
    if (!exchange->is_opaque)
        return take_identity(exchange, &identity);
    exchange->is_identified = true;
    return true;
}

bool identity_find(struct exchange *exchange)
{
    struct reader reader = {.head = exchange->head};
    const struct identity *late = exchange->late;
    bool found = false;
    exchange->late = NULL;
    if (late)
        return take_identity(exchange, late);
    if (exchange->is_identified || !api_of(exchange)->authority)
        return true;
    read_credential(&reader, exchange);
    if (reader.why)
        api_refuse(exchange, PROBLEM_BAD_CREDENTIAL, reader.why);
    else
        found = !reader.credential.kind || ask(exchange, &reader.credential);
    buf_free(&reader.room);
    return found;
}
