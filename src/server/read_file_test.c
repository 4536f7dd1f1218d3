#include "server/read_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_file_is_read_up_to_its_most(void **state)
{
    char path[] = "/tmp/freshet-read-file-XXXXXX";
    struct buf out = {0};
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 40000), 0);
    close(fd);
    assert_int_equal(read_file(path, 40000, &out), 0);
    assert_int_equal(out.len, 40000);
    assert_int_equal(read_file(path, 39999, &out), -EFBIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(read_file(path, 40000, &out), -ENOENT);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_file_is_read_up_to_its_most)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
