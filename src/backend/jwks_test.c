#include "backend/jwks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "access/testing_tokens.h"
#include "base/base64.h"
#include "net/peer.h"

#define NOW_US (INT64_C(1800000000) * 1000000)

/* A loop of a fake clock, a client that records calls, and a worker with a mailbox that asks. */
struct rig {
    struct clock_fake clock;
    struct loop loop;
    struct client client;
    struct issuers issuers;
    struct jwks jwks;
    struct mailbox worker;
    struct call *call; /* under way */
    unsigned calls;
    EVP_PKEY *pair;
    struct token_key *signer;
};

/* An identification, and how it was answered. */
struct asked {
    struct identification identification;
    uint64_t peer;
    unsigned answers;
};

static int start_call(struct client *client, struct call *call, const struct call_request *request)
{
    struct rig *rig = container_of(client, struct rig, client);
    curl_slist_free_all(request->headers);
    rig->call = call;
    rig->calls++;
    return 0;
}

static void stop_call(struct call *call)
{
    container_of(call->client, struct rig, client)->call = NULL;
}

static const struct client_ops recorded = {start_call, stop_call};

static void open_rig(struct rig *rig)
{
    *rig = (struct rig){.pair = pair_testing(TOKEN_EDDSA)};
    clock_fake_init(&rig->clock, NOW_US);
    atomic_store(&rig->clock.monotonic_ns, INT64_C(1000000000));
    assert_int_equal(loop_init(&rig->loop, &rig->clock.clock, rig), 0);
    rig->client = (struct client){.ops = &recorded, .loop = &rig->loop};
    assert_int_equal(mailbox_init(&rig->worker, rig), 0);
    issuers_init(&rig->issuers);
    assert_true(issuers_add(&rig->issuers, &(struct issuer){.claim = STR("freshet"),
                                                            .jwks_url = "https://idp/keys",
                                                            .refresh_s = 600,
                                                            .keep_s = 3600}));
    assert_int_equal(jwks_init(&rig->jwks, &rig->issuers, &rig->client), 0);
    jwks_begin(&rig->jwks);
    char *pem = pem_testing(rig->pair, true);
    const char *why = "";
    assert_int_equal(token_key_of_pem(TOKEN_EDDSA, str_from(pem), STR("k2"), &rig->signer, &why),
                     0);
    free(pem);
}

static void close_rig(struct rig *rig)
{
    jwks_end(&rig->jwks);
    jwks_deinit(&rig->jwks);
    while (mailbox_empty(&rig->worker))
        ;
    mailbox_deinit(&rig->worker);
    loop_deinit(&rig->loop);
    issuers_deinit(&rig->issuers);
    token_key_free(rig->signer);
    EVP_PKEY_free(rig->pair);
}

/* Ends the call that is under way by an answer. */
static void end_by(struct rig *rig, int status, struct str body)
{
    struct call *call = rig->call;
    assert_non_null(call);
    call->status = status;
    buf_add_str(&call->response, body);
    call_end(call);
}

/* The public key as a JWK Set, under this id. */
static void end_by_keys(struct rig *rig, const char *kid)
{
    unsigned char raw[32];
    size_t size = sizeof(raw);
    struct buf set = {0};
    assert_int_equal(EVP_PKEY_get_raw_public_key(rig->pair, raw, &size), 1);
    buf_addf(&set, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"", kid);
    base64url_add(&set, (struct str){(char *)raw, size});
    buf_add_lit(&set, "\"}]}");
    end_by(rig, 200, buf_str(&set));
    buf_free(&set);
}

static void pass_ms(struct rig *rig, int64_t ms)
{
    for (int64_t left = ms; left > 0; left -= 1000) {
        clock_fake_advance(&rig->clock, 1000000);
        loop_turn(&rig->loop, 0);
        loop_turn(&rig->loop, 0);
    }
}

static void on_answer(struct identification *identification)
{
    container_of(identification, struct asked, identification)->answers++;
}

static uint64_t peer_of_asked(const struct identification *identification)
{
    return container_of(identification, struct asked, identification)->peer;
}

/* Asks about a token by the key, from an address; the loop opens the question. */
static struct identity ask_from(struct rig *rig, struct asked *asked, uint64_t peer)
{
    struct buf text = {0};
    token_mint(rig->signer, STR("{\"sub\":\"alice\",\"exp\":1800099999}"), &text);
    struct credential credential = {.kind = CREDENTIAL_BEARER, .text = buf_str(&text)};
    *asked = (struct asked){.identification = {.done = on_answer,
                                               .peer = peer_of_asked,
                                               .home = &rig->worker,
                                               .now_us = NOW_US},
                            .peer = peer};
    struct identity identity =
        rig->issuers.source.identify(&rig->issuers.source, &credential, &asked->identification);
    buf_free(&text);
    loop_turn(&rig->loop, 0);
    mailbox_empty(&rig->worker);
    return identity;
}

static struct identity ask(struct rig *rig, struct asked *asked)
{
    return ask_from(rig, asked, PEER_NONE);
}

static enum identity_state answer_of(struct rig *rig, struct asked *asked)
{
    mailbox_empty(&rig->worker);
    assert_int_equal(asked->answers, 1);
    caller_unref(asked->identification.identity.caller);
    return asked->identification.identity.state;
}

static void a_token_waits_for_the_first_keys(void **state)
{
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    assert_int_equal(rig.calls, 1);
    assert_int_equal(ask(&rig, &asked).state, IDENTITY_LATER);
    assert_int_equal(asked.answers, 0);
    end_by_keys(&rig, "k2");
    assert_int_equal(answer_of(&rig, &asked), IDENTITY_KNOWN);
    close_rig(&rig);
}

static void keys_are_fetched_again_after_a_while(void **state)
{
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    end_by_keys(&rig, "k2");
    pass_ms(&rig, 590000);
    assert_int_equal(rig.calls, 1);
    pass_ms(&rig, 20000);
    assert_int_equal(rig.calls, 2);
    end_by_keys(&rig, "k3");
    assert_int_equal(ask(&rig, &asked).state, IDENTITY_LATER);
    end_by_keys(&rig, "k3");
    assert_int_equal(answer_of(&rig, &asked), IDENTITY_BAD);
    close_rig(&rig);
}

static void an_unknown_key_is_fetched_once_in_ten_seconds_for_an_address(void **state)
{
    (void)state;
    struct rig rig;
    struct asked first, second, third;
    open_rig(&rig);
    end_by_keys(&rig, "k1");
    assert_int_equal(ask(&rig, &first).state, IDENTITY_LATER);
    assert_int_equal(rig.calls, 1); /* too soon: answered by the keys that are there */
    assert_int_equal(answer_of(&rig, &first), IDENTITY_BAD);
    pass_ms(&rig, JWKS_AGAIN_MS);
    assert_int_equal(ask(&rig, &first).state, IDENTITY_LATER);
    assert_int_equal(rig.calls, 2);
    end_by_keys(&rig, "k1");
    assert_int_equal(answer_of(&rig, &first), IDENTITY_BAD);
    pass_ms(&rig, JWKS_ADDRESS_MS - 1000);
    assert_int_equal(ask(&rig, &first).state, IDENTITY_LATER);
    assert_int_equal(rig.calls, 2);
    assert_int_equal(answer_of(&rig, &first), IDENTITY_BAD);
    assert_int_equal(jwks_stats(&rig.jwks).counts[JWKS_TOO_SOON], 2);
    pass_ms(&rig, 2000);
    assert_int_equal(ask(&rig, &first).state, IDENTITY_LATER);
    assert_int_equal(ask(&rig, &second).state, IDENTITY_LATER);
    assert_int_equal(rig.calls, 3); /* for both */
    end_by_keys(&rig, "k2");
    assert_int_equal(answer_of(&rig, &first), IDENTITY_KNOWN);
    assert_int_equal(answer_of(&rig, &second), IDENTITY_KNOWN);
    struct identity identity = ask(&rig, &third);
    assert_int_equal(identity.state, IDENTITY_KNOWN);
    caller_unref(identity.caller);
    close_rig(&rig);
}

/* Otherwise a stranger who invents key ids would keep the keys that an issuer has rotated to from
 * everybody else. */
static void an_address_leaves_others_the_fetches_that_it_may_not_cause(void **state)
{
    enum { STRANGER = 1, ALICE };
    (void)state;
    struct rig rig;
    struct asked stranger, alice;
    open_rig(&rig);
    end_by_keys(&rig, "k1");
    pass_ms(&rig, JWKS_AGAIN_MS);
    assert_int_equal(ask_from(&rig, &stranger, STRANGER).state, IDENTITY_LATER);
    end_by_keys(&rig, "k1");
    assert_int_equal(answer_of(&rig, &stranger), IDENTITY_BAD);
    pass_ms(&rig, JWKS_AGAIN_MS);
    assert_int_equal(ask_from(&rig, &stranger, STRANGER).state, IDENTITY_LATER);
    assert_int_equal(answer_of(&rig, &stranger), IDENTITY_BAD);
    assert_int_equal(rig.calls, 2);
    assert_int_equal(ask_from(&rig, &alice, ALICE).state, IDENTITY_LATER);
    assert_int_equal(rig.calls, 3);
    end_by_keys(&rig, "k2");
    assert_int_equal(answer_of(&rig, &alice), IDENTITY_KNOWN);
    close_rig(&rig);
}

static void all_addresses_together_cause_a_fetch_in_two_seconds(void **state)
{
    enum { ROUNDS = 6, ADDRESSES = 100 };
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    end_by_keys(&rig, "k1");
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        pass_ms(&rig, JWKS_AGAIN_MS);
        for (uint64_t i = 1; i <= ADDRESSES; i++) {
            assert_int_equal(ask_from(&rig, &asked, round * ADDRESSES + i).state, IDENTITY_LATER);
            if (rig.calls == round + 1 && i == 1)
                end_by_keys(&rig, "k1");
            assert_int_equal(answer_of(&rig, &asked), IDENTITY_BAD);
        }
        assert_int_equal(rig.calls, round + 1);
    }
    close_rig(&rig);
}

static void an_address_has_its_share_of_the_tokens_that_wait(void **state)
{
    enum { STRANGER = PEER_UNKNOWN, ALICE = 1, MOST = 2 };
    (void)state;
    struct rig rig;
    struct asked some[MOST], more, alice;
    open_rig(&rig);
    jwks_limit(&rig.jwks, MOST);
    for (unsigned i = 0; i < MOST; i++)
        assert_int_equal(ask_from(&rig, &some[i], STRANGER).state, IDENTITY_LATER);
    struct identity refused = ask_from(&rig, &more, STRANGER);
    assert_int_equal(refused.state, IDENTITY_UNAVAILABLE);
    assert_non_null(strstr(refused.why, "limits.jwks_address_max"));
    assert_int_equal(ask_from(&rig, &alice, ALICE).state, IDENTITY_LATER);
    struct jwks_stats stats = jwks_stats(&rig.jwks);
    assert_int_equal(stats.waiting, MOST + 1);
    assert_int_equal(stats.addresses, 2);
    assert_int_equal(stats.counts[JWKS_REFUSED], 1);
    end_by_keys(&rig, "k2");
    for (unsigned i = 0; i < MOST; i++)
        assert_int_equal(answer_of(&rig, &some[i]), IDENTITY_KNOWN);
    assert_int_equal(answer_of(&rig, &alice), IDENTITY_KNOWN);
    stats = jwks_stats(&rig.jwks);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.addresses, 0);
    close_rig(&rig);
}

/* The answers of a server that fails. */
static const struct {
    int status;
    struct str body;
} failures[] = {
    {0, STR("")},
    {500, STR("{}")},
    {302, STR("")},
    {404, STR("{\"keys\":[" RFC_ED25519_JWK "]}")},
    {200, STR("")},
    {200, STR("<html>")},
    {200, STR("{\"keys\":[]}")},
    {200, STR("{\"keys\":[" RFC_SECRET_JWK "]}")},
};

static void a_token_does_not_wait_for_the_keys_of_an_issuer_that_hangs(void **state)
{
    (void)state;
    struct rig rig;
    struct asked known, unknown;
    open_rig(&rig);
    end_by_keys(&rig, "k1");
    assert_true(issuers_add(&rig.issuers, &(struct issuer){.claim = STR("freshet"),
                                                           .jwks_url = "https://hangs/keys",
                                                           .refresh_s = 600,
                                                           .keep_s = 3600}));
    pass_ms(&rig, 10000);
    assert_int_equal(ask(&rig, &known).state, IDENTITY_LATER);
    assert_true(rig.jwks.sets[0].call.is_under_way && rig.jwks.sets[1].call.is_under_way);
    rig.call = &rig.jwks.sets[0].call;
    end_by_keys(&rig, "k2");
    assert_true(rig.jwks.sets[1].call.is_under_way);
    assert_int_equal(answer_of(&rig, &known), IDENTITY_KNOWN);
    pass_ms(&rig, 620000);
    end_by_keys(&rig, "k3");
    assert_int_equal(ask(&rig, &unknown).state, IDENTITY_LATER);
    rig.call = &rig.jwks.sets[0].call;
    end_by_keys(&rig, "k3");
    mailbox_empty(&rig.worker);
    assert_int_equal(unknown.answers, 0); /* a key of the other may be the token's */
    close_rig(&rig);
    assert_int_equal(unknown.answers, 1);
}

static void a_failure_keeps_the_keys_and_is_tried_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++) {
        struct rig rig;
        struct asked asked;
        open_rig(&rig);
        end_by_keys(&rig, "k2");
        pass_ms(&rig, 610000);
        assert_int_equal(rig.calls, 2);
        end_by(&rig, failures[i].status, failures[i].body);
        struct identity identity = ask(&rig, &asked);
        assert_int_equal(identity.state, IDENTITY_KNOWN);
        caller_unref(identity.caller);
        pass_ms(&rig, JWKS_RETRY_MS + 1000);
        assert_int_equal(rig.calls, 3);
        close_rig(&rig);
    }
}

static void keys_that_are_not_confirmed_end(void **state)
{
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    end_by_keys(&rig, "k2");
    for (unsigned i = 0; i < 3600; i += 10) {
        pass_ms(&rig, JWKS_RETRY_MS);
        if (rig.call)
            end_by(&rig, 503, STR(""));
    }
    pass_ms(&rig, JWKS_RETRY_MS + 1000);
    if (rig.call)
        end_by(&rig, 503, STR(""));
    (void)ask(&rig, &asked);
    if (rig.call)
        end_by(&rig, 503, STR(""));
    assert_int_equal(answer_of(&rig, &asked), IDENTITY_UNAVAILABLE);
    close_rig(&rig);
}

static void a_question_is_answered_when_the_thread_ends(void **state)
{
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    assert_int_equal(ask(&rig, &asked).state, IDENTITY_LATER);
    jwks_end(&rig.jwks);
    assert_int_equal(answer_of(&rig, &asked), IDENTITY_UNAVAILABLE);
    close_rig(&rig);
}

static void questions_are_bounded(void **state)
{
    (void)state;
    struct rig rig;
    struct asked asked;
    open_rig(&rig);
    atomic_store(&rig.jwks.questions, JWKS_QUESTIONS_MAX);
    assert_int_equal(ask(&rig, &asked).state, IDENTITY_UNAVAILABLE);
    assert_int_equal(atomic_load(&rig.jwks.questions), JWKS_QUESTIONS_MAX);
    close_rig(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_waits_for_the_first_keys),
        cmocka_unit_test(keys_are_fetched_again_after_a_while),
        cmocka_unit_test(an_unknown_key_is_fetched_once_in_ten_seconds_for_an_address),
        cmocka_unit_test(an_address_leaves_others_the_fetches_that_it_may_not_cause),
        cmocka_unit_test(all_addresses_together_cause_a_fetch_in_two_seconds),
        cmocka_unit_test(an_address_has_its_share_of_the_tokens_that_wait),
        cmocka_unit_test(a_token_does_not_wait_for_the_keys_of_an_issuer_that_hangs),
        cmocka_unit_test(a_failure_keeps_the_keys_and_is_tried_again),
        cmocka_unit_test(keys_that_are_not_confirmed_end),
        cmocka_unit_test(a_question_is_answered_when_the_thread_ends),
        cmocka_unit_test(questions_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
