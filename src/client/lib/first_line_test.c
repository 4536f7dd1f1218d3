#include "client/lib/first_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The line of a file of this content. */
static char *line_of(const char *content, size_t len)
{
    char path[] = "/tmp/freshet-line-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, len), (ssize_t)len);
    close(fd);
    char *line = first_line_read(path);
    (void)unlink(path);
    return line;
}

static void a_line_ends_where_the_first_one_does(void **state)
{
    static const char *const files[] = {"a b", "a b\n", "a b\r\nmore\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *line = line_of(files[i], strlen(files[i]));
        assert_string_equal(line, "a b");
        first_line_free(line);
    }
}

static void a_file_that_is_missing_or_too_large_has_none(void **state)
{
    static char large[20000];
    (void)state;
    memset(large, 'a', sizeof(large));
    assert_null(line_of(large, sizeof(large)));
    assert_null(first_line_read("/nowhere/at/all"));
    assert_null(first_line_read("/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_ends_where_the_first_one_does),
        cmocka_unit_test(a_file_that_is_missing_or_too_large_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
