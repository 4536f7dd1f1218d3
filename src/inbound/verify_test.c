#include "inbound/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "inbound/testing.h"

static struct source *make(struct source_settings settings)
{
    struct source *source = NULL;
    struct buf why = {0};
    settings.name = "x";
    int result = source_new(&settings, &source, &why);
    if (result)
        fail_msg("%.*s", STR_FMT(why));
    buf_free(&why);
    return source;
}

#define SECRETS(...)                                                                               \
    .secrets = (const char *const[]){__VA_ARGS__},                                                 \
    .secrets_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

/* Verifies a request with these header lines and this body at that time. */
static int verify(const struct source *source, const char *lines, const char *body, int64_t now_s)
{
    struct inbound_case it;
    inbound_case_init(&it, str_from(lines), str_from(body), now_s);
    int verdict = source_verify(source, &it.request);
    inbound_case_free(&it);
    return verdict;
}

/* The vector of GitHub's documentation. */
static void githubs_example_is_verified(void **state)
{
    (void)state;
    struct source *source =
        make((struct source_settings){.kind = "github", SECRETS("It's a Secret to Everybody")});
    const char *good =
        "X-Hub-Signature-256: "
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n";
    assert_int_equal(verify(source, good, "Hello, World!", 0), VERIFY_OK);
    assert_int_equal(verify(source, good, "Hello, World", 0), VERIFY_E_WRONG);
    assert_int_equal(verify(source, good, "", 0), VERIFY_E_WRONG);
    assert_int_equal(verify(source, "", "Hello, World!", 0), VERIFY_E_MISSING);
    assert_int_equal(verify(source, "X-Hub-Signature-256: sha256=\r\n", "Hello, World!", 0),
                     VERIFY_E_MISSING);
    assert_int_equal(verify(source, "X-Hub-Signature-256: sha256=zz\r\n", "Hello, World!", 0),
                     VERIFY_E_WRONG);
    assert_int_equal(verify(source, "X-Hub-Signature-256: sha256=75\r\n", "Hello, World!", 0),
                     VERIFY_E_WRONG);
    source_free(source);
}

/* The example of Slack's documentation. */
static void slacks_example_is_verified_and_only_in_its_time(void **state)
{
    (void)state;
    struct source *source = make(
        (struct source_settings){.kind = "slack", SECRETS("8f742231b10e8888abcd99yyyzzz85a5")});
    const char *body =
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
        "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
        "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
        "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
        "803a0bc887a14d10d2c447fce8b6703c";
    const char *good = "X-Slack-Request-Timestamp: 1531420618\r\nX-Slack-Signature: "
                       "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\r\n";
    assert_int_equal(verify(source, good, body, 1531420618), VERIFY_OK);
    assert_int_equal(verify(source, good, body, 1531420618 + 300), VERIFY_OK);
    assert_int_equal(verify(source, good, body, 1531420618 - 300), VERIFY_OK);
    assert_int_equal(verify(source, good, body, 1531420618 + 301), VERIFY_E_STALE);
    assert_int_equal(verify(source, good, body, 1531420618 - 301), VERIFY_E_STALE);
    const char *moved = /* the signed time is the one that is checked */
        "X-Slack-Request-Timestamp: 1531420619\r\nX-Slack-Signature: "
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\r\n";
    assert_int_equal(verify(source, moved, body, 1531420618), VERIFY_E_WRONG);
    assert_int_equal(verify(source,
                            "X-Slack-Signature: v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10b"
                            "d27519666489c69b503\r\n",
                            body, 1531420618),
                     VERIFY_E_MISSING);
    source_free(source);
}

static void stripes_header_may_hold_several_signatures(void **state)
{
    (void)state;
    struct source *source =
        make((struct source_settings){.kind = "stripe", SECRETS("whsec_test_secret")});
    const char *body = "{\"id\":\"evt_test_webhook\",\"object\":\"event\"}";
#define RIGHT "413e6d5ee0846b0726a98c703e7195bb2ff47e561b7de4a663cfc050fec40796"
    int64_t now_s = 1674087231;
    const char *good[] = {"Stripe-Signature: t=1674087231,v1=" RIGHT "\r\n",
                          "Stripe-Signature: t=1674087231,v1=00,v1=" RIGHT ",v0=00\r\n",
                          "Stripe-Signature: v1=" RIGHT ", t=1674087231\r\n"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_int_equal(verify(source, good[i], body, now_s), VERIFY_OK);
    assert_int_equal(verify(source, "Stripe-Signature: t=1674087231,v0=" RIGHT "\r\n", body, now_s),
                     VERIFY_E_MISSING);
    assert_int_equal(verify(source, "Stripe-Signature: v1=" RIGHT "\r\n", body, now_s),
                     VERIFY_E_MISSING);
    assert_int_equal(verify(source, good[0], body, now_s + 301), VERIFY_E_STALE);
    assert_int_equal(verify(source, "Stripe-Signature: t=1674087232,v1=" RIGHT "\r\n", body, now_s),
                     VERIFY_E_WRONG);
    source_free(source);
}

#define STANDARD_BODY                                                                              \
    "{\"type\":\"contact.created\",\"timestamp\":\"2022-11-03T20:26:10.344522Z\",\"data\":{"       \
    "\"id\":\"1f81eb52-5198-4599-803e-771906343485\"}}"
#define V1 "v1,Inw/unYkpAh6Njpdz4O+hnN82xYMXQ6NjnZIQN/mzIQ="
#define V1A                                                                                        \
    "v1a,pbpYBMlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag=="
#define HEAD(prefix, signature)                                                                    \
    prefix "-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W\r\n" prefix "-timestamp: 1674087231\r\n" prefix   \
           "-signature: " signature "\r\n"

static void standard_webhooks_are_verified_by_either_name_and_either_key(void **state)
{
    (void)state;
    int64_t now_s = 1674087231;
    struct source *by_secret = make((struct source_settings){
        .kind = "standard", SECRETS("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")});
    struct source *by_key = make((struct source_settings){
        .kind = "standard", SECRETS("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")});
    const char *both = HEAD("webhook", V1 " " V1A);
    assert_int_equal(verify(by_secret, HEAD("webhook", V1), STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(by_secret, HEAD("svix", V1), STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(by_secret, both, STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(by_key, both, STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(by_key, HEAD("webhook", V1A), STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(by_key, HEAD("webhook", V1A), STANDARD_BODY " ", now_s),
                     VERIFY_E_WRONG);
    assert_int_equal(verify(by_key, HEAD("webhook", V1), STANDARD_BODY, now_s), VERIFY_E_WRONG);
    assert_int_equal(verify(by_secret, both, STANDARD_BODY, now_s + 301), VERIFY_E_STALE);
    assert_int_equal(verify(by_secret, HEAD("webhook", "v2,abc"), STANDARD_BODY, now_s),
                     VERIFY_E_MISSING);
    source_free(by_secret);
    source_free(by_key);
}

/* msg.1674087231 + 1674087231 would be signed the same as msg + 1674087231.1674087231… */
static void an_id_with_a_dot_proves_nothing(void **state)
{
    (void)state;
    struct source *source = make((struct source_settings){
        .kind = "standard", SECRETS("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")});
    assert_int_equal(
        verify(source, "webhook-id: a.b\r\nwebhook-timestamp: 1\r\nwebhook-signature: " V1 "\r\n",
               "", 1),
        VERIFY_E_MISSING);
    source_free(source);
}

static void any_of_the_secrets_will_do(void **state)
{
    (void)state;
    struct source *source = make(
        (struct source_settings){.kind = "github", SECRETS("newer", "It's a Secret to Everybody")});
    assert_int_equal(
        verify(source,
               "X-Hub-Signature-256: "
               "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n",
               "Hello, World!", 0),
        VERIFY_OK);
    source_free(source);
}

/* Verifies as many signatures as may be claimed, with the right one at `at`; those beyond sixteen
 * are ignored. */
static int verify_among(const struct source *source, unsigned count, unsigned at, int64_t now_s)
{
    struct buf lines = {0};
    buf_add_lit(&lines, "Stripe-Signature: t=1674087231");
    for (unsigned i = 0; i < count; i++)
        buf_addf(&lines, ",v1=%s", i == at ? RIGHT : RIGHT "00");
    buf_add(&lines, "\r\n", 3);
    int verdict =
        verify(source, lines.at, "{\"id\":\"evt_test_webhook\",\"object\":\"event\"}", now_s);
    buf_free(&lines);
    return verdict;
}

static void every_claim_is_held_against_every_secret_and_what_is_stale_is_not_read(void **state)
{
    (void)state;
    struct source *source = make((struct source_settings){
        .kind = "stripe", SECRETS("a", "b", "c", "d", "e", "f", "g", "whsec_test_secret")});
    int64_t now_s = 1674087231;
    for (unsigned at = 0; at < VERIFY_CANDIDATES_MAX; at++)
        assert_int_equal(verify_among(source, VERIFY_CANDIDATES_MAX, at, now_s), VERIFY_OK);
    assert_int_equal(verify_among(source, 100, VERIFY_CANDIDATES_MAX - 1, now_s), VERIFY_OK);
    assert_int_equal(verify_among(source, 100, VERIFY_CANDIDATES_MAX, now_s), VERIFY_E_WRONG);
    assert_int_equal(verify_among(source, 16, 100, now_s), VERIFY_E_WRONG);
    assert_int_equal(verify_among(source, 16, 100, now_s + 301), VERIFY_E_STALE);
    assert_int_equal(verify_among(source, 16, 3, now_s - 301), VERIFY_E_STALE);
    source_free(source);
}

#define WRONG_V1A                                                                                  \
    "v1a,AAAAAAlty2hExn4zt0UTGb6BaP2Vq5AfyzjB9GGV3x/wCJKd8UjOCf8Qhaji6TKY9C5eNMnlF0GG4udaO6B7Ag=="

/* Each of these costs a pass over the body, so only eight are checked. */
static void few_signatures_of_private_keys_are_looked_at(void **state)
{
    (void)state;
    struct source *source = make((struct source_settings){
        .kind = "standard", SECRETS("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")});
    for (int wrong = 0; wrong < 12; wrong++) {
        struct buf lines = {0};
        buf_add_lit(&lines, "webhook-id: msg_2KWPBgLlAfxdpx2AI54pPJ85f4W\r\n"
                            "webhook-timestamp: 1674087231\r\nwebhook-signature: v1a,AAAA");
        for (int i = 0; i < wrong; i++)
            buf_add_lit(&lines, " " WRONG_V1A " " V1);
        buf_add(&lines, " " V1A "\r\n", sizeof(" " V1A "\r\n"));
        int want = wrong < VERIFY_PUBLIC_MAX && 2 * wrong + 1 < VERIFY_CANDIDATES_MAX
                       ? VERIFY_OK
                       : VERIFY_E_WRONG;
        assert_int_equal(verify(source, lines.at, STANDARD_BODY, 1674087231), want);
        buf_free(&lines);
    }
    source_free(source);
}

/* `hello\n` with s3cr3t-websub, computed with openssl. */
static void a_generic_hmac_is_as_it_is_configured(void **state)
{
    (void)state;
    struct source *sha1 = make((struct source_settings){.kind = "hmac",
                                                        .header = "X-Hub-Signature",
                                                        .prefix = "sha1=",
                                                        .hash = "sha1",
                                                        SECRETS("s3cr3t-websub")});
    assert_int_equal(verify(sha1,
                            "x-hub-signature: SHA1=1B42B373f94f9b658e32ed119df110fa60736272\r\n",
                            "hello\n", 0),
                     VERIFY_OK);
    struct source *base64 = make(
        (struct source_settings){.kind = "hmac", .encoding = "base64", SECRETS("s3cr3t-websub")});
    assert_int_equal(verify(base64, "X-Signature: N0gWxbdBPkopZNJzS1K09guXfQA1y3RYuMwG/1pR5Pk=\r\n",
                            "hello\n", 0),
                     VERIFY_OK);
    assert_int_equal(verify(base64, "X-Signature: N0gWxbdBPkopZNJzS1K09guXfQA1y3RYuMwG/1pR5Pg=\r\n",
                            "hello\n", 0),
                     VERIFY_E_WRONG);
    source_free(sha1);
    source_free(base64);
}

/* Senders whose secret was replaced sign by both, and proxies join lines of one name. `hello\n`
 * under `newer` and `older`, recomputed with openssl. */
#define BY_NEWER "8dfcb7cdb3504b43f1fdf080a38195fb6dd45273e80cc8bc47eb7792f568e1f1"
#define BY_OLDER "c73f300cacf397fa32be4094731aad738b24b585bd4befd409acff1c5c2c38a9"

static void a_single_valid_signature_among_several_is_enough(void **state)
{
    (void)state;
    struct source *plain = make((struct source_settings){.kind = "hmac", SECRETS("newer")});
    struct source *prefixed = make((struct source_settings){.kind = "github", SECRETS("newer")});
    struct source *comma =
        make((struct source_settings){.kind = "hmac", .prefix = "v1,", SECRETS("newer")});
    const struct {
        const struct source *source;
        const char *lines;
        int verdict;
    } cases[] = {
        {plain, "X-Signature: " BY_OLDER "," BY_NEWER "\r\n", VERIFY_OK},
        {plain, "X-Signature: " BY_NEWER ", " BY_OLDER "\r\n", VERIFY_OK},
        {plain, "X-Signature: , ,," BY_OLDER " ; " BY_NEWER "\r\n", VERIFY_OK},
        {plain, "X-Signature: " BY_OLDER "\r\nX-Other: 1\r\nx-signature: " BY_NEWER "\r\n",
         VERIFY_OK},
        {plain, "X-Signature: " BY_OLDER "\r\nX-Signature: " BY_OLDER "\r\n", VERIFY_E_WRONG},
        {plain, "X-Signature: " BY_OLDER BY_NEWER "\r\n", VERIFY_E_WRONG},
        {plain, "X-Signature: ,\r\n", VERIFY_E_MISSING},
        {prefixed, "X-Hub-Signature-256: sha256=" BY_OLDER ",sha256=" BY_NEWER "\r\n", VERIFY_OK},
        {prefixed, "X-Hub-Signature-256: sha1=00,SHA256=" BY_NEWER "\r\n", VERIFY_OK},
        {prefixed, "X-Hub-Signature-256: sha256= " BY_NEWER "\r\n", VERIFY_OK},
        {prefixed, "X-Hub-Signature-256: sha1=00\r\nX-Hub-Signature-256: sha256=" BY_NEWER "\r\n",
         VERIFY_OK},
        {prefixed, "X-Hub-Signature-256: " BY_NEWER ",sha256=" BY_OLDER "\r\n", VERIFY_E_WRONG},
        {prefixed, "X-Hub-Signature-256: " BY_NEWER "\r\n", VERIFY_E_MISSING},
        {comma, "X-Signature: v1," BY_OLDER " v1," BY_NEWER "\r\n", VERIFY_OK},
        {comma, "X-Signature: v1," BY_OLDER ", v1," BY_NEWER "\r\n", VERIFY_OK},
        {comma, "X-Signature: v2," BY_NEWER "\r\n", VERIFY_E_MISSING},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (verify(cases[i].source, cases[i].lines, "hello\n", 0) != cases[i].verdict)
            fail_msg("case %zu: not %d", i, cases[i].verdict);
    source_free(plain);
    source_free(prefixed);
    source_free(comma);
}

/* The form of Paddle's documentation, recomputed with openssl. */
static void a_header_of_pairs_is_as_it_is_configured(void **state)
{
    (void)state;
    static const char body[] = "{\"event_id\":\"evt_01\"}";
#define H1 "1adb9452569df756388335e6cd78fa672c3486786ee7438adcfa06145b045a99"
    struct source *source =
        make((struct source_settings){.kind = "hmac",
                                      .header = "Paddle-Signature",
                                      .signature_field = "h1",
                                      .timestamp_field = "ts",
                                      .signed_bytes = "{timestamp}:{body}",
                                      SECRETS("pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_"
                                              "6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI")});
    int64_t now_s = 1671552777;
    const char *const good[] = {
        "Paddle-Signature: ts=1671552777;h1=" H1 "\r\n",
        "Paddle-Signature: h1=" H1 "; ts=1671552777\r\n",
        "Paddle-Signature: ts=1671552777;h1=00;h1=" H1 "\r\n",
        "Paddle-Signature: ts=1671552777,h1=" H1 ",h2=00\r\n",
        "Paddle-Signature: ts=1671552777;h1=\"" H1 "\"\r\n",
        "Paddle-Signature: ts=1671552777;h1=00\r\nPaddle-Signature: h1=" H1 "\r\n",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (verify(source, good[i], body, now_s) != VERIFY_OK)
            fail_msg("header %zu is refused", i);
    assert_int_equal(verify(source, good[0], body, now_s + 301), VERIFY_E_STALE);
    assert_int_equal(verify(source, good[0], "{}", now_s), VERIFY_E_WRONG);
    assert_int_equal(verify(source, "Paddle-Signature: ts=1671552778;h1=" H1 "\r\n", body, now_s),
                     VERIFY_E_WRONG);
    assert_int_equal(verify(source, "Paddle-Signature: h1=" H1 "\r\n", body, now_s),
                     VERIFY_E_MISSING);
    assert_int_equal(verify(source, "Paddle-Signature: ts=1671552777;h2=" H1 "\r\n", body, now_s),
                     VERIFY_E_MISSING);
    assert_int_equal(verify(source, "Paddle-Signature: " H1 "\r\n", body, now_s), VERIFY_E_MISSING);
    source_free(source);
}

static void standard_signatures_may_be_in_several_lines(void **state)
{
    (void)state;
    int64_t now_s = 1674087231;
    struct source *source = make((struct source_settings){
        .kind = "standard", SECRETS("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")});
    assert_int_equal(verify(source, HEAD("webhook", "v1,AAAA") "webhook-signature: " V1 "\r\n",
                            STANDARD_BODY, now_s),
                     VERIFY_OK);
    assert_int_equal(verify(source, HEAD("svix", "v1,AAAA, " V1), STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(source, HEAD("svix", V1 ", v1,AAAA"), STANDARD_BODY, now_s), VERIFY_OK);
    assert_int_equal(verify(source, HEAD("webhook", "v1,AAAA") "svix-signature: " V1 "\r\n",
                            STANDARD_BODY, now_s),
                     VERIFY_E_WRONG);
    source_free(source);
}

static void a_token_is_compared_as_a_whole(void **state)
{
    (void)state;
    struct source *bearer = make((struct source_settings){.kind = "token", SECRETS("t0ken")});
    assert_int_equal(verify(bearer, "Authorization: bearer t0ken\r\n", "", 0), VERIFY_OK);
    assert_int_equal(verify(bearer, "Authorization: Bearer t0ke\r\n", "", 0), VERIFY_E_WRONG);
    assert_int_equal(verify(bearer, "Authorization: Bearer t0kenn\r\n", "", 0), VERIFY_E_WRONG);
    assert_int_equal(verify(bearer, "Authorization: Bearer \r\n", "", 0), VERIFY_E_MISSING);
    assert_int_equal(verify(bearer, "Authorization: t0ken\r\n", "", 0), VERIFY_E_MISSING);
    struct source *other = make(
        (struct source_settings){.kind = "token", .header = "X-Gitlab-Token", SECRETS("t0ken")});
    assert_int_equal(verify(other, "X-Gitlab-Token: t0ken\r\n", "", 0), VERIFY_OK);
    assert_int_equal(verify(other, "X-Gitlab-Token: old\r\nX-Gitlab-Token: t0ken\r\n", "", 0),
                     VERIFY_OK);
    assert_int_equal(verify(other, "X-Gitlab-Token: old, t0ken\r\n", "", 0), VERIFY_E_WRONG);
    source_free(bearer);
    source_free(other);
}

static void a_password_is_compared_as_a_whole(void **state)
{
    (void)state;
    struct source *source = make((struct source_settings){.kind = "basic", SECRETS("user:pass")});
    assert_int_equal(verify(source, "Authorization: Basic dXNlcjpwYXNz\r\n", "", 0), VERIFY_OK);
    assert_int_equal(verify(source, "Authorization: Basic dXNlcjpwYXM=\r\n", "", 0),
                     VERIFY_E_WRONG);
    assert_int_equal(verify(source, "Authorization: Basic !\r\n", "", 0), VERIFY_E_WRONG);
    assert_int_equal(verify(source, "Authorization: Bearer x\r\n", "", 0), VERIFY_E_MISSING);
    assert_int_equal(verify(source, "", "", 0), VERIFY_E_MISSING);
    source_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(githubs_example_is_verified),
        cmocka_unit_test(slacks_example_is_verified_and_only_in_its_time),
        cmocka_unit_test(stripes_header_may_hold_several_signatures),
        cmocka_unit_test(standard_webhooks_are_verified_by_either_name_and_either_key),
        cmocka_unit_test(an_id_with_a_dot_proves_nothing),
        cmocka_unit_test(any_of_the_secrets_will_do),
        cmocka_unit_test(every_claim_is_held_against_every_secret_and_what_is_stale_is_not_read),
        cmocka_unit_test(few_signatures_of_private_keys_are_looked_at),
        cmocka_unit_test(a_generic_hmac_is_as_it_is_configured),
        cmocka_unit_test(a_single_valid_signature_among_several_is_enough),
        cmocka_unit_test(a_header_of_pairs_is_as_it_is_configured),
        cmocka_unit_test(standard_signatures_may_be_in_several_lines),
        cmocka_unit_test(a_token_is_compared_as_a_whole),
        cmocka_unit_test(a_password_is_compared_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
