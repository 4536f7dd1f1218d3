#include "access/grant_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *read(const char *text, struct grant_list *ret)
{
    json_t *list = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(list);
    const char *fault = grant_list_read(list, ret);
    grant_list_deinit(ret);
    json_decref(list);
    return fault;
}

static void grants_are_written_as_they_were_read(void **state)
{
    (void)state;
    static const char text[] = "[{\"channels\":[\"chat/**\",\"news\"],\"may\":[\"read\"]},"
                               "{\"channels\":[\"a/*/b\"],\"may\":[\"publish\",\"admin\"]}]";
    json_t *list = json_loads(text, 0, NULL);
    struct grant_list grants;
    struct buf out = {0};
    struct json_writer writer = json_writer(&out);
    assert_null(grant_list_read(list, &grants));
    assert_int_equal(grants.count, 2);
    assert_true(actions_have(grants.grants[0].may, ACTION_READ));
    assert_false(actions_have(grants.grants[0].may, ACTION_PUBLISH));
    grants_write(&writer, grants.grants, grants.count);
    assert_true(str_eq(buf_str(&out), str_from(text)));
    buf_free(&out);
    grant_list_deinit(&grants);
    json_decref(list);
}

static void a_list_that_says_anything_unknown_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{}",
        "\"chat\"",
        "[1]",
        "[{}]",
        "[{\"channels\":[\"a\"]}]",
        "[{\"may\":[\"read\"]}]",
        "[{\"channels\":\"a\",\"may\":[\"read\"]}]",
        "[{\"channels\":[\"a\"],\"may\":\"read\"}]",
        "[{\"channels\":[],\"may\":[\"read\"]}]",
        "[{\"channels\":[\"a\"],\"may\":[]}]",
        "[{\"channels\":[\"a\"],\"may\":[\"write\"]}]",
        "[{\"channels\":[\"a\"],\"may\":[\"READ\"]}]",
        "[{\"channels\":[\"a\"],\"may\":[1]}]",
        "[{\"channels\":[\"a//b\"],\"may\":[\"read\"]}]",
        "[{\"channels\":[\"\"],\"may\":[\"read\"]}]",
        "[{\"channels\":[\"a/**/b\"],\"may\":[\"read\"]}]",
        "[{\"channels\":[1],\"may\":[\"read\"]}]",
        "[{\"channels\":[\"a\"],\"may\":[\"read\"],\"until\":1}]",
        "[{\"channels\":[\"a\"],\"may\":[\"read\"]},null]",
    };
    struct grant_list grants;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(read(wrong[i], &grants));
    assert_null(read("[]", &grants));
}

static void more_grants_than_a_caller_can_have_are_refused(void **state)
{
    (void)state;
    struct grant_list grants;
    for (int extra = 0; extra < 2; extra++) {
        json_t *channels = json_array(), *list = json_array();
        for (int i = 0; i < GRANT_PATTERNS_MAX + extra; i++)
            json_array_append_new(channels, json_string("a"));
        json_t *grant = json_pack("{s:o, s:[s]}", "channels", channels, "may", "read");
        json_array_append_new(list, grant);
        assert_int_equal(grant_list_read(list, &grants) != NULL, extra);
        grant_list_deinit(&grants);
        json_decref(list);
        list = json_array();
        for (int i = 0; i < GRANTS_MAX + extra; i++)
            json_array_append_new(list,
                                  json_pack("{s:[s], s:[s]}", "channels", "a", "may", "read"));
        assert_int_equal(grant_list_read(list, &grants) != NULL, extra);
        grant_list_deinit(&grants);
        json_decref(list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_are_written_as_they_were_read),
        cmocka_unit_test(a_list_that_says_anything_unknown_is_refused),
        cmocka_unit_test(more_grants_than_a_caller_can_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
