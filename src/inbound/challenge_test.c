#include "inbound/source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "inbound/testing.h"

/* A request of a provider, and the source that it goes to. */
struct asked {
    struct source_settings settings;
    const char *secret; /* of the source; NULL: of kind none */
    const char *query;
    const char *lines;
    const char *body;
};

static struct source *make(const struct asked *asked)
{
    struct source *source = NULL;
    struct buf why = {0};
    struct source_settings settings = asked->settings;
    const char *const secrets[] = {asked->secret, "another"};
    settings.name = "x";
    settings.kind = settings.kind ? settings.kind : asked->secret ? "hmac" : "none";
    settings.secrets = secrets;
    settings.secrets_count = asked->secret ? 2 : 0;
    if (source_new(&settings, &source, &why))
        fail_msg("%.*s", STR_FMT(buf_str(&why)));
    buf_free(&why);
    return source;
}

/* The verdict; `answer` is what is answered. */
static int ask(const struct asked *asked, char answer[4096])
{
    struct source *source = make(asked);
    struct source_event event = {0};
    struct inbound_case it;
    inbound_case_init(&it, str_from(asked->lines ? asked->lines : ""),
                      str_from(asked->body ? asked->body : ""), 0);
    struct str query = exact(str_from(asked->query ? asked->query : ""));
    it.request.query = query;
    int verdict = source_is_asked(source) ? source_ask(source, &it.request, &event)
                                          : source_read(source, &it.request, &event);
    assert_true(event.answer.len < 4096);
    if (event.answer.len)
        memcpy(answer, event.answer.at, event.answer.len);
    answer[event.answer.len] = '\0';
    assert_int_equal(verdict == CHALLENGE_MEANT, event.answer.len > 0);
    source_event_deinit(&event);
    exact_free(query);
    inbound_case_free(&it);
    source_free(source);
    return verdict;
}

static void assert_answer(const struct asked *asked, const char *expected)
{
    char answer[4096];
    assert_int_equal(ask(asked, answer), CHALLENGE_MEANT);
    assert_string_equal(answer, expected);
}

static void assert_verdict(const struct asked *asked, int expected)
{
    char answer[4096];
    assert_int_equal(ask(asked, answer), expected);
}

/* ---- providers ------------------------------------------------------------------------------- */

static const struct challenge_settings meta = {.method = "GET",
                                               .when = "{query.hub.mode}",
                                               .is = "subscribe",
                                               .value = "{query.hub.challenge}",
                                               .proof = "{query.hub.verify_token}",
                                               .secret = "meatyhamhock"};

/* The example of Meta's documentation. */
static void a_token_in_the_query_is_sent_back_to_who_has_the_secret(void **state)
{
    (void)state;
    struct asked asked = {.settings = {.kind = "github", .challenge = meta},
                          .secret = "the app's secret",
                          .query = "hub.mode=subscribe&hub.challenge=1158201444&"
                                   "hub.verify_token=meatyhamhock"};
    assert_answer(&asked, "1158201444");
    asked.query = "hub.verify_token=meaty%68amhock&x&hub%2Emode=subscribe&hub.challenge=a%20b%26+c";
    assert_answer(&asked, "a b& c");
    const char *const strangers[] = {
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhoc",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=the+app's+secret",
    };
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        asked.query = strangers[i];
        assert_verdict(&asked, CHALLENGE_E_PROOF);
    }
    const char *const others[] = {
        "",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock",
        "hub.challenge=1&hub.verify_token=meatyhamhock",
        "hub.mode=subscribe&hub.verify_token=meatyhamhock",
        "hub.mode=subscribe&hub.challenge=&hub.verify_token=meatyhamhock",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        asked.query = others[i];
        assert_verdict(&asked, CHALLENGE_NONE);
    }
}

static void a_token_may_be_all_that_there_is(void **state)
{
    (void)state;
    struct asked dropbox = {
        .settings = {.challenge = {.method = "GET", .value = "{query.challenge}"}},
        .secret = "the app's secret",
        .query = "challenge=abc123"};
    assert_answer(&dropbox, "abc123");
    struct asked okta = {
        .settings = {.challenge = {.method = "GET",
                                   .value = "{header.x-okta-verification-challenge}",
                                   .json = "verification={value}"}},
        .lines = "X-Okta-Verification-Challenge: u\"1\r\n"};
    assert_answer(&okta, "{\"verification\":\"u\\\"1\"}\n");
}

/* `some_crc_token` under `MY SECRET`, recomputed with openssl. */
static void an_hmac_of_the_token_is_told_as_the_provider_wants_it(void **state)
{
    (void)state;
    struct asked x = {.settings = {.challenge = {.method = "GET",
                                                 .value = "{query.crc_token}",
                                                 .hash = "hmac-sha256",
                                                 .encoding = "base64",
                                                 .json = "response_token=sha256={hash}"}},
                      .secret = "MY SECRET",
                      .query = "crc_token=some_crc_token&nonce=1"};
    assert_answer(&x, "{\"response_token\":\"sha256=9UMMxS5wsjv6y0qcP/D/9KGmaIoodHyzAIsIQCWmmYQ="
                      "\"}\n");
    struct asked zoom = {
        .settings = {.challenge = {.method = "POST",
                                   .when = "{body.event}",
                                   .is = "endpoint.url_validation",
                                   .value = "{body.payload.plainToken}",
                                   .hash = "hmac-sha256",
                                   .json = "plainToken={value} encryptedToken={hash}"}},
        .secret = "a secret of some length",
        .body = "{\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"},"
                "\"event_ts\":1654503849680,\"event\":\"endpoint.url_validation\"}"};
    assert_answer(&zoom, "{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\",\"encryptedToken\":"
                         "\"e5d5d4db1c0f1c31ae3659c783f82ecf3d5ec76ba1b5fd94ccfe5831265d9c9a\"}\n");
    zoom.body = "{\"event\":\"meeting.started\",\"payload\":{\"plainToken\":\"a\"}}";
    assert_verdict(&zoom, CHALLENGE_NONE);
}

/* The vector of the tests of eBay's own libraries. */
static void a_hash_may_be_of_the_token_and_more(void **state)
{
    (void)state;
    struct asked ebay = {
        .settings = {.challenge = {.method = "GET",
                                   .value = "{query.challenge_code}",
                                   .hash = "sha256",
                                   .hashed = "{value}{secret}http://www.testendpoint.com/webhook",
                                   .secret = "71745723-d031-455c-bfa5-f90d11b4f20a",
                                   .json = "challengeResponse={hash}"}},
        .query = "challenge_code=a8628072-3d33-45ee-9004-bee86830a22d"};
    assert_answer(&ebay, "{\"challengeResponse\":"
                         "\"ca527df75caa230092d7e90484071e8f05d63068f1317973d6a3a42593734bbb\"}\n");
    ebay.settings.challenge.json = NULL;
    assert_answer(&ebay, "ca527df75caa230092d7e90484071e8f05d63068f1317973d6a3a42593734bbb");
}

static void a_post_may_have_its_token_in_the_query(void **state)
{
    (void)state;
    struct asked graph = {
        .settings = {.challenge = {.method = "POST", .value = "{query.validationToken}"}},
        .query = "validationToken=Validation%3a+Testing+client%20application"};
    assert_answer(&graph, "Validation: Testing client application");
    graph.query = "";
    graph.body = "{\"value\":[]}";
    assert_verdict(&graph, CHALLENGE_NONE);
}

/* ---- what is not answered -------------------------------------------------------------------- */

static void a_token_is_bounded_and_cannot_forge_lines(void **state)
{
    (void)state;
    char query[CHALLENGE_VALUE_MAX + 20];
    struct asked asked = {.settings = {.challenge = {.method = "GET", .value = "{query.c}"}},
                          .query = query};
    for (size_t over = 0; over < 2; over++) {
        size_t len = CHALLENGE_VALUE_MAX + over;
        memcpy(query, "c=", 2);
        memset(query + 2, 'a', len);
        query[2 + len] = '\0';
        assert_verdict(&asked, over ? CHALLENGE_E_VALUE : CHALLENGE_MEANT);
    }
    const char *const bad[] = {"c=a%0Ab", "c=%0D", "c=%7F", "c=a%1B[31m", "c=%ff", "c=%c3%28"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        asked.query = bad[i];
        assert_verdict(&asked, CHALLENGE_E_VALUE);
    }
    asked.query = "c=%c3%a4%20%3Cb%3E";
    assert_answer(&asked, "\xc3\xa4 <b>");
}

static const struct challenge_settings crc = {
    .method = "GET", .value = "{query.crc_token}", .hash = "hmac-sha256", .encoding = "base64"};

/* Comes by POST, and so is signed itself. */
#define crc_of_post                                                                                \
    {                                                                                              \
        .method = "POST", .value = "{body.a}", .hash = "hmac-sha256"                               \
    }

/* The HMAC of a body is its signature, so that a challenge must not give it away. */
static void a_challenge_response_cannot_serve_as_the_signature_of_an_event(void **state)
{
    (void)state;
    struct asked asked = {.settings = {.encoding = "base64", .challenge = crc},
                          .secret = "MY SECRET"};
    const char *const refused[] = {"crc_token={}",    "crc_token=%7B%22a%22%3A1%7D",
                                   "crc_token=a%20b", "crc_token=%22a%22",
                                   "crc_token=a,b",   "crc_token=%5B1%5D"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        asked.query = refused[i];
        assert_verdict(&asked, CHALLENGE_E_VALUE);
    }
    asked.query = "crc_token=123";
    assert_answer(&asked, "AZxwcHf345GQUtwBK1VBS488qxB23OPWqsCOH9Knmng=");
    static const struct {
        const char *body, *signature;
        int verdict;
    } events[] = {
        {"123", "AZxwcHf345GQUtwBK1VBS488qxB23OPWqsCOH9Knmng=", VERIFY_E_WRONG},
        {"", "uMr0GR2REEB726e+KiGUN9anMCYpfHm6LNUSm/55glE=", VERIFY_E_WRONG},
        {"some_crc_token", "9UMMxS5wsjv6y0qcP/D/9KGmaIoodHyzAIsIQCWmmYQ=", VERIFY_E_WRONG},
        {"{}", "/iRYwQaEIvONR2ZVzAUy90iWXCUaMoriqeRtYcYvkjI=", VERIFY_OK},
    };
    struct source *source = make(&asked);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        char lines[200];
        struct inbound_case it;
        snprintf(lines, sizeof(lines), "X-Signature: %s\r\n", events[i].signature);
        inbound_case_init(&it, str_from(lines), str_from(events[i].body), 0);
        assert_int_equal(source_verify(source, &it.request), events[i].verdict);
        inbound_case_free(&it);
    }
    source_free(source);
}

/* The stranger asks one source and sends the answer to the other. */
static void a_challenge_response_cannot_serve_as_a_signature_for_another_source(void **state)
{
    (void)state;
    static const char signature[] =
        "X-Signature: AZxwcHf345GQUtwBK1VBS488qxB23OPWqsCOH9Knmng=\r\n"; /* of 123 */
    static const struct {
        const char *secrets[2];
        struct challenge_settings challenge;
    } others[] = {
        {{"MY SECRET", "b"}, {0}},
        {{"b", "MY SECRET"}, {0}},
        {{"MY SECRET", "b"}, {.method = "GET", .value = "{query.a}"}},
        {{"MY SECRET", "b"}, crc_of_post},
    };
    struct asked asked = {.settings = {.encoding = "base64", .challenge = crc},
                          .secret = "MY SECRET"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (size_t open = 0; open < 2; open++) { /* whether the challenge is there */
            struct source_settings settings = {.name = "y",
                                               .kind = "hmac",
                                               .encoding = "base64",
                                               .secrets = others[i].secrets,
                                               .secrets_count = 2,
                                               .challenge = others[i].challenge};
            struct source *sources[2] = {NULL};
            struct buf why = {0};
            struct inbound_case it;
            asked.settings.challenge = open ? crc : (struct challenge_settings){0};
            sources[0] = make(&asked);
            assert_int_equal(source_new(&settings, &sources[1], &why), 0);
            sources_note_shared(sources, 2);
            inbound_case_init(&it, str_from(signature), STR("123"), 0);
            assert_int_equal(source_verify(sources[1], &it.request),
                             open ? VERIFY_E_WRONG : VERIFY_OK);
            inbound_case_free(&it);
            source_free(sources[0]);
            source_free(sources[1]);
        }
    }
}

/* Id and time stand before the body in what Standard Webhooks signs, and may be a token too. */
static void a_challenge_response_cannot_serve_as_a_signature_of_standard_webhooks(void **state)
{
    (void)state;
    static const char *const secrets[] = {"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="};
    static const struct {
        const char *body, *signature;
        int verdict;
    } events[] = {
        {"123", "RrubX1ycnxy1CFS9lS7/H/ljP6AeltxM35FcyKQ7VvM=", VERIFY_E_WRONG},
        {"", "wp0A054QAHY8pLGpXZMaMEgtlUYgTtldm+g/Rnuk3TE=", VERIFY_E_WRONG},
        {"{}", "N3GognFq1avJwiAUYAM7xRBkZe/M6wMCQ1Cyj3cTiMg=", VERIFY_OK},
    };
    struct source *source = NULL;
    struct buf why = {0};
    struct source_settings settings = {
        .name = "x", .kind = "standard", .secrets = secrets, .secrets_count = 1, .challenge = crc};
    assert_int_equal(source_new(&settings, &source, &why), 0);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        char lines[200];
        struct inbound_case it;
        snprintf(lines, sizeof(lines),
                 "webhook-id: evil\r\nwebhook-timestamp: 0\r\nwebhook-signature: v1,%s\r\n",
                 events[i].signature);
        inbound_case_init(&it, str_from(lines), str_from(events[i].body), 0);
        assert_int_equal(source_verify(source, &it.request), events[i].verdict);
        inbound_case_free(&it);
    }
    source_free(source);
}

static int make_with(struct challenge_settings challenge, const char *kind, struct buf *why)
{
    static const char *const secrets[] = {"a secret of some length"};
    bool free_for_all = strcmp(kind, "none") == 0;
    struct source *source = NULL;
    struct source_settings settings = {.name = "x",
                                       .kind = kind,
                                       .secrets = secrets,
                                       .secrets_count = !free_for_all,
                                       .challenge = challenge};
    buf_clear(why);
    int result = source_new(&settings, &source, why);
    source_free(source);
    return result;
}

static void settings_that_cannot_be_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct challenge_settings challenge;
        const char *kind, *about;
    } bad[] = {
        {{.value = "{query.a}"}, "hmac", "method"},
        {{.method = "PUT", .value = "{query.a}"}, "hmac", "method"},
        {{.method = "get", .value = "{query.a}"}, "hmac", "method"},
        {{.method = "GET"}, "hmac", "value"},
        {{.method = "GET", .value = "static"}, "hmac", "value"},
        {{.method = "GET", .value = "{source}"}, "hmac", "value"},
        {{.method = "GET", .value = "{hash}"}, "hmac", "value"},
        {{.method = "GET", .value = "{query.a}", .when = "{query.b}"}, "hmac", "when"},
        {{.method = "GET", .value = "{query.a}", .is = "b"}, "hmac", "when"},
        {{.method = "GET", .value = "{query.a}", .proof = "{query.b}"}, "hmac", "proof"},
        {{.method = "GET", .value = "{query.a}", .proof = "b", .secret = "b"}, "hmac", "proof"},
        {{.method = "GET", .value = "{query.a}", .secret = "b"}, "hmac", "secret"},
        {{.method = "GET", .value = "{query.a}", .hash = "md5"}, "hmac", "hash"},
        {{.method = "GET", .value = "{query.a}", .hash = "sha1"}, "hmac", "hash"},
        {{.method = "GET", .value = "{query.a}", .hash = "hmac-md5"}, "hmac", "hash"},
        {{.method = "GET", .value = "{query.a}", .hash = "hmac-"}, "hmac", "hash"},
        {{.method = "GET", .value = "{query.a}", .hash = "hmac-sha256"}, "none", "secret"},
        {{.method = "GET", .value = "{query.a}", .encoding = "hex"}, "hmac", "encoding"},
        {{.method = "GET", .value = "{query.a}", .hash = "sha256", .encoding = "b64"},
         "hmac",
         "encoding"},
        {{.method = "GET", .value = "{query.a}", .hashed = "{value}"}, "hmac", "hashed"},
        {{.method = "GET", .value = "{query.a}", .hash = "hmac-sha256", .hashed = "{value}x"},
         "hmac",
         "hashed"},
        {{.method = "GET", .value = "{query.a}", .hash = "sha256", .hashed = "{body}"},
         "hmac",
         "hashed"},
        {{.method = "GET", .value = "{query.a}", .hash = "sha256", .hashed = "{secret}"},
         "hmac",
         "hashed"},
        {{.method = "GET", .value = "{query.a}", .json = "a"}, "hmac", "json"},
        {{.method = "GET", .value = "{query.a}", .json = "={value}"}, "hmac", "json"},
        {{.method = "GET", .value = "{query.a}", .json = "a={secret}"}, "hmac", "json"},
        {{.method = "GET", .value = "{query.a}", .json = "a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1"},
         "hmac",
         "json"},
    };
    struct buf why = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (make_with(bad[i].challenge, bad[i].kind, &why) != -EINVAL)
            fail_msg("settings %zu are taken", i);
        buf_add_char(&why, '\0');
        if (strncmp(why.at, "challenge: ", 11) != 0 || !strstr(why.at, bad[i].about))
            fail_msg("settings %zu: %s", i, why.at);
        assert_null(strstr(why.at, "secret of some length"));
    }
    assert_int_equal(make_with(meta, "none", &why), 0);
    assert_int_equal(make_with(crc, "hmac", &why), 0);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_in_the_query_is_sent_back_to_who_has_the_secret),
        cmocka_unit_test(a_token_may_be_all_that_there_is),
        cmocka_unit_test(an_hmac_of_the_token_is_told_as_the_provider_wants_it),
        cmocka_unit_test(a_hash_may_be_of_the_token_and_more),
        cmocka_unit_test(a_post_may_have_its_token_in_the_query),
        cmocka_unit_test(a_token_is_bounded_and_cannot_forge_lines),
        cmocka_unit_test(a_challenge_response_cannot_serve_as_the_signature_of_an_event),
        cmocka_unit_test(a_challenge_response_cannot_serve_as_a_signature_for_another_source),
        cmocka_unit_test(a_challenge_response_cannot_serve_as_a_signature_of_standard_webhooks),
        cmocka_unit_test(settings_that_cannot_be_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
