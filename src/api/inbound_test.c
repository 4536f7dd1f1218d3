#include "api/testing.h"

#define JSON "Content-Type: application/json\r\n"
#define TOKEN "Authorization: Bearer a secret of some length\r\n" JSON

static const char *const secrets[] = {"a secret of some length"};
static const char *const slack_secrets[] = {"8f742231b10e8888abcd99yyyzzz85a5"};

enum { OPEN, HOOK, META, SLACK, SOURCES };

static const struct source_settings settings[SOURCES] = {
    [OPEN] = {.name = "open", .kind = "none", .channel = "in/{body.to}"},
    [HOOK] = {.name = "hook",
              .kind = "token",
              .secrets = secrets,
              .secrets_count = 1,
              .id = "{body.id}"},
    [META] = {.name = "meta",
              .kind = "hmac",
              .secrets = secrets,
              .secrets_count = 1,
              .challenge = {.method = "GET",
                            .value = "{query.hub.challenge}",
                            .proof = "{query.hub.verify_token}",
                            .secret = "verify"}},
    [SLACK] = {.name = "chat", .kind = "slack", .secrets = slack_secrets, .secrets_count = 1},
};

static struct source *sources[SOURCES];

static int begin(void **state)
{
    struct buf why = {0};
    (void)desk_begin(state);
    struct desk *desk = *state;
    for (int i = 0; i < SOURCES; i++)
        assert_int_equal(source_new(&settings[i], &sources[i], &why), 0);
    desk->api.sources = sources;
    desk->api.sources_count = SOURCES;
    return 0;
}

static int end(void **state)
{
    (void)desk_end(state);
    for (int i = 0; i < SOURCES; i++)
        source_free(sources[i]);
    return 0;
}

static void a_request_with_proof_becomes_an_event(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /inbound/hook?of=theirs", TOKEN, STR("{\"id\":\"7\"}"));
    assert_answer(desk, 201, "\"id\":\"");
    desk_ask(desk, "POST /inbound/hook", TOKEN, STR("{\"id\":\"7\"}"));
    assert_int_equal(desk->status, 200); /* sent again: it is there */
    desk_ask(desk, "GET /channels/hook", "", STR_NONE);
    assert_answer(desk, 200, "{\"id\":\"7\"}");
}

static void a_request_without_proof_is_refused_and_publishes_nothing(void **state)
{
    static const struct {
        const char *source, *lines, *says;
    } rows[] = {
        {"hook", "", "the header authorization is missing"},
        {"hook", "Authorization: Bearer another\r\n", "does not match"},
        {"meta", "", "the header x-signature is missing"},
        {"meta", "X-Signature: 00\r\n", "does not match"},
        {"chat", "X-Slack-Signature: v0=00\r\nX-Slack-Request-Timestamp: 1\r\n", "bad-signature"},
    };
    struct desk *desk = *state;
    char request[64];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        snprintf(request, sizeof(request), "POST /inbound/%s", rows[i].source);
        desk_ask(desk, request, rows[i].lines, STR("{}"));
        assert_answer(desk, 403, rows[i].says);
        assert_false(desk_says(&desk->body, secrets[0]));
    }
    desk_ask(desk, "GET /channels", "", STR_NONE);
    assert_answer(desk, 200, "{\"channels\":[]");
}

static void a_source_that_is_not_configured_is_not_found(void **state)
{
    static const char *const requests[] = {"POST /inbound", "POST /inbound/", "POST /inbound/hoo",
                                           "POST /inbound/hook/more", "GET /inbound/nobody"};
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        desk_ask(desk, requests[i], TOKEN, STR("{}"));
        assert_answer(desk, 404, "under `inbound` in the configuration");
    }
}

static void a_challenge_is_answered_as_text_that_no_browser_takes_for_a_page(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /inbound/meta?hub.challenge=%3Cb%3E&hub.verify_token=verify", "", STR_NONE);
    assert_answer(desk, 200, "<b>");
    assert_field(desk, "Content-Type: text/plain; charset=utf-8");
    assert_field(desk, "X-Content-Type-Options: nosniff");
}

static void a_challenge_that_is_wrong_says_what_is_wrong(void **state)
{
    static const struct {
        const char *request;
        int status;
        const char *says;
    } rows[] = {
        {"GET /inbound/meta?hub.challenge=1&hub.verify_token=x", 403, "challenge.secret"},
        {"GET /inbound/meta?hub.challenge=1", 403, "challenge.secret"},
        {"GET /inbound/meta", 400, "is not the challenge"},
        {"GET /inbound/meta?hub.challenge=%0A&hub.verify_token=verify", 400,
         "no control characters"},
        {"GET /inbound/hook", 405, "method-not-allowed"},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        desk_ask(desk, rows[i].request, "", STR_NONE);
        assert_answer(desk, rows[i].status, rows[i].says);
    }
    assert_field(desk, "Allow: POST, OPTIONS");
}

static void a_body_leads_to_channels_that_may_be_published_to(void **state)
{
    static const struct {
        const char *body, *channel;
    } rows[] = {
        {"{\"to\":\"desk\"}", "in/desk"}, {"{\"to\":\"../x\"}", "in/..-x"}, {"{}", "in/none"}};
    struct desk *desk = *state;
    char request[64];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        desk_ask(desk, "POST /inbound/open", JSON, str_from(rows[i].body));
        assert_int_equal(desk->status, 201);
        snprintf(request, sizeof(request), "GET /channels/%s", rows[i].channel);
        desk_ask(desk, request, "", STR_NONE);
        assert_answer(desk, 200, rows[i].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH_SOURCES(test) cmocka_unit_test_setup_teardown(test, begin, end)
        WITH_SOURCES(a_request_with_proof_becomes_an_event),
        WITH_SOURCES(a_request_without_proof_is_refused_and_publishes_nothing),
        WITH_SOURCES(a_source_that_is_not_configured_is_not_found),
        WITH_SOURCES(a_challenge_is_answered_as_text_that_no_browser_takes_for_a_page),
        WITH_SOURCES(a_challenge_that_is_wrong_says_what_is_wrong),
        WITH_SOURCES(a_body_leads_to_channels_that_may_be_published_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
