#include "publish/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct publisher anybody = {.access = {.rules = &rules_open}};
static const struct publisher server = {.access = {.rules = &rules_open}, .is_server = true};

static struct proposal sound(void)
{
    return (struct proposal){
        .channel = STR("a"), .type = TYPE_DEFAULT, .data = STR("x"), .kind = EVENT_TEXT};
}

static void assert_refused(const struct proposal *proposal, enum problem problem)
{
    struct refusal refusal = {.problem = PROBLEM_COUNT};
    assert_false(proposal_check(proposal, &anybody, &refusal));
    assert_int_equal(refusal.problem, problem);
    assert_non_null(refusal.detail);
}

static void assert_passes(const struct proposal *proposal)
{
    struct refusal refusal;
    assert_true(proposal_check(proposal, &anybody, &refusal));
}

static void a_sound_proposal_passes(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    assert_passes(&proposal);
    proposal.data = STR("");
    assert_passes(&proposal);
}

static void a_channel_has_a_name(void **state)
{
    (void)state;
    static const struct str names[] = {{"", 0}, {"a/", 2}, {"/a", 2}, {"a*", 2}, {"..", 2}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct proposal proposal = sound();
        proposal.channel = names[i];
        assert_refused(&proposal, PROBLEM_BAD_CHANNEL);
    }
}

static void reserved_channels_are_for_the_server_alone(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    struct refusal refusal;
    proposal.channel = STR("$webhooks/1");
    assert_refused(&proposal, PROBLEM_RESERVED_CHANNEL);
    assert_true(proposal_check(&proposal, &server, &refusal));
    proposal.channel = STR("a/$b");
    assert_passes(&proposal);
}

static void a_type_is_checked(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    proposal.type = STR("");
    assert_refused(&proposal, PROBLEM_BAD_TYPE);
    proposal.type = STR("error");
    assert_refused(&proposal, PROBLEM_BAD_TYPE);
}

static void a_key_has_1_to_255_bytes_unless_it_stands_for_an_event(void **state)
{
    (void)state;
    char long_key[KEY_MAX_BYTES + 1] = {0};
    struct proposal proposal = sound();
    proposal.has_key = true;
    assert_refused(&proposal, PROBLEM_BAD_KEY);
    proposal.key = (struct str){long_key, KEY_MAX_BYTES};
    assert_passes(&proposal);
    proposal.key.len++;
    assert_refused(&proposal, PROBLEM_BAD_KEY);
    proposal.key_stands = true;
    assert_passes(&proposal);
}

static void json_is_checked_where_nobody_has(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    struct refusal refusal;
    proposal.kind = EVENT_JSON;
    proposal.data = STR("{\"a\":}");
    assert_false(proposal_check(&proposal, &anybody, &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_JSON);
    assert_int_equal(refusal.at, 5);
    proposal.is_checked = true;
    assert_passes(&proposal);
}

static void json_that_was_checked_in_pieces_is_not_checked_again(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    struct json_scan scan;
    struct refusal refusal;
    proposal.kind = EVENT_JSON;
    proposal.data = STR("[1]");
    json_scan_begin(&scan, JSON_DEPTH_LIMIT);
    assert_true(json_scan_some(&scan, proposal.data, SIZE_MAX));
    proposal.scan = &scan;
    assert_passes(&proposal);
    scan.error = JSON_E_SYNTAX;
    scan.at = 2;
    assert_false(proposal_check(&proposal, &anybody, &refusal));
    assert_int_equal(refusal.at, 2);
    scan.deep_at = 1;
    assert_false(proposal_check(&proposal, &anybody, &refusal));
    assert_int_equal(refusal.at, 1);
    proposal.data = STR("[2]"); /* other bytes */
    assert_passes(&proposal);
}

static void assert_body(const char *content_type, struct str body, enum event_kind kind,
                        const char *kept)
{
    struct proposal proposal = sound();
    struct refusal refusal;
    assert_true(proposal_take_body(&proposal, str_from(content_type), body, &refusal));
    assert_int_equal(proposal.kind, kind);
    assert_ptr_equal(proposal.data.at, body.at);
    assert_true(str_eq(proposal.content_type, str_from(kept)));
}

static void a_body_is_json_text_or_binary_by_its_type_and_its_bytes(void **state)
{
    (void)state;
    assert_body("", STR("x"), EVENT_TEXT, "");
    assert_body("", STR("\xff"), EVENT_BINARY, "");
    assert_body("text/plain", STR("x"), EVENT_TEXT, "");
    assert_body("TEXT/Plain; charset=UTF-8", STR("x"), EVENT_TEXT, "");
    assert_body("text/plain; charset=latin1", STR("x"), EVENT_BINARY, "text/plain; charset=latin1");
    assert_body("application/x-www-form-urlencoded", STR("a=b"), EVENT_TEXT, "");
    assert_body("application/json", STR("{}"), EVENT_JSON, "");
    assert_body("application/geo+json", STR("no JSON: the check says so"), EVENT_JSON,
                "application/geo+json");
    assert_body("image/png", STR("x"), EVENT_BINARY, "image/png");
}

static void a_content_type_is_a_media_type_of_255_bytes(void **state)
{
    (void)state;
    struct proposal proposal = sound();
    struct refusal refusal;
    struct http_media media;
    char text[CONTENT_TYPE_MAX_BYTES + 1];
    memset(text, 'a', sizeof(text));
    text[1] = '/';
    assert_true(content_type_read((struct str){text, CONTENT_TYPE_MAX_BYTES}, &media));
    assert_false(content_type_read((struct str){text, CONTENT_TYPE_MAX_BYTES + 1}, &media));
    assert_false(content_type_read(STR("png"), &media));
    assert_false(proposal_take_body(&proposal, STR("png"), STR("x"), &refusal));
    assert_int_equal(refusal.problem, PROBLEM_BAD_PARAMETER);
}

static void a_publisher_needs_the_right_to_publish_there(void **state)
{
    (void)state;
    static const struct str patterns[] = {{"a/*", 3}};
    const struct grant grant = {patterns, 1, action_bit(ACTION_PUBLISH)};
    struct rules *rules = rules_new(NULL, 0);
    struct caller *caller = caller_new(
        &(const struct caller_facts){.kind = CALLER_KEY, .grants = &grant, .grants_count = 1});
    static const struct {
        const char *channel;
        bool named;
        enum problem problem;
    } rows[] = {
        {"a/b", true, PROBLEM_COUNT},         {"a", true, PROBLEM_FORBIDDEN},
        {"a/b/c", true, PROBLEM_FORBIDDEN},   {"a/b", false, PROBLEM_UNAUTHORIZED},
        {"a//b", false, PROBLEM_BAD_CHANNEL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct publisher publisher = {
            .access = {.rules = rules, .caller = rows[i].named ? caller : NULL}};
        struct proposal proposal = sound();
        struct refusal refusal = {.problem = PROBLEM_COUNT};
        proposal.channel = str_from(rows[i].channel);
        assert_int_equal(proposal_check(&proposal, &publisher, &refusal),
                         rows[i].problem == PROBLEM_COUNT);
        assert_int_equal(refusal.problem, rows[i].problem);
    }
    caller_unref(caller);
    rules_unref(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_proposal_passes),
        cmocka_unit_test(a_channel_has_a_name),
        cmocka_unit_test(reserved_channels_are_for_the_server_alone),
        cmocka_unit_test(a_type_is_checked),
        cmocka_unit_test(a_key_has_1_to_255_bytes_unless_it_stands_for_an_event),
        cmocka_unit_test(json_is_checked_where_nobody_has),
        cmocka_unit_test(json_that_was_checked_in_pieces_is_not_checked_again),
        cmocka_unit_test(a_body_is_json_text_or_binary_by_its_type_and_its_bytes),
        cmocka_unit_test(a_content_type_is_a_media_type_of_255_bytes),
        cmocka_unit_test(a_publisher_needs_the_right_to_publish_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
