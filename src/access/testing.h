/* For tests only: a folder with a state.db, as the log leaves it. */
#pragma once

#include "log/store/sqlite/db.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state_folder {
    char dir[40];
};

static inline void state_folder_make(struct state_folder *folder)
{
    char path[64];
    strcpy(folder->dir, "/tmp/freshet-access-XXXXXX");
    assert_non_null(mkdtemp(folder->dir));
    snprintf(path, sizeof(path), "%s/state.db", folder->dir);
    assert_int_equal(db_create_file(path), 0);
}

static inline void state_folder_remove(const struct state_folder *folder)
{
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm"};
    char path[64];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder->dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(folder->dir), 0);
}
