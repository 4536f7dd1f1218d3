/* A folder of the log that a program of tests fills once and copies for each further test, since to
 * fill it syncs a lot. For tests only. */
#pragma once

#include "log/store/sqlite/testing.h"

static char pattern[] = "/tmp/freshet-pattern-XXXXXX";
static bool has_pattern;

static inline void copy_folder(const char *from, const char *to)
{
    char command[160];
    snprintf(command, sizeof(command), "cp -a %s/. %s", from, to);
    assert_int_equal(system(command), 0);
}

/* Whether there is one, which is in `dir` then. */
static inline bool pattern_copy(const char *dir)
{
    if (has_pattern)
        copy_folder(pattern, dir);
    return has_pattern;
}

static inline void pattern_keep(const char *dir)
{
    assert_non_null(mkdtemp(pattern));
    copy_folder(dir, pattern);
    has_pattern = true;
}

/* The teardown of the group. */
static inline int pattern_remove(void **state)
{
    (void)state;
    folder_testing_remove(pattern);
    return 0;
}
