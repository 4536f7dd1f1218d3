#include "client/lib/credential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Reads what a file of this content holds. */
static int read_text(const char *content, size_t len, struct credential *ret)
{
    char path[] = "/tmp/freshet-credential-XXXXXX";
    struct buf why = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t)len);
    close(fd);
    *ret = (struct credential){.file = path};
    int result = credential_read(ret, "from-environment", &why);
    assert_int_equal(result != 0, why.len > 0);
    (void)unlink(path);
    buf_free(&why);
    return result;
}

static void a_file_holds_it_on_its_first_line(void **state)
{
    static const char *const files[] = {"fk_a_b", "fk_a_b\n", "fk_a_b\r\nmore\n"};
    struct credential credential;
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_int_equal(read_text(files[i], strlen(files[i]), &credential), 0);
        assert_string_equal(credential.text, "fk_a_b");
        credential_deinit(&credential);
        assert_null(credential.text);
    }
}

static void a_file_without_one_is_refused(void **state)
{
    static char large[20000];
    struct credential credential;
    struct buf why = {0};
    (void)state;
    memset(large, 'a', sizeof(large));
    assert_int_equal(read_text("", 0, &credential), -EINVAL);
    credential_deinit(&credential);
    assert_int_equal(read_text("\nfk_a_b\n", 8, &credential), -EINVAL);
    credential_deinit(&credential);
    assert_int_equal(read_text("a b\n", 4, &credential), -EINVAL);
    credential_deinit(&credential);
    assert_int_equal(read_text(large, sizeof(large), &credential), -EINVAL);
    credential_deinit(&credential);
    credential = (struct credential){.file = "/nowhere/at/all"};
    assert_int_equal(credential_read(&credential, NULL, &why), -EINVAL);
    credential_deinit(&credential);
    buf_free(&why);
}

static void the_environment_stands_in_for_a_file(void **state)
{
    struct credential credential = {0};
    struct buf why = {0};
    (void)state;
    assert_int_equal(credential_read(&credential, "from-environment", &why), 0);
    assert_string_equal(credential.text, "from-environment");
    credential = (struct credential){0};
    assert_int_equal(credential_read(&credential, NULL, &why), 0);
    assert_null(credential.text);
    assert_int_equal(credential_read(&credential, "a\r\nHost: b", &why), -EINVAL);
    buf_free(&why);
}

static void the_command_line_is_refused_without_its_text(void **state)
{
    static const char *const files[] = {NULL, "/some/file"};
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct credential credential = {.said = "fk_said_before_all", .file = files[i]};
        struct buf why = {0};
        assert_int_equal(credential_read(&credential, "from-environment", &why), -EINVAL);
        assert_null(credential.text);
        buf_add_char(&why, '\0');
        assert_non_null(strstr(why.at, "--token-file"));
        assert_null(strstr(why.at, "fk_said"));
        buf_free(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_holds_it_on_its_first_line),
        cmocka_unit_test(a_file_without_one_is_refused),
        cmocka_unit_test(the_environment_stands_in_for_a_file),
        cmocka_unit_test(the_command_line_is_refused_without_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
