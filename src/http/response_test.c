#include "http/response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "http/testing.h"

static void a_response_holds_its_fields_in_order(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 200);
    response_add(&response, STR("Vary"), STR("Accept"));
    buf_add_id(response_compose(&response, STR("Cursor")), 7);
    buf_add_lit(response_compose(&response, STR("Link")), "<a>");
    buf_add_lit(&response.text, "; rel=\"next\"");
    response_add(&response, STR("Age"), STR("1"));
    assert_int_equal(response.count, 4);
    assert_str(response_value(&response, 0), "Accept");
    assert_str(response_value(&response, 1), "0000000000000007");
    assert_str(response_value(&response, 2), "<a>; rel=\"next\"");
    assert_str(response_value(&response, 3), "1");
    assert_str(response.fields[2].name, "Link");
    response_deinit(&response);
}

static void an_empty_value_is_empty_wherever_it_stands(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 200);
    response_add(&response, STR("One"), STR_NONE);
    (void)response_compose(&response, STR("Two"));
    (void)response_compose(&response, STR("Three"));
    buf_add_lit(response_compose(&response, STR("Four")), "4");
    (void)response_compose(&response, STR("Five"));
    const char *const values[] = {"", "", "", "4", ""};
    for (unsigned i = 0; i < 5; i++)
        assert_true(str_eq(response_value(&response, i), str_from(values[i])));
    response_deinit(&response);
}

static void the_length_is_that_of_all_parts(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 200);
    assert_int_equal(response_length(&response), 0);
    response.body[0] = STR("ab");
    response.body[2] = STR("c");
    assert_int_equal(response_length(&response), 3);
    response_deinit(&response);
}

static void a_field_too_many_fails_the_response(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 200);
    for (int i = 0; i < RESPONSE_FIELDS_MAX; i++)
        response_add(&response, STR("Link"), STR("x"));
    assert_false(response_failed(&response));
    buf_add_lit(response_compose(&response, STR("Link")), "lost");
    assert_true(response_failed(&response));
    assert_int_equal(response.count, RESPONSE_FIELDS_MAX);
    assert_str(response_value(&response, RESPONSE_FIELDS_MAX - 1), "x");
    response_deinit(&response);
}

static void a_response_that_lacks_something_has_failed(void **state)
{
    (void)state;
    struct response response;
    response_init(&response, 200);
    response_fail(&response);
    response_add(&response, STR("Vary"), STR("Accept"));
    assert_true(response_failed(&response));
    response_deinit(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_holds_its_fields_in_order),
        cmocka_unit_test(an_empty_value_is_empty_wherever_it_stands),
        cmocka_unit_test(the_length_is_that_of_all_parts),
        cmocka_unit_test(a_field_too_many_fails_the_response),
        cmocka_unit_test(a_response_that_lacks_something_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
