#include "client/cli/key_request.h"

#include "base/command_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORDS = 12 };

static int read_words(const char *const words[WORDS], struct key_request *request)
{
    char *argv[WORDS];
    int argc = 0;
    struct buf why = {0};
    for (; argc < WORDS && words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    int result = key_read_arguments(argc, argv, NULL, request, &why);
    assert_true(result != -EINVAL || why.len > 0);
    buf_free(&why);
    return result;
}

static void a_key_is_described_by_its_name_and_grants(void **state)
{
    (void)state;
    static const char *const words[WORDS] = {"create",    "site", "--read",       "a/**",
                                             "--publish", "a/b",  "--read",       "c",
                                             "--ttl",     "2h",   "--token-file", "-"};
    struct key_request request;
    assert_int_equal(read_words(words, &request), 0);
    assert_true(str_eq(buf_str(&request.path), STR("/keys")));
    assert_true(str_eq(buf_str(&request.body),
                       STR("{\"name\":\"site\",\"grants\":[{\"channels\":[\"a/**\",\"c\"],\"may\":["
                           "\"read\"]},{\"channels\":[\"a/b\"],\"may\":[\"publish\"]}],"
                           "\"expires_in_s\":7200}")));
    assert_string_equal(request.token_file, "-");
    key_request_deinit(&request);
}

static void a_key_is_revoked_by_its_id(void **state)
{
    (void)state;
    static const char *const words[WORDS] = {"revoke", "ab/c"};
    struct key_request request;
    assert_int_equal(read_words(words, &request), 0);
    assert_true(str_eq(buf_str(&request.path), STR("/keys/ab%2Fc")));
    assert_int_equal(request.body.len, 0);
    key_request_deinit(&request);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][WORDS] = {
        {NULL},
        {"make", "a"},
        {"create"},
        {"create", "a"},
        {"create", "a", "b", "--read", "c"},
        {"create", "a", "--read"},
        {"create", "a", "--read", "c", "--ttl", "0"},
        {"create", "a", "--read", "c", "--ttl", "soon"},
        {"create", "a", "--read", "c", "--token", "secret"},
        {"create", "a", "--read", "c", "--url", "ftp://h"},
        {"create", "\xff", "--read", "c"},
        {"ls", "a"},
        {"revoke"},
        {"revoke", ""},
        {"revoke", "a", "b"},
        {"revoke", "a", "--read", "c"},
        {"generate", "a"},
        {"generate", "--url", "http://h"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct key_request request;
        assert_int_equal(read_words(wrong[i], &request), -EINVAL);
        key_request_deinit(&request);
    }
}

static void every_verb_has_a_help(void **state)
{
    (void)state;
    static const char *const names[] = {"create", "ls", "revoke", "generate"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(key_verb_help(names[i]));
    assert_null(key_verb_help("other"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_described_by_its_name_and_grants),
        cmocka_unit_test(a_key_is_revoked_by_its_id),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(every_verb_has_a_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
