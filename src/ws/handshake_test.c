#include "ws/handshake.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define RFC_KEY STR("dGhlIHNhbXBsZSBub25jZQ==")
#define RFC_ACCEPT STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

static void the_key_of_rfc_6455_section_1_3_is_answered_as_printed(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN];
    assert_int_equal(ws_accept_key(RFC_KEY, accept), 0);
    assert_memory_equal(accept, RFC_ACCEPT.at, WS_ACCEPT_LEN);
    assert_true(ws_accept_matches(RFC_KEY, RFC_ACCEPT));
    assert_false(ws_accept_matches(RFC_KEY, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOO=")));
    assert_false(ws_accept_matches(RFC_KEY, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")));
    assert_false(ws_accept_matches(RFC_KEY, STR("")));
}

static void a_key_is_16_bytes_in_base64(void **state)
{
    (void)state;
    assert_true(ws_key_valid(RFC_KEY));
    assert_true(ws_key_valid(STR("+/+/+/+/+/+/+/+/+/+/+w==")));
    assert_false(ws_key_valid(STR("")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZQ== ")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZXM=")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBub25jZXMK")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBu-25jZQ==")));
    assert_false(ws_key_valid(STR("dGhlIHNhbXBsZSBu\0025jZQ==")));
}

static void a_key_of_another_length_gets_no_answer(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN];
    assert_int_equal(ws_accept_key(STR("short"), accept), -EINVAL);
    assert_int_equal(ws_accept_key(STR_NONE, accept), -EINVAL);
}

static void a_fresh_key_is_valid_and_unlike_the_one_before(void **state)
{
    (void)state;
    char first[WS_KEY_LEN], second[WS_KEY_LEN];
    assert_int_equal(ws_make_key(first), 0);
    assert_int_equal(ws_make_key(second), 0);
    assert_true(ws_key_valid((struct str){first, sizeof(first)}));
    assert_memory_not_equal(first, second, WS_KEY_LEN);
}

static void a_key_without_memory_is_reported(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_LEN];
    mem_fail_nth(1);
    assert_int_equal(ws_accept_key(RFC_KEY, accept), -ENOMEM);
    mem_fail_nth(1);
    assert_int_equal(ws_make_key(accept), -ENOMEM);
    mem_fail_nth(1);
    assert_false(ws_accept_matches(RFC_KEY, RFC_ACCEPT));
    mem_fail_nth(0);
}

static void assert_protocol(const char *list, const char *want)
{
    const struct str supported[] = {STR("freshet.v1"), STR("freshet.v2")};
    struct str got;
    assert_int_equal(ws_choose_protocol(str_from(list), supported, 2, &got), 0);
    assert_true(want ? str_eq(got, str_from(want)) : !got.at);
}

static void the_first_subprotocol_that_we_speak_is_chosen(void **state)
{
    (void)state;
    assert_protocol("freshet.v1", "freshet.v1");
    assert_protocol("chat, freshet.v2,freshet.v1", "freshet.v2");
    assert_protocol(" \tfreshet.v1\t ", "freshet.v1");
    assert_protocol(",, freshet.v1 ,", "freshet.v1");
    assert_protocol("chat", NULL);
    assert_protocol("", NULL);
    assert_protocol("Freshet.v1", NULL);
    assert_protocol("freshet.v11", NULL);
}

static void a_subprotocol_list_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {"a b", "a;b", "freshet.v1, \"x\"", "a\x01", "\xc3\xa4"};
    const struct str supported[] = {STR("freshet.v1")};
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        struct str got;
        assert_int_equal(ws_choose_protocol(str_from(lists[i]), supported, 1, &got), -EINVAL);
        assert_null(got.at);
    }
}

/* `want` is the answer, NULL if every offer is declined. */
static void assert_answer(const char *offers, const char *want)
{
    struct ws_deflate_params params;
    struct buf answer = {0};
    assert_int_equal(ws_negotiate_deflate(str_from(offers), &params), 0);
    assert_int_equal(params.enabled, want != NULL);
    if (want) {
        ws_add_deflate_answer(&answer, &params);
        assert_true(str_eq(buf_str(&answer), str_from(want)));
    }
    buf_free(&answer);
}

#define BASIC "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static void an_offer_is_accepted_without_context_takeover(void **state)
{
    (void)state;
    assert_answer("permessage-deflate", BASIC);
    assert_answer("permessage-deflate; client_max_window_bits", BASIC);
    assert_answer("permessage-deflate;client_max_window_bits=10", BASIC);
    assert_answer(BASIC, BASIC);
    assert_answer(" , permessage-deflate ;\tserver_no_context_takeover ,", BASIC);
}

static void a_window_that_was_asked_for_is_named_in_the_answer(void **state)
{
    (void)state;
    assert_answer("permessage-deflate; server_max_window_bits=15",
                  BASIC "; server_max_window_bits=15");
    assert_answer("permessage-deflate; server_max_window_bits=14",
                  BASIC "; server_max_window_bits=12");
    assert_answer("permessage-deflate; server_max_window_bits=\"10\"",
                  BASIC "; server_max_window_bits=9");
}

static void an_offer_that_we_cannot_meet_is_declined_and_the_next_one_taken(void **state)
{
    (void)state;
    assert_answer("permessage-deflate; server_max_window_bits=8", NULL);
    assert_answer("permessage-deflate; server_max_window_bits=8, permessage-deflate", BASIC);
    assert_answer("permessage-deflate; server_max_window_bits=9, permessage-deflate",
                  BASIC "; server_max_window_bits=9");
}

static void a_parameter_that_is_unknown_repeated_or_wrong_declines_its_offer(void **state)
{
    (void)state;
    static const char *const params[] = {
        "foo",
        "foo=1",
        "Server_no_context_takeover",
        "server_no_context_takeover=1",
        "client_no_context_takeover=\"x\"",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=9",
        "server_max_window_bits=9; server_max_window_bits=9",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=1",
        "server_max_window_bits=+9",
        "server_max_window_bits=100",
        "client_max_window_bits=0",
        "client_max_window_bits=16",
        "client_max_window_bits=\"1\\5\"",
    };
    for (size_t i = 0; i < sizeof(params) / sizeof(*params); i++) {
        char offers[200];
        snprintf(offers, sizeof(offers), "permessage-deflate; %s", params[i]);
        assert_answer(offers, NULL);
        snprintf(offers, sizeof(offers), "permessage-deflate; %s, permessage-deflate", params[i]);
        assert_answer(offers, BASIC);
    }
}

static void other_extensions_are_passed_over(void **state)
{
    (void)state;
    assert_answer("", NULL);
    assert_answer("x-webkit-deflate-frame", NULL);
    assert_answer("Permessage-Deflate", NULL);
    assert_answer("foo; a=\"b\"; c, bar;x=y, permessage-deflate", BASIC);
}

static void assert_malformed(const char *value)
{
    struct ws_deflate_params params;
    assert_int_equal(ws_negotiate_deflate(str_from(value), &params), -EINVAL);
    assert_false(params.enabled);
}

static void a_value_that_breaks_the_grammar_is_refused_as_a_whole(void **state)
{
    (void)state;
    assert_malformed(";");
    assert_malformed("permessage-deflate;");
    assert_malformed("permessage-deflate; ;");
    assert_malformed("permessage-deflate; a=");
    assert_malformed("permessage-deflate; =a");
    assert_malformed("permessage-deflate; a=b=c");
    assert_malformed("permessage-deflate foo");
    assert_malformed("permessage-deflate; a b");
    assert_malformed("permessage-deflate; a=\"");
    assert_malformed("permessage-deflate; a=\"\"");
    assert_malformed("permessage-deflate; a=\"b");
    assert_malformed("permessage-deflate; a=\"b\\");
    assert_malformed("permessage-deflate; a=\"b\\\"");
    assert_malformed("permessage-deflate; a=\"b c\"");
    assert_malformed("foo; a=\"\\,\", permessage-deflate");
    assert_malformed("permessage-deflate; a=\"b\"c");
    assert_malformed("permessage-deflate, (");
    assert_malformed("permessage-deflate, a=b");
    assert_malformed("\x7f");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_of_rfc_6455_section_1_3_is_answered_as_printed),
        cmocka_unit_test(a_key_is_16_bytes_in_base64),
        cmocka_unit_test(a_key_of_another_length_gets_no_answer),
        cmocka_unit_test(a_fresh_key_is_valid_and_unlike_the_one_before),
        cmocka_unit_test(a_key_without_memory_is_reported),
        cmocka_unit_test(the_first_subprotocol_that_we_speak_is_chosen),
        cmocka_unit_test(a_subprotocol_list_that_is_none_is_refused),
        cmocka_unit_test(an_offer_is_accepted_without_context_takeover),
        cmocka_unit_test(a_window_that_was_asked_for_is_named_in_the_answer),
        cmocka_unit_test(an_offer_that_we_cannot_meet_is_declined_and_the_next_one_taken),
        cmocka_unit_test(a_parameter_that_is_unknown_repeated_or_wrong_declines_its_offer),
        cmocka_unit_test(other_extensions_are_passed_over),
        cmocka_unit_test(a_value_that_breaks_the_grammar_is_refused_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
