#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void the_text_of_a_string_may_be_empty_or_have_a_nul(void **state)
{
    (void)state;
    json_t *list = json_loads("[\"a\\u0000b\", \"\"]", JSON_ALLOW_NUL, NULL);
    assert_true(str_eq(json_text(json_array_get(list, 0)), STR("a\0b")));
    assert_non_null(json_text(json_array_get(list, 1)).at);
    assert_int_equal(json_text(json_array_get(list, 1)).len, 0);
    json_decref(list);
}

static void anything_but_a_string_has_no_text(void **state)
{
    (void)state;
    json_t *list = json_loads("[1, null, [\"a\"]]", 0, NULL);
    for (size_t i = 0; i < 4; i++) /* the last one is not there */
        assert_null(json_text(json_array_get(list, i)).at);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_of_a_string_may_be_empty_or_have_a_nul),
        cmocka_unit_test(anything_but_a_string_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
