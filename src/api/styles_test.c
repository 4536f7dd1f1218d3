#include "api/styles.h"

#include "pages/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool has(const struct buf *buf, const char *text)
{
    struct str all = buf_str(buf);
    return memmem(all.at, all.len, text, strlen(text)) != NULL;
}

static void every_page_has_its_sheets_within(void **state)
{
    (void)state;
    for (size_t i = 0; i < page_files_count; i++) {
        struct buf page = {0};
        if (!str_starts(str_from(page_files[i].type), STR("text/html")))
            continue;
        struct str path = str_from(page_files[i].path);
        if (str_eq(path, STR("pages/index.html")))
            path = STR(""); /* the first page */
        styles_add_page(&page, path, page_files[i].body);
        assert_false(has(&page, "rel=\"stylesheet\""));
        assert_true(has(&page, "<style>/* One sheet for all pages."));
        assert_true(has(&page, "</html>"));
        buf_free(&page);
    }
}

static void a_link_that_leads_to_no_file_stays(void **state)
{
    (void)state;
    static const char *const pages[] = {
        "a <link rel=\"stylesheet\" href=\"../pages/style.cs\"> b",
        "<link rel=\"stylesheet\" href=\"https://elsewhere.example/style.css\">",
        "<link rel=\"stylesheet\" href=\"../../../pages/none.css\">", "no link", ""};
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct buf page = {0};
        styles_add_page(&page, STR("demos/"), str_from(pages[i]));
        assert_true(str_eq(buf_str(&page), str_from(pages[i])));
        buf_free(&page);
    }
}

/* The hash is that of RFC 6234's test vector "abc", in base64. */
static void the_source_of_a_sheet_is_the_hash_of_what_stands_between_the_tags(void **state)
{
    (void)state;
    struct buf sources = {0};
    styles_add_sources(&sources, STR("<p><style>abc</style><p>"));
    assert_true(
        str_eq(buf_str(&sources), STR(" 'sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0='")));
    buf_clear(&sources);
    styles_add_sources(&sources, STR("<p>no style"));
    assert_int_equal(buf_str(&sources).len, 0);
    styles_add_sources(&sources, STR("<style>a</style><style>b</style>"));
    assert_int_equal(buf_str(&sources).len, 2 * (strlen(" 'sha256-'") + 44));
    buf_free(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_has_its_sheets_within),
        cmocka_unit_test(a_link_that_leads_to_no_file_stays),
        cmocka_unit_test(the_source_of_a_sheet_is_the_hash_of_what_stands_between_the_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
