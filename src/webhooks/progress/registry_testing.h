/* For tests only: a registry with one endpoint, in memory or in a folder as the log leaves it, and
 * attempts for its delivery log. */
#pragma once

#include "base/folder_testing.h"
#include "log/store/sqlite/db.h"
#include "webhooks/progress/delivery_log.h"
#include "webhooks/progress/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTRY_DIR_LEN = 64 };

/* ---- folders --------------------------------------------------------------------------------- */

static inline void registry_testing_make(char dir[REGISTRY_DIR_LEN])
{
    char path[REGISTRY_DIR_LEN + 16];
    strcpy(dir, "/tmp/freshet-courier-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/state.db", dir);
    assert_int_equal(db_create_file(path), 0);
}

/* On the file beside an open registry. */
static inline void registry_testing_execute(const char *dir, const char *sql)
{
    char path[REGISTRY_DIR_LEN + 16];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/state.db", dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, sql), 0);
    sqlite3_close(db);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The row of the endpoint; its texts are static. */
static inline struct endpoint_row registry_testing_row(void)
{
    static char text[] = "x";
    return (struct endpoint_row){.id = "wh_a",
                                 .url = text,
                                 .channels = text,
                                 .types = text,
                                 .headers = text,
                                 .description = text,
                                 .schedule = text};
}

/* A registry that has the endpoint, as number 1; with `dir` NULL in memory. */
static inline struct registry *registry_testing_open(const char *dir)
{
    struct registry *registry;
    struct endpoint_row row = registry_testing_row();
    assert_int_equal(registry_open(dir, &registry), 0);
    assert_int_equal(registry_put(registry, &row, false), 0);
    assert_int_equal(row.number, 1);
    return registry;
}

static inline struct logged_attempt registry_testing_attempt(uint64_t n, uint32_t number,
                                                             enum delivery_state state)
{
    return (struct logged_attempt){.n = n,
                                   .endpoint = 1,
                                   .first = 1000 + n,
                                   .last = 1000 + n,
                                   .count = 1,
                                   .number = number,
                                   .state = state,
                                   .channel = STR("a"),
                                   .type = STR("t"),
                                   .time_us = (int64_t)n * 1000000,
                                   .took_us = 1500,
                                   .status = state == DELIVERY_DELIVERED ? 200 : 500,
                                   .response = STR("body")};
}

/* ---- fixtures -------------------------------------------------------------------------------- */

static inline int registry_testing_set_up(void **state)
{
    *state = registry_testing_open(NULL);
    return 0;
}

static inline int registry_testing_tear_down(void **state)
{
    registry_close(*state);
    return 0;
}
