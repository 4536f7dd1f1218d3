#include "client/cli/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct str columns[] = {{"id", 2}, {"name", 4}, {"used", 4}};
static const char body[] = "{\"keys\":[{\"id\":\"a\",\"name\":\"x\\ty\\u001b\\u009b\",\"used\":"
                           "null},{\"id\":2}],\"more\":false}";

static void a_table_has_a_row_for_each_element(void **state)
{
    (void)state;
    struct buf out = {0};
    answer_add_elements(&out, str_from(body), STR("keys"), columns, 3);
    assert_true(str_eq(buf_str(&out), STR("a\tx y   \t-\n2\t-\t-\n")));
    buf_free(&out);
}

static void elements_without_columns_stay_json(void **state)
{
    (void)state;
    struct buf out = {0};
    answer_add_elements(&out, STR("{\"keys\":[{\"id\":1},2]}"), STR("keys"), NULL, 0);
    assert_true(str_eq(buf_str(&out), STR("{\"id\":1}\n2\n")));
    buf_clear(&out);
    answer_add_elements(&out, STR("{\"keys\":[]}"), STR("others"), NULL, 0);
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_a_row_for_each_element),
        cmocka_unit_test(elements_without_columns_stay_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
