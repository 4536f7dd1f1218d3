#include "transport/permits.h"

#include "transport/testing.h"

#define UPGRADE                                                                                    \
    "GET /v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                 \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

enum { UNAVAILABLE_CODE = 4503, ALLOCATIONS = 60 };

/* ---- an operator's server ---------------------------------------------------------------------*/

static struct {
    bool can_ask, lacks_memory, knows;
    bool is_elsewhere; /* decides about other channels */
    unsigned asked;
} operator_server;

static struct evidence *show(struct exchange *exchange)
{
    const struct evidence facts = {.address = STR("192.0.2.1"),
                                   .credential = exchange->is_opaque ? STR("opaque") : STR_NONE};
    return operator_server.lacks_memory ? NULL : evidence_new(&facts);
}

static struct identity ask(void *app, const struct permission_question *question,
                           struct identification *identification)
{
    (void)app;
    (void)identification;
    operator_server.asked++;
    if (!question->count || !operator_server.can_ask || operator_server.is_elsewhere)
        return (struct identity){.state = IDENTITY_FOREIGN};
    if (!operator_server.knows)
        return identity_bad("the operator's server does not allow it");
    const struct grant grant = {question->terms, question->count, action_bit(question->action)};
    return identity_of(caller_new(
        &(struct caller_facts){.kind = CALLER_BACKEND, .grants = &grant, .grants_count = 1}));
}

static bool can_ask(void *app)
{
    (void)app;
    return operator_server.can_ask;
}

static const struct permission_source source = {.ask = ask, .can_ask = can_ask};

/* A handshake with a credential that only the operator's server knows. */
static void handle_opaque(struct exchange *exchange)
{
    exchange->may_ask = exchange->is_opaque = true;
    freshet_v1_begin(exchange, NULL);
}

static void handle_anybody(struct exchange *exchange)
{
    exchange->may_ask = true;
    freshet_v1_begin(exchange, NULL);
}

/* ---- the rig ----------------------------------------------------------------------------------*/

static struct authority authority; /* without sources: no credential is known */

static int begin(void **state)
{
    struct bench *bench = bench_new();
    bench_begin(bench);
    memset(&operator_server, 0, sizeof(operator_server));
    operator_server.can_ask = true;
    struct rule rule = {.prefix = STR_NONE, .anybody = action_bit(ACTION_READ)};
    bench->worker.config.rules = rules_new(&rule, 1);
    bench->worker.config.authority = &authority;
    bench->worker.config.permissions = &source;
    bench->worker.config.show = show;
    bench->worker.config.handle = handle_opaque;
    *state = bench;
    return 0;
}

static int end(void **state)
{
    struct bench *bench = *state;
    const struct rules *rules = bench->worker.config.rules;
    bench_free(bench);
    rules_unref(rules);
    return 0;
}

static void hear(struct bench *bench, struct peer *peer)
{
    bench_settle(bench);
    peer_hear(bench, peer);
}

/* ---- credentials that only the operator's server knows ----------------------------------------*/

static void an_opaque_credential_without_evidence_is_refused(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    operator_server.lacks_memory = true;
    peer_join(bench, &peer);
    peer_send(&peer, STR(UPGRADE));
    hear(bench, &peer);
    assert_true(peer_has(&peer, "HTTP/1.1 503"));
    peer_leave(bench, &peer);
}

/* Whatever allocation fails: anybody may read all channels, and this credential none. */
static void an_opaque_credential_never_gets_the_rights_of_anybody(void **state)
{
    struct bench *bench = *state;
    bool closed = false;
    for (unsigned i = 1; i < ALLOCATIONS; i++) {
        struct peer peer;
        peer_join(bench, &peer);
        mem_fail_nth(i);
        peer_send(&peer, STR(UPGRADE));
        bench_settle(bench);
        mem_fail_nth(0);
        peer_hear(bench, &peer);
        if (peer_has(&peer, "HTTP/1.1 101")) {
            const char *head_end = memmem(peer.got.at, peer.got.len, "\r\n\r\n", 4);
            buf_drop(&peer.got, (size_t)(head_end + 4 - peer.got.at));
            peer_frame(NULL, &peer, WS_TEXT, STR("{\"op\":\"subscribe\",\"channels\":[\"a\"]}"));
            hear(bench, &peer);
            assert_false(peer_has(&peer, "\"op\":\"live\""));
            closed |= peer_close_code(bench, &peer) == UNAVAILABLE_CODE;
        }
        peer_leave(bench, &peer);
    }
    assert_true(closed); /* the copy was there, and not the place for it */
}

/* ---- auth ------------------------------------------------------------------------------------ */

static void join(struct bench *bench, struct peer *peer)
{
    bench->worker.config.handle = handle_anybody;
    peer_join(bench, peer);
    peer_upgrade(bench, peer, UPGRADE);
}

static void an_unknown_credential_is_refused_where_there_is_no_server_to_ask(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    operator_server.can_ask = false; /* by a reload */
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"opaque\"}");
    hear(bench, &peer);
    assert_true(peer_has(&peer, "bad-credential"));
    assert_false(peer_has(&peer, "\"op\":\"ok\""));
    peer_leave(bench, &peer);
}

/* A credential that changes nothing: the connection goes on with what it had. */
static void
an_unknown_credential_is_refused_where_no_server_decides_about_the_channels(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    peer_text(bench, &peer, "{\"op\":\"subscribe\",\"channels\":[\"a\"]}");
    hear(bench, &peer);
    assert_true(peer_has(&peer, "\"op\":\"live\""));
    buf_clear(&peer.got);
    operator_server.is_elsewhere = true;
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"opaque\"}");
    hear(bench, &peer);
    assert_true(peer_has(&peer, "bad-credential"));
    assert_false(peer_has(&peer, "\"lost\""));
    peer_leave(bench, &peer);
}

static void an_unknown_credential_is_kept_if_a_server_may_be_asked_about_it_later(void **state)
{
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    peer_text(bench, &peer, "{\"op\":\"auth\",\"token\":\"opaque\"}");
    hear(bench, &peer);
    assert_true(peer_has(&peer, "\"op\":\"ok\""));
    buf_clear(&peer.got);
    operator_server.knows = true;
    peer_text(bench, &peer, "{\"op\":\"subscribe\",\"channels\":[\"a\"]}");
    hear(bench, &peer);
    assert_true(peer_has(&peer, "\"op\":\"live\""));
    assert_true(operator_server.asked > 0);
    peer_leave(bench, &peer);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_refusal_says_that_the_server_was_asked_only_if_it_was(void **state)
{
    static const char publish[] = "{\"op\":\"publish\",\"channel\":\"a\",\"data\":1}";
    struct bench *bench = *state;
    struct peer peer;
    join(bench, &peer);
    operator_server.is_elsewhere = true;
    peer_text(bench, &peer, publish);
    hear(bench, &peer);
    assert_true(peer_has(&peer, "/errors/unauthorized"));
    assert_false(peer_has(&peer, "server was asked"));
    operator_server.is_elsewhere = false;
    peer_text(bench, &peer, publish);
    hear(bench, &peer);
    assert_true(peer_has(&peer, "server was asked"));
    peer_leave(bench, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(an_opaque_credential_without_evidence_is_refused),
        TEST(an_opaque_credential_never_gets_the_rights_of_anybody),
        TEST(an_unknown_credential_is_refused_where_there_is_no_server_to_ask),
        TEST(an_unknown_credential_is_refused_where_no_server_decides_about_the_channels),
        TEST(an_unknown_credential_is_kept_if_a_server_may_be_asked_about_it_later),
        TEST(a_refusal_says_that_the_server_was_asked_only_if_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
