#include "backend/authorize.h"

#include "access/revocations.h"
#include "net/client.h"
#include "net/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#define NOW_US (INT64_C(1800000000) * 1000000)

enum { CALLS_MAX = 16 };

/* A client that records calls, and a worker with a mailbox that asks. */
struct rig {
    struct clock_fake clock;
    struct loop loop;
    struct client client;
    struct authorize authorize;
    struct mailbox worker;
    struct call *calls[CALLS_MAX];
    unsigned count;
    struct buf body; /* of the last call */
    struct buf headers;
    struct authorize_server server;
    const char *address; /* of those who ask; empty: a Unix socket; NULL: not known any more */
};

struct asker {
    struct identification identification;
    unsigned answers;
};

static int start_call(struct client *client, struct call *call, const struct call_request *request)
{
    struct rig *rig = container_of(client, struct rig, client);
    rig->calls[rig->count++ % CALLS_MAX] = call;
    buf_clear(&rig->body);
    buf_clear(&rig->headers);
    buf_add_str(&rig->body, request->body);
    for (struct curl_slist *line = request->headers; line; line = line->next)
        buf_addf(&rig->headers, "%s\n", line->data);
    curl_slist_free_all(request->headers);
    return 0;
}

static void stop_call(struct call *call)
{
    (void)call;
}

static const struct client_ops recorded = {start_call, stop_call};

static void open_rig(struct rig *rig)
{
    *rig = (struct rig){.server = {.url = "https://app/authorize",
                                   .cache_s = 10,
                                   .timeout_ms = 5000,
                                   .headers = {STR("cookie")},
                                   .headers_count = 1}};
    clock_fake_init(&rig->clock, NOW_US);
    sign_key_make(&rig->server.key);
    assert_int_equal(loop_init(&rig->loop, &rig->clock.clock, rig), 0);
    rig->client = (struct client){.ops = &recorded, .loop = &rig->loop};
    assert_int_equal(mailbox_init(&rig->worker, rig), 0);
    rig->address = "192.0.2.1";
    assert_int_equal(authorize_init(&rig->authorize, &rig->client), 0);
}

static void close_rig(struct rig *rig)
{
    authorize_end(&rig->authorize);
    while (mailbox_empty(&rig->worker))
        ;
    assert_int_equal(atomic_load(&rig->authorize.questions), 0);
    assert_int_equal(atomic_load(&rig->authorize.held), 0);
    assert_int_equal(quota_holders(&rig->authorize.addresses), 0);
    authorize_deinit(&rig->authorize);
    mailbox_deinit(&rig->worker);
    loop_deinit(&rig->loop);
    buf_free(&rig->body);
    buf_free(&rig->headers);
}

static void on_answer(struct identification *identification)
{
    container_of(identification, struct asker, identification)->answers++;
}

static uint64_t peer_of_rig(const char *address)
{
    union client_address client;
    if (!address)
        return PEER_UNKNOWN;
    return client_address_parse(str_from(address), &client) ? PEER_NONE : peer_number(&client.any);
}

/* Asks whether a session may read the channel; opens the mail. */
static struct identity ask_as(struct rig *rig, struct asker *asker, const struct caller *caller,
                              const char *session)
{
    const struct str terms[] = {STR("chat/room1"), STR("news/*")};
    const struct evidence_field field = {STR("cookie"), str_from(session)};
    const struct evidence evidence = {.address = str_from(rig->address ? rig->address : ""),
                                      .peer = peer_of_rig(rig->address),
                                      .fields = &field,
                                      .fields_count = 1};
    struct authorize_question question = {
        .server = &rig->server,
        .action = ACTION_READ,
        .terms = terms,
        .terms_count = 2,
        .caller = caller,
        .evidence = &evidence,
    };
    *asker = (struct asker){.identification = {.done = on_answer,
                                               .home = &rig->worker,
                                               .now_us = clock_wall_us(&rig->clock.clock)}};
    struct identity identity = authorize_ask(&rig->authorize, &question, &asker->identification);
    loop_turn(&rig->loop, 0);
    return identity;
}

static struct identity ask(struct rig *rig, struct asker *asker, const char *session)
{
    return ask_as(rig, asker, NULL, session);
}

/* Ends the call by an answer; 0 is none. */
static void end_by(struct rig *rig, unsigned number, int status, const char *body)
{
    struct call *call = rig->calls[number];
    call->status = status;
    call->error = status ? NULL : "timed out";
    call->timed_out = !status;
    call->response_size = strlen(body);
    buf_add_str(&call->response, str_from(body));
    call_end(call);
    mailbox_empty(&rig->worker);
}

static enum identity_state state_of(struct asker *asker)
{
    assert_int_equal(asker->answers, 1);
    caller_unref(asker->identification.identity.caller);
    return asker->identification.identity.state;
}

static bool has(const struct buf *buf, const char *part)
{
    return memmem(buf->at, buf->len, part, strlen(part)) != NULL;
}

static void the_question_tells_who_asks_for_what(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    assert_int_equal(ask(&rig, &asker, "sid=\"1\"").state, IDENTITY_LATER);
    assert_true(
        str_eq(buf_str(&rig.body),
               STR("{\"action\":\"read\",\"channels\":[\"chat/room1\",\"news/*\"],"
                   "\"address\":\"192.0.2.1\",\"headers\":{\"cookie\":\"sid=\\\"1\\\"\"}}")));
    assert_true(has(&rig.headers, "webhook-id: ask_"));
    assert_true(has(&rig.headers, "webhook-timestamp: 1800000000\n"));
    assert_true(has(&rig.headers, "webhook-signature: v1,"));
    close_rig(&rig);
    assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
}

static void an_allowed_caller_may_do_just_that(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    (void)ask(&rig, &asker, "1");
    end_by(&rig, 0, 200, "{\"allow\":true,\"subject\":\"alice\",\"ttl_s\":60,\"more\":[]}");
    const struct caller *caller = asker.identification.identity.caller;
    assert_non_null(caller);
    assert_true(str_eq(caller_subject(caller), STR("alice")));
    assert_int_equal(caller->facts.kind, CALLER_BACKEND);
    assert_int_equal(caller->facts.expires_us, NOW_US + 60 * INT64_C(1000000));
    assert_int_equal(caller->facts.grants_count, 1);
    assert_int_equal(caller->facts.grants[0].may, action_bit(ACTION_READ));
    assert_int_equal(caller->facts.grants[0].patterns_count, 2);
    assert_true(str_eq(caller->facts.grants[0].patterns[1], STR("news/*")));
    assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
    close_rig(&rig);
}

static void a_visitor_who_is_not_named_stays_anybody(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    (void)ask(&rig, &asker, "1");
    end_by(&rig, 0, 200, "{\"allow\":true}");
    assert_int_equal(asker.identification.identity.caller->facts.kind, CALLER_ANYBODY);
    assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
    close_rig(&rig);
}

static void answers_are_kept_for_a_while(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum identity_state expected;
    } rows[] = {{"{\"allow\":true}", IDENTITY_KNOWN}, {"{\"allow\":false}", IDENTITY_BAD}};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        struct asker asker;
        open_rig(&rig);
        (void)ask(&rig, &asker, "1");
        end_by(&rig, 0, 200, rows[i].body);
        assert_int_equal(state_of(&asker), rows[i].expected);
        clock_fake_advance(&rig.clock, 9999999);
        struct identity identity = ask(&rig, &asker, "1");
        assert_int_equal(identity.state, rows[i].expected);
        caller_unref(identity.caller);
        assert_int_equal(ask(&rig, &asker, "2").state, IDENTITY_LATER);
        end_by(&rig, 1, 200, "{\"allow\":false}");
        assert_int_equal(state_of(&asker), IDENTITY_BAD);
        clock_fake_advance(&rig.clock, 1);
        assert_int_equal(ask(&rig, &asker, "1").state, IDENTITY_LATER);
        assert_int_equal(rig.count, 3);
        close_rig(&rig);
        assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
    }
}

static void a_clock_that_was_set_back_keeps_no_answer_for_longer(void **state)
{
    (void)state;
    static const struct {
        int64_t back_us;
        bool is_kept;
    } rows[] = {{0, true}, {999999, true}, {1000000, false}, {3600000000, false}};
    static const char *const answers[] = {"{\"allow\":true}", "{\"allow\":false}"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t j = 0; j < 2; j++) {
            struct rig rig;
            struct asker asker;
            open_rig(&rig);
            (void)ask(&rig, &asker, "1");
            end_by(&rig, 0, 200, answers[j]);
            (void)state_of(&asker);
            atomic_fetch_sub(&rig.clock.wall_us, rows[i].back_us);
            struct identity identity = ask(&rig, &asker, "1");
            assert_int_equal(identity.state != IDENTITY_LATER, rows[i].is_kept);
            caller_unref(identity.caller);
            close_rig(&rig);
            if (!rows[i].is_kept)
                (void)state_of(&asker);
        }
}

static void equal_questions_are_one_request(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[5];
    open_rig(&rig);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(ask(&rig, &askers[i], i < 4 ? "same" : "other").state, IDENTITY_LATER);
    assert_int_equal(rig.count, 2);
    end_by(&rig, 0, 200, "{\"allow\":true}");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(state_of(&askers[i]), IDENTITY_KNOWN);
    assert_int_equal(askers[4].answers, 0);
    close_rig(&rig);
    assert_int_equal(state_of(&askers[4]), IDENTITY_UNAVAILABLE);
}

static void no_other_answer_allows_anything(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {0, ""},
        {500, "{\"allow\":true}"},
        {204, ""},
        {201, "{\"allow\":true}"},
        {302, "{\"allow\":true}"},
        {200, ""},
        {200, "<html>"},
        {200, "true"},
        {200, "[{\"allow\":true}]"},
        {200, "{}"},
        {200, "{\"allow\":1}"},
        {200, "{\"allow\":\"true\"}"},
        {200, "{\"allow\":true,\"allow\":false}"},
        {200, "{\"allow\":true,\"ttl_s\":0}"},
        {200, "{\"allow\":true,\"ttl_s\":-1}"},
        {200, "{\"allow\":true,\"ttl_s\":86401}"},
        {200, "{\"allow\":true,\"ttl_s\":\"60\"}"},
        {200, "{\"allow\":true,\"ttl_s\":1.5}"},
        {200, "{\"allow\":true,\"subject\":\"\"}"},
        {200, "{\"allow\":true,\"subject\":7}"},
        {200, "{\"allow\":true,\"subject\":\"a\\nb\"}"},
        {200, "{\"allow\":true}}"},
        {200, "{\"allow\":true,\"x\":[[[[[]]]]]}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct rig rig;
        struct asker asker;
        open_rig(&rig);
        (void)ask(&rig, &asker, "1");
        end_by(&rig, 0, rows[i].status, rows[i].body);
        if (state_of(&asker) != IDENTITY_UNAVAILABLE)
            fail_msg("%d %s", rows[i].status, rows[i].body);
        assert_int_equal(ask(&rig, &asker, "1").state, IDENTITY_LATER); /* it is asked again */
        close_rig(&rig);
        assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
    }
}

static void a_huge_answer_allows_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    (void)ask(&rig, &asker, "1");
    buf_add_lit(&rig.calls[0]->response, "{\"allow\":true}");
    rig.calls[0]->status = 200;
    rig.calls[0]->response_size = CLIENT_RESPONSE_MAX + 1;
    call_end(rig.calls[0]);
    mailbox_empty(&rig.worker);
    assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
    close_rig(&rig);
}

static void a_permission_ends_with_the_credential_that_it_rests_on(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    struct caller *token = caller_new(&(struct caller_facts){
        .kind = CALLER_TOKEN, .subject = STR("bob"), .jti = STR("t1"), .expires_us = NOW_US + 5});
    (void)ask_as(&rig, &asker, token, "1");
    assert_true(has(&rig.body, "\"subject\":\"bob\""));
    end_by(&rig, 0, 200, "{\"allow\":true,\"ttl_s\":60}");
    const struct caller *caller = asker.identification.identity.caller;
    assert_non_null(caller);
    assert_true(str_eq(caller_subject(caller), STR("bob")));
    assert_true(str_eq(caller->facts.jti, STR("t1")));
    assert_int_equal(caller->facts.expires_us, NOW_US + 5);
    assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
    assert_int_equal(ask(&rig, &asker, "1").state, IDENTITY_LATER); /* nobody else inherits it */
    caller_unref(token);
    close_rig(&rig);
    assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
}

/* Revokes the subject in a list of its own, and says whether that reaches the caller. */
static bool is_reached(const struct caller *caller, struct str subject, int64_t at_us)
{
    struct revocations list;
    revocations_init(&list);
    revocations_put(&list, revocation_new(&(struct revocation_facts){
                               .kind = REVOKED_SUBJECT, .name = subject, .at_us = at_us}));
    bool reached = revocations_have(&list, caller, NOW_US);
    revocations_deinit(&list);
    return reached;
}

static void a_revocation_of_the_credential_reaches_the_permission(void **state)
{
    static const char *const answers[] = {"{\"allow\":true}",
                                          "{\"allow\":true,\"subject\":\"user 42\"}"};
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    struct caller *token = caller_new(&(struct caller_facts){
        .kind = CALLER_TOKEN, .subject = STR("bob"), .issued_us = NOW_US - 10});
    for (unsigned i = 0; i < 2; i++) {
        (void)ask_as(&rig, &asker, token, i ? "1" : "2");
        end_by(&rig, i, 200, answers[i]);
        const struct caller *caller = asker.identification.identity.caller;
        assert_non_null(caller);
        assert_true(is_reached(caller, STR("bob"), NOW_US - 5));
        assert_false(is_reached(caller, STR("bob"), NOW_US - 15)); /* signed in again since */
        assert_int_equal(is_reached(caller, STR("user 42"), NOW_US - 15), i);
        assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
    }
    caller_unref(token);
    close_rig(&rig);
}

static void a_kept_answer_is_for_credentials_with_the_same_issue_and_grants(void **state)
{
    (void)state;
    static const struct str terms[] = {{"a", 1}, {"b", 1}};
    const struct {
        int64_t issued_us;
        struct grant grant;
    } rows[] = {
        {NOW_US, {terms, 1, action_bit(ACTION_READ)}},
        {NOW_US - 1, {terms, 1, action_bit(ACTION_READ)}},
        {NOW_US, {terms, 2, action_bit(ACTION_READ)}},
        {NOW_US, {terms, 1, action_bit(ACTION_PUBLISH)}},
    };
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller *token = caller_new(&(struct caller_facts){.kind = CALLER_TOKEN,
                                                                 .subject = STR("bob"),
                                                                 .issued_us = rows[i].issued_us,
                                                                 .grants = &rows[i].grant,
                                                                 .grants_count = 1});
        assert_int_equal(ask_as(&rig, &asker, token, "1").state, IDENTITY_LATER);
        end_by(&rig, i, 200, "{\"allow\":true}");
        assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
        caller_unref(token);
    }
    close_rig(&rig);
}

/* A second question is asked by the caller of the first answer. Tokens of seconds make its end the
 * same for two credentials, and so is all else but what they rest on. */
static void a_kept_answer_is_for_the_credential_below_an_earlier_permission(void **state)
{
    (void)state;
    static const struct str term = {"chat/room1", 10};
    const struct grant powers[] = {{&term, 1, action_bit(ACTION_ADMIN)},
                                   {&term, 1, action_bit(ACTION_READ)}};
    const struct caller_facts rows[] = {
        {.kind = CALLER_TOKEN, .grants = &powers[0], .grants_count = 1},
        {.kind = CALLER_TOKEN, .grants = &powers[1], .grants_count = 1},
        {.kind = CALLER_TOKEN},
        {.kind = CALLER_TOKEN, .voucher = 7},
        {.kind = CALLER_TOKEN, .subject = STR("bob")},
        {.kind = CALLER_CERTIFICATE},
    };
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct caller *base = caller_new(&rows[i]);
        struct caller *permitted = caller_new(&(struct caller_facts){.kind = CALLER_BACKEND,
                                                                     .subject = STR("alice"),
                                                                     .expires_us = NOW_US + 5,
                                                                     .base = base});
        assert_int_equal(ask_as(&rig, &asker, permitted, "1").state, IDENTITY_LATER);
        end_by(&rig, i, 200, "{\"allow\":true}");
        assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
        caller_unref(permitted);
        caller_unref(base);
    }
    close_rig(&rig);
}

static void a_field_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    struct identity identity = ask(&rig, &asker, "\xff");
    assert_int_equal(identity.state, IDENTITY_BAD);
    assert_true(identity.is_unfit);
    assert_int_equal(rig.count, 0);
    close_rig(&rig);
}

static void a_question_that_is_too_long_is_refused_for_that(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    char session[AUTHORIZE_BODY_MAX + 1];
    memset(session, 'x', sizeof(session) - 1);
    session[sizeof(session) - 1] = '\0';
    open_rig(&rig);
    struct identity identity = ask(&rig, &asker, session);
    assert_int_equal(identity.state, IDENTITY_UNAVAILABLE);
    assert_non_null(strstr(identity.why, "more than 64 KiB"));
    assert_int_equal(rig.count, 0);
    close_rig(&rig);
}

static void questions_are_bounded(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    open_rig(&rig);
    atomic_store(&rig.authorize.questions, AUTHORIZE_QUESTIONS_MAX);
    assert_int_equal(ask(&rig, &asker, "1").state, IDENTITY_UNAVAILABLE);
    atomic_store(&rig.authorize.questions, 0);
    close_rig(&rig);
}

static void the_bytes_of_questions_are_bounded(void **state)
{
    (void)state;
    static char session[AUTHORIZE_BODY_MAX - 1024];
    struct rig rig;
    struct asker first, second;
    open_rig(&rig);
    memset(session, 's', sizeof(session) - 1);
    assert_int_equal(ask(&rig, &first, session).state, IDENTITY_LATER);
    size_t held = atomic_load(&rig.authorize.held);
    assert_true(held > sizeof(session));
    atomic_store(&rig.authorize.held, AUTHORIZE_HELD_MAX - held + 1);
    assert_int_equal(ask(&rig, &second, session).state, IDENTITY_UNAVAILABLE);
    atomic_store(&rig.authorize.held, AUTHORIZE_HELD_MAX - held);
    assert_int_equal(ask(&rig, &second, session).state, IDENTITY_LATER);
    atomic_store(&rig.authorize.held, 2 * held);
    close_rig(&rig);
    assert_int_equal(state_of(&first), IDENTITY_UNAVAILABLE);
    assert_int_equal(state_of(&second), IDENTITY_UNAVAILABLE);
}

static void the_bytes_of_kept_answers_are_bounded(void **state)
{
    enum { ROOM = 8 << 10 };
    (void)state;
    struct rig rig;
    struct asker asker;
    char session[16];
    open_rig(&rig);
    authorize_limit(&rig.authorize, &(struct authorize_limits){.kept_max = ROOM, .site_max = 1});
    for (unsigned i = 0; i < 200; i++) {
        snprintf(session, sizeof(session), "%u", i);
        (void)ask(&rig, &asker, session);
        end_by(&rig, i % CALLS_MAX, 200, "{\"allow\":true,\"subject\":\"alice\"}");
        assert_int_equal(state_of(&asker), IDENTITY_KNOWN);
    }
    struct authorize_stats stats = authorize_stats(&rig.authorize);
    assert_true(stats.kept > 5 && stats.kept < 100);
    assert_true(stats.kept_bytes <= ROOM && stats.kept_bytes > ROOM / 2);
    authorize_limit(&rig.authorize, &(struct authorize_limits){.kept_max = 0, .site_max = 1});
    stats = authorize_stats(&rig.authorize);
    assert_true(!stats.kept && !stats.kept_bytes);
    (void)ask(&rig, &asker, "x");
    end_by(&rig, 200 % CALLS_MAX, 200, "{\"allow\":false}");
    assert_int_equal(authorize_stats(&rig.authorize).kept, 0);
    close_rig(&rig);
}

static void an_address_cannot_take_all_places(void **state)
{
    enum { SHARE = 3 };
    (void)state;
    struct rig rig;
    struct asker askers[SHARE + 4];
    char session[16];
    open_rig(&rig);
    authorize_limit(&rig.authorize,
                    &(struct authorize_limits){.address_max = SHARE, .site_max = 64});
    for (unsigned i = 0; i < SHARE; i++) {
        snprintf(session, sizeof(session), "%u", i);
        assert_int_equal(ask(&rig, &askers[i], session).state, IDENTITY_LATER);
    }
    assert_int_equal(ask(&rig, &askers[SHARE], "x").state, IDENTITY_UNAVAILABLE);
    rig.address = "::ffff:192.0.2.1"; /* the same one */
    assert_int_equal(ask(&rig, &askers[SHARE], "x").state, IDENTITY_UNAVAILABLE);
    rig.address = "2001:db8::1";
    assert_int_equal(ask(&rig, &askers[SHARE], "x").state, IDENTITY_LATER);
    rig.address = ""; /* by a Unix socket */
    assert_int_equal(ask(&rig, &askers[SHARE + 1], "y").state, IDENTITY_LATER);
    rig.address = "192.0.2.1";
    end_by(&rig, 0, 200, "{\"allow\":false}");
    assert_int_equal(ask(&rig, &askers[SHARE + 2], "z").state, IDENTITY_LATER);
    struct authorize_stats stats = authorize_stats(&rig.authorize);
    assert_int_equal(stats.counts[AUTHORIZE_REFUSED], 2);
    assert_int_equal(stats.addresses, 2);
    close_rig(&rig);
}

static void clients_of_an_unknown_address_have_the_share_of_one(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[3];
    open_rig(&rig);
    authorize_limit(&rig.authorize, &(struct authorize_limits){.address_max = 1, .site_max = 64});
    rig.address = NULL;
    assert_int_equal(ask(&rig, &askers[0], "x").state, IDENTITY_LATER);
    assert_int_equal(ask(&rig, &askers[1], "y").state, IDENTITY_UNAVAILABLE);
    rig.address = "192.0.2.1";
    assert_int_equal(ask(&rig, &askers[2], "z").state, IDENTITY_LATER);
    close_rig(&rig);
}

/* ---- turns ----------------------------------------------------------------------------------- */

static void limit_site(struct rig *rig, uint32_t site_max)
{
    authorize_limit(&rig->authorize,
                    &(struct authorize_limits){.address_max = 1000, .site_max = site_max});
}

static void an_address_leaves_places_of_a_slow_site_to_others(void **state)
{
    static const struct {
        uint32_t address_max, site_max;
        unsigned sent; /* of the busy address's four */
    } rows[] = {{1000, 5, 3}, {1000, 4, 3}, {1000, 3, 2}, {1000, 2, 1},
                {1000, 1, 1}, {0, 3, 3},    {0, 5, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const char *const sessions[] = {"a", "b", "c", "d"};
        struct rig rig;
        struct asker askers[5];
        open_rig(&rig);
        authorize_limit(&rig.authorize,
                        &(struct authorize_limits){.address_max = rows[i].address_max,
                                                   .site_max = rows[i].site_max});
        for (unsigned j = 0; j < 4; j++)
            assert_int_equal(ask(&rig, &askers[j], sessions[j]).state, IDENTITY_LATER);
        assert_int_equal(rig.count, rows[i].sent);
        rig.address = "192.0.2.2";
        assert_int_equal(ask(&rig, &askers[4], "e").state, IDENTITY_LATER);
        if (rows[i].sent < rows[i].site_max) {
            assert_int_equal(rig.count, rows[i].sent + 1);
            assert_true(has(&rig.body, "192.0.2.2"));
            end_by(&rig, rows[i].sent, 200, "{\"allow\":true}");
            assert_int_equal(state_of(&askers[4]), IDENTITY_KNOWN);
        }
        close_rig(&rig);
    }
}

static void addresses_take_turns(void **state)
{
    static const char *const addresses[] = {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2",
                                            "192.0.2.2", "192.0.2.3", "192.0.2.1"};
    static const char *const turns[] = {"192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3",
                                        "192.0.2.1", "192.0.2.2", "192.0.2.1"};
    (void)state;
    struct rig rig;
    struct asker askers[7];
    char session[16];
    open_rig(&rig);
    limit_site(&rig, 1);
    for (unsigned i = 0; i < 7; i++) {
        snprintf(session, sizeof(session), "%u", i);
        rig.address = addresses[i];
        assert_int_equal(ask(&rig, &askers[i], session).state, IDENTITY_LATER);
    }
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(rig.count, i + 1);
        assert_true(has(&rig.body, turns[i]));
        end_by(&rig, i, 200, "{\"allow\":false}");
    }
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(state_of(&askers[i]), IDENTITY_BAD);
    close_rig(&rig);
}

static void a_slow_site_leaves_places_to_other_sites(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[3];
    open_rig(&rig);
    limit_site(&rig, 1);
    (void)ask(&rig, &askers[0], "1");
    (void)ask(&rig, &askers[1], "2");
    assert_int_equal(rig.count, 1);
    struct authorize_server slow = rig.server;
    rig.server.url = "https://other/authorize";
    (void)ask(&rig, &askers[2], "2");
    assert_int_equal(rig.count, 2);
    end_by(&rig, 1, 200, "{\"allow\":true}");
    assert_int_equal(state_of(&askers[2]), IDENTITY_KNOWN);
    assert_int_equal(rig.count, 2);
    rig.server = slow;
    close_rig(&rig);
}

/* The timer is off by up to two of its ticks, which are 64 ms. */
static void a_question_that_waits_fails_at_its_deadline(void **state)
{
    (void)state;
    struct rig rig;
    struct asker first, second, third;
    open_rig(&rig);
    limit_site(&rig, 1);
    (void)ask(&rig, &first, "1");
    (void)ask(&rig, &second, "2");
    clock_fake_advance(&rig.clock, 3000000);
    loop_turn(&rig.loop, 0);
    (void)ask(&rig, &third, "3");
    clock_fake_advance(&rig.clock, 1999000);
    loop_turn(&rig.loop, 0);
    mailbox_empty(&rig.worker);
    assert_int_equal(second.answers, 0);
    clock_fake_advance(&rig.clock, 129000);
    loop_turn(&rig.loop, 0);
    mailbox_empty(&rig.worker);
    assert_int_equal(state_of(&second), IDENTITY_UNAVAILABLE);
    assert_int_equal(third.answers, 0);
    assert_int_equal(rig.count, 1);
    assert_int_equal(authorize_stats(&rig.authorize).counts[AUTHORIZE_TIMED_OUT], 1);
    assert_int_equal(authorize_stats(&rig.authorize).waiting, 2);
    close_rig(&rig);
    assert_int_equal(state_of(&third), IDENTITY_UNAVAILABLE);
}

static void the_time_for_an_answer_runs_while_a_question_waits(void **state)
{
    static const struct {
        int64_t waited_us, left_ms; /* 0: it is not sent any more */
    } rows[] = {{0, 5000},    {1, 5000},    {1000, 4999}, {3000000, 2000},
                {4999000, 1}, {4999999, 1}, {5000000, 0}, {5000001, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct asker first, second;
        open_rig(&rig);
        limit_site(&rig, 1);
        (void)ask(&rig, &first, "1");
        assert_int_equal(rig.calls[0]->timeout_ms, 5000);
        (void)ask(&rig, &second, "2");
        clock_fake_advance(&rig.clock, rows[i].waited_us);
        end_by(&rig, 0, 200, "{\"allow\":false}");
        assert_int_equal(rig.count, rows[i].left_ms ? 2 : 1);
        if (rows[i].left_ms)
            assert_int_equal(rig.calls[1]->timeout_ms, rows[i].left_ms);
        else
            assert_int_equal(state_of(&second), IDENTITY_UNAVAILABLE);
        close_rig(&rig);
    }
}

static void equal_questions_wait_for_one_turn(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[4];
    open_rig(&rig);
    limit_site(&rig, 1);
    for (unsigned i = 0; i < 4; i++)
        (void)ask(&rig, &askers[i], i ? "same" : "first");
    end_by(&rig, 0, 200, "{\"allow\":false}");
    assert_int_equal(rig.count, 2);
    end_by(&rig, 1, 200, "{\"allow\":true}");
    assert_int_equal(rig.count, 2);
    assert_int_equal(state_of(&askers[0]), IDENTITY_BAD);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(state_of(&askers[i]), IDENTITY_KNOWN);
    close_rig(&rig);
}

static void equal_questions_that_wait_fail_together(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[3];
    open_rig(&rig);
    limit_site(&rig, 1);
    for (unsigned i = 0; i < 3; i++)
        (void)ask(&rig, &askers[i], i ? "same" : "first");
    clock_fake_advance(&rig.clock, 5200000);
    loop_turn(&rig.loop, 0);
    mailbox_empty(&rig.worker);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(state_of(&askers[i]), IDENTITY_UNAVAILABLE);
    assert_int_equal(authorize_stats(&rig.authorize).waiting, 1);
    close_rig(&rig);
}

static void a_failure_lets_the_next_question_go(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {{0, ""}, {500, ""}, {200, "<html>"}, {200, "{\"allow\":true}"}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct asker first, second;
        open_rig(&rig);
        limit_site(&rig, 1);
        (void)ask(&rig, &first, "1");
        (void)ask(&rig, &second, "2");
        end_by(&rig, 0, rows[i].status, rows[i].body);
        (void)state_of(&first);
        assert_int_equal(rig.count, 2);
        end_by(&rig, 1, 200, "{\"allow\":true}");
        assert_int_equal(state_of(&second), IDENTITY_KNOWN);
        close_rig(&rig);
    }
}

static void a_reload_that_raises_the_limit_of_a_site_holds_from_the_next_question_on(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[4];
    open_rig(&rig);
    limit_site(&rig, 1);
    (void)ask(&rig, &askers[0], "1");
    (void)ask(&rig, &askers[1], "2");
    assert_int_equal(rig.count, 1);
    limit_site(&rig, 6);
    (void)ask(&rig, &askers[2], "3");
    assert_int_equal(rig.count, 3);
    limit_site(&rig, 1);
    (void)ask(&rig, &askers[3], "4");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(rig.count, 3);
        end_by(&rig, i, 200, "{\"allow\":false}");
    }
    assert_int_equal(rig.count, 4);
    close_rig(&rig);
}

/* A reload that asks other sites stops the old backend, as the end of the server does. */
static void questions_that_wait_are_answered_when_the_backend_ends(void **state)
{
    (void)state;
    struct rig rig;
    struct asker askers[6];
    char session[16];
    open_rig(&rig);
    limit_site(&rig, 2);
    for (unsigned i = 0; i < 6; i++) {
        snprintf(session, sizeof(session), "%u", i / 2);
        rig.address = i < 4 ? "192.0.2.1" : "192.0.2.2";
        (void)ask(&rig, &askers[i], session);
    }
    assert_int_equal(rig.count, 2);
    close_rig(&rig);
    assert_int_equal(rig.count, 2);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(state_of(&askers[i]), IDENTITY_UNAVAILABLE);
}

static void questions_and_their_outcomes_are_counted(void **state)
{
    static const uint64_t expected[AUTHORIZE_COUNT] = {
        [AUTHORIZE_ASKED] = 4,  [AUTHORIZE_CACHED] = 2, [AUTHORIZE_COALESCED] = 1,
        [AUTHORIZE_DENIED] = 1, [AUTHORIZE_FAILED] = 1, [AUTHORIZE_TIMED_OUT] = 1,
    };
    (void)state;
    struct rig rig;
    struct asker askers[5];
    open_rig(&rig);
    static const char *const sessions[] = {"a", "a", "b", "c", "d"};
    for (unsigned i = 0; i < 5; i++)
        (void)ask(&rig, &askers[i], sessions[i]);
    assert_true(authorize_stats(&rig.authorize).waiting == 5);
    assert_true(authorize_stats(&rig.authorize).waiting_bytes > 5 * sizeof(struct mail));
    end_by(&rig, 0, 200, "{\"allow\":true}");
    end_by(&rig, 1, 200, "{\"allow\":false}");
    end_by(&rig, 2, 500, "");
    end_by(&rig, 3, 0, "");
    for (unsigned i = 0; i < 2; i++)
        caller_unref(askers[i].identification.identity.caller);
    for (unsigned i = 0; i < 2; i++)
        caller_unref(ask(&rig, &askers[4], i ? "a" : "b").caller);
    struct authorize_stats stats = authorize_stats(&rig.authorize);
    assert_memory_equal(stats.counts, expected, sizeof(expected));
    assert_true(stats.kept == 2 && !stats.waiting && !stats.waiting_bytes);
    close_rig(&rig);
}

static void kept_answers_are_bounded(void **state)
{
    (void)state;
    struct rig rig;
    struct asker asker;
    char session[16];
    open_rig(&rig);
    for (unsigned i = 0; i < AUTHORIZE_CACHED_MAX + 10; i++) {
        snprintf(session, sizeof(session), "%u", i);
        assert_int_equal(ask(&rig, &asker, session).state, IDENTITY_LATER);
        end_by(&rig, i % CALLS_MAX, 200, "{\"allow\":false}");
    }
    assert_int_equal(rig.authorize.cached.count, AUTHORIZE_CACHED_MAX);
    assert_int_equal(ask(&rig, &asker, session).state, IDENTITY_BAD);
    assert_int_equal(ask(&rig, &asker, "0").state, IDENTITY_LATER);
    close_rig(&rig);
    assert_int_equal(state_of(&asker), IDENTITY_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_question_tells_who_asks_for_what),
        cmocka_unit_test(an_allowed_caller_may_do_just_that),
        cmocka_unit_test(a_visitor_who_is_not_named_stays_anybody),
        cmocka_unit_test(answers_are_kept_for_a_while),
        cmocka_unit_test(a_clock_that_was_set_back_keeps_no_answer_for_longer),
        cmocka_unit_test(equal_questions_are_one_request),
        cmocka_unit_test(no_other_answer_allows_anything),
        cmocka_unit_test(a_huge_answer_allows_nothing),
        cmocka_unit_test(a_permission_ends_with_the_credential_that_it_rests_on),
        cmocka_unit_test(a_revocation_of_the_credential_reaches_the_permission),
        cmocka_unit_test(a_kept_answer_is_for_credentials_with_the_same_issue_and_grants),
        cmocka_unit_test(a_kept_answer_is_for_the_credential_below_an_earlier_permission),
        cmocka_unit_test(a_field_that_is_not_utf8_is_refused),
        cmocka_unit_test(a_question_that_is_too_long_is_refused_for_that),
        cmocka_unit_test(questions_are_bounded),
        cmocka_unit_test(the_bytes_of_questions_are_bounded),
        cmocka_unit_test(the_bytes_of_kept_answers_are_bounded),
        cmocka_unit_test(an_address_cannot_take_all_places),
        cmocka_unit_test(clients_of_an_unknown_address_have_the_share_of_one),
        cmocka_unit_test(an_address_leaves_places_of_a_slow_site_to_others),
        cmocka_unit_test(addresses_take_turns),
        cmocka_unit_test(a_slow_site_leaves_places_to_other_sites),
        cmocka_unit_test(a_question_that_waits_fails_at_its_deadline),
        cmocka_unit_test(the_time_for_an_answer_runs_while_a_question_waits),
        cmocka_unit_test(equal_questions_wait_for_one_turn),
        cmocka_unit_test(equal_questions_that_wait_fail_together),
        cmocka_unit_test(a_failure_lets_the_next_question_go),
        cmocka_unit_test(a_reload_that_raises_the_limit_of_a_site_holds_from_the_next_question_on),
        cmocka_unit_test(questions_that_wait_are_answered_when_the_backend_ends),
        cmocka_unit_test(questions_and_their_outcomes_are_counted),
        cmocka_unit_test(kept_answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
