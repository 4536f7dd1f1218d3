#include "server/read_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* A FIFO in a folder of its own. */
static void make_fifo(char *dir, char *path, size_t size)
{
    assert_non_null(mkdtemp(dir));
    snprintf(path, size, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void remove_fifo(const char *dir, const char *path)
{
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void a_fifo_without_a_writer_is_given_up(void **state)
{
    char dir[] = "/tmp/freshet-read-file-XXXXXX", path[64];
    struct buf out = {0};
    (void)state;
    make_fifo(dir, path, sizeof(path));
    assert_int_equal(read_file(path, 100, &out), -ETIMEDOUT);
    assert_non_null(strstr(read_file_explain(-ETIMEDOUT), "FIFO"));
    remove_fifo(dir, path);
    buf_free(&out);
}

static void *write_in_pieces(void *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* waits for the reader */
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "one ", 4), 4);
    assert_int_equal(write(fd, "two", 3), 3);
    close(fd);
    return NULL;
}

static void a_fifo_is_read_to_the_end_of_its_writer(void **state)
{
    char dir[] = "/tmp/freshet-read-file-XXXXXX", path[64];
    struct buf out = {0};
    pthread_t writer;
    (void)state;
    make_fifo(dir, path, sizeof(path));
    assert_int_equal(pthread_create(&writer, NULL, write_in_pieces, path), 0);
    assert_int_equal(read_file(path, 100, &out), 0);
    assert_true(str_eq(buf_str(&out), STR("one two")));
    assert_int_equal(pthread_join(writer, NULL), 0);
    remove_fifo(dir, path);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_up_to_its_most),
        cmocka_unit_test(a_fifo_without_a_writer_is_given_up),
        cmocka_unit_test(a_fifo_is_read_to_the_end_of_its_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
