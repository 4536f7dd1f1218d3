#include "backend/authorize_reply.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void answers_with_a_boolean_are_read(void **state)
{
    static const struct {
        const char *body, *subject;
        bool allow;
        int64_t ttl_s;
    } rows[] = {
        {"{\"allow\": true}", "", true, AUTHORIZE_TTL_S},
        {"{\"allow\": false, \"more\": [1, {}]}", "", false, AUTHORIZE_TTL_S},
        {"{\"allow\": true, \"subject\": \"alice\", \"ttl_s\": 1}", "alice", true, 1},
        {"{\"ttl_s\": 86400, \"allow\": true}", "", true, 86400},
    };
    struct authorize_reply reply;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(authorize_reply_read(str_from(rows[i].body), &reply));
        assert_int_equal(reply.allow, rows[i].allow);
        assert_int_equal(reply.ttl_s, rows[i].ttl_s);
        assert_true(str_eq(reply.subject, str_from(rows[i].subject)));
        authorize_reply_deinit(&reply);
    }
}

static void every_other_answer_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "true",
        "[]",
        "{}",
        "{\"allow\": 1}",
        "{\"allow\": \"true\"}",
        "{\"allow\": null}",
        "{\"allow\": true, \"allow\": true}",
        "{\"allow\": true, \"ttl_s\": 0}",
        "{\"allow\": true, \"ttl_s\": -1}",
        "{\"allow\": true, \"ttl_s\": 86401}",
        "{\"allow\": true, \"ttl_s\": 1.5}",
        "{\"allow\": true, \"ttl_s\": \"300\"}",
        "{\"allow\": true, \"ttl_s\": null}",
        "{\"allow\": true, \"ttl_s\": 99999999999999999999}",
        "{\"allow\": true, \"subject\": \"\"}",
        "{\"allow\": true, \"subject\": 5}",
        "{\"allow\": true, \"subject\": \"a\\nb\"}",
        "{\"allow\": true, \"more\": [[[[]]]]}",
        "{\"allow\": true} {}",
        "{\"allow\": true",
    };
    struct authorize_reply reply;
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_false(authorize_reply_read(str_from(bodies[i]), &reply));
        authorize_reply_deinit(&reply);
    }
    assert_false(authorize_reply_read(STR("{\"allow\": true, \"subject\": \"a\0b\"}"), &reply));
    authorize_reply_deinit(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_with_a_boolean_are_read),
        cmocka_unit_test(every_other_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
