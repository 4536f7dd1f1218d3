#include "pages/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static void a_file_is_found_by_its_whole_path_alone(void **state)
{
    (void)state;
    const struct page_file *file = page_file_find(STR("playground"));
    assert_non_null(file);
    assert_string_equal(file->type, "text/html; charset=utf-8");
    static const char *const none[] = {"",      "playgroun", "playground/",  "playground/x",
                                       "pages", "pages/",    "../playground"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_null(page_file_find(str_from(none[i])));
}

static void the_page_of_a_folder_is_found_with_its_slash_alone(void **state)
{
    (void)state;
    assert_non_null(page_file_find(STR("demos/chat/")));
    assert_null(page_file_find(STR("demos/chat")));
    assert_true(page_is_folder(STR("demos/chat")));
    assert_true(page_is_folder(STR("demos")));
    static const char *const none[] = {"",           "demos/", "demos/cha", "demos/chat/",
                                       "playground", "demo"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(page_is_folder(str_from(none[i])));
}

static void every_file_holds_something_and_has_a_tag(void **state)
{
    (void)state;
    assert_true(page_files_count > 0);
    for (size_t i = 0; i < page_files_count; i++) {
        assert_true(page_files[i].body.len > 0);
        assert_int_equal(strlen(page_files[i].tag), 16);
    }
}

static void a_page_loads_nothing_from_elsewhere(void **state)
{
    (void)state;
    static const char *const loads[] = {"src=\"http", "href=\"http", "src=\"//",
                                        "@import",    "url(http",    "from \"http"};
    for (size_t i = 0; i < page_files_count; i++)
        for (size_t k = 0; k < sizeof(loads) / sizeof(loads[0]); k++)
            assert_null(
                memmem(page_files[i].body.at, page_files[i].body.len, loads[k], strlen(loads[k])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_found_by_its_whole_path_alone),
        cmocka_unit_test(the_page_of_a_folder_is_found_with_its_slash_alone),
        cmocka_unit_test(every_file_holds_something_and_has_a_tag),
        cmocka_unit_test(a_page_loads_nothing_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
