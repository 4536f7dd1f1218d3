#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/folder.h"

#include <fcntl.h>

static char dir[] = "/tmp/freshet-folder-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    folder_testing_remove(dir);
    return 0;
}

static void a_lock_says_which_process_has_it(void **state)
{
    (void)state;
    int first, second;
    int64_t pid;
    assert_int_equal(folder_lock(dir, true, &first, &pid), 0);
    assert_int_equal(folder_lock(dir, true, &second, &pid), -EBUSY);
    assert_int_equal(pid, getpid());
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(folder_lock(dir, true, &second, &pid), 0);
    close(second);
}

static void a_lock_without_a_number_keeps_others_out_all_the_same(void **state)
{
    (void)state;
    int first, second;
    int64_t pid;
    static const char *const texts[] = {"", "x", "-5\n"};
    assert_int_equal(folder_lock(dir, true, &first, &pid), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ftruncate(first, 0), 0);
        assert_int_equal(pwrite(first, texts[i], strlen(texts[i]), 0), strlen(texts[i]));
        assert_int_equal(folder_lock(dir, true, &second, &pid), -EBUSY);
        assert_int_equal(pid, 0);
    }
    close(first);
}

static void a_lock_that_leads_elsewhere_is_not_followed(void **state)
{
    (void)state;
    int fd;
    int64_t pid;
    char path[64], target[64];
    snprintf(path, sizeof(path), "%s/lock", dir);
    snprintf(target, sizeof(target), "%s/target", dir);
    unlink(path);
    assert_int_equal(symlink(target, path), 0);
    for (int make = 0; make < 2; make++)
        assert_int_equal(folder_lock(dir, make, &fd, &pid), -ELOOP);
    assert_int_equal(access(target, F_OK), -1);
    unlink(path);
}

static void a_folder_without_a_lock_is_free_and_stays_as_it_is(void **state)
{
    (void)state;
    int fd;
    int64_t pid;
    char path[64];
    snprintf(path, sizeof(path), "%s/lock", dir);
    unlink(path);
    assert_int_equal(folder_lock(dir, false, &fd, &pid), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_folder_that_cannot_be_locked_is_an_error(void **state)
{
    (void)state;
    int fd;
    int64_t pid;
    char path[64];
    snprintf(path, sizeof(path), "%s/lock", dir);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(folder_lock(dir, true, &fd, &pid), -EISDIR);
    assert_int_equal(fd, -1);
    rmdir(path);
    assert_int_equal(folder_lock("/proc/nowhere", true, &fd, &pid), -ENOENT);
}

static void a_folder_is_made_once(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof(path), "%s/log", dir);
    assert_int_equal(folder_make(path), 0);
    assert_int_equal(folder_make(path), 0);
    assert_int_equal(folder_make("/proc/nowhere/log"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_says_which_process_has_it),
        cmocka_unit_test(a_lock_without_a_number_keeps_others_out_all_the_same),
        cmocka_unit_test(a_lock_that_leads_elsewhere_is_not_followed),
        cmocka_unit_test(a_folder_without_a_lock_is_free_and_stays_as_it_is),
        cmocka_unit_test(a_folder_that_cannot_be_locked_is_an_error),
        cmocka_unit_test(a_folder_is_made_once),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
