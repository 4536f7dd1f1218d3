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

static size_t count(const struct buf *buf, const char *text)
{
    size_t n = 0;
    struct str rest = buf_str(buf);
    for (const char *at; rest.len && (at = memmem(rest.at, rest.len, text, strlen(text))); n++)
        rest = str_skip(rest, (size_t)(at - rest.at) + 1);
    return n;
}

static void each_sheet_of_a_page_has_a_source(void **state)
{
    (void)state;
    for (size_t i = 0; i < page_files_count; i++) {
        struct buf page = {0}, sources = {0};
        styles_add_page(&page, str_from(page_files[i].path), page_files[i].body);
        styles_add_sources(&sources, buf_str(&page));
        assert_int_equal(count(&sources, " 'sha256-"), count(&page, "<style>"));
        assert_int_equal(sources.len, count(&page, "<style>") * (strlen(" 'sha256-'") + 44));
        buf_free(&page);
        buf_free(&sources);
    }
}

/* The policy must not allow a sheet that an attacker has put into a page. */
static void a_sheet_that_is_no_file_has_no_source(void **state)
{
    (void)state;
    static const char *const pages[] = {"<p><style>abc</style><p>", "<style>", "<p>no style", "",
                                        "<style>a</style><style>b</style>"};
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct buf sources = {0};
        styles_add_sources(&sources, str_from(pages[i]));
        assert_int_equal(sources.len, 0);
        buf_free(&sources);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_page_has_its_sheets_within),
        cmocka_unit_test(a_link_that_leads_to_no_file_stays),
        cmocka_unit_test(each_sheet_of_a_page_has_a_source),
        cmocka_unit_test(a_sheet_that_is_no_file_has_no_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
