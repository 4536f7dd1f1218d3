#include "bench/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_and_cpu_time_of_a_process_are_counted(void **state)
{
    (void)state;
    enum { SIZE = 64 << 20 };
    pid_t self = getpid();
    struct usage before = usage_read(&self, 1, true);
    char *memory = malloc(SIZE);
    assert_non_null(memory);
    memset(memory, 1, SIZE);
    struct usage after = usage_read(&self, 1, true);
    assert_true(memory[SIZE - 1] == 1);
    free(memory);
    assert_true(before.data_bytes > 0 && before.kernel_bytes > 0);
    assert_true(after.data_bytes >= before.data_bytes + SIZE * 9 / 10);
    assert_true(after.rss_bytes >= after.data_bytes);
    assert_true(after.cpu_ns > before.cpu_ns);
    assert_true(usage_own_cpu_ns() > 0);
}

static void a_process_that_is_not_there_uses_nothing(void **state)
{
    (void)state;
    pid_t nobody = 0x3fffffff;
    struct usage usage = usage_read(&nobody, 1, true);
    assert_true(usage.cpu_ns == 0 && usage.data_bytes == 0 && usage.rss_bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_cpu_time_of_a_process_are_counted),
        cmocka_unit_test(a_process_that_is_not_there_uses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
