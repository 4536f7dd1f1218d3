/* A folder with sealed files that are in the sums, a copy of it for each test. For tests only. */
#pragma once

#include "log/store/sqlite/testing.h"

#include "base/say.h"

enum { FILES = 5, EVENTS = 20, A_LAST = 1419, B_LAST = 1469 };

/* Sealed files with events of "a" (1) in all of them and "b" (2) in the even ones, added up: each
 * test has a copy. */
static struct place model;

static inline int make_model(void **state)
{
    (void)state;
    place_init(&model);
    place_open(&model);
    for (uint64_t file = 0; file < FILES; file++) {
        place_put(&model, 1000 + file * 100, EVENTS, 1, "a", 10);
        if (file % 2 == 0)
            place_put(&model, 1050 + file * 100, EVENTS, 2, "b", 5);
        place_roll(&model);
    }
    place_close(&model);
    return 0;
}

static inline int remove_model(void **state)
{
    (void)state;
    place_deinit(&model);
    return 0;
}

static inline void make_files(struct place *place)
{
    char command[256];
    place_init(place);
    snprintf(command, sizeof(command), "cp -r %s/. %s", model.dir, place->dir);
    assert_int_equal(system(command), 0);
    place->clock.wall_us = model.clock.wall_us;
    place_open(place);
}

static inline void reopen(struct place *place)
{
    place_close(place);
    place_open(place);
}

static inline size_t files_summed(struct place *place)
{
    struct chain *chain = sqlite_chain(place->store);
    size_t count = 0;
    for (size_t i = 0; i < chain->count; i++)
        count += chain->list[i]->summed;
    return count;
}

static inline void check(const struct place *place, const char *name, uint64_t last, int count)
{
    const struct store_channel *channel = place_find(place, name);
    assert_non_null(channel);
    assert_int_equal(channel->last, last);
    assert_int_equal(channel->count, count);
    assert_int_equal(channel->bytes, (uint64_t)count * (*name == 'a' ? 10 : 5));
}

static inline void check_whole(const struct place *place)
{
    check(place, "a", A_LAST, FILES * EVENTS);
    check(place, "b", B_LAST, (FILES + 1) / 2 * EVENTS);
}

static inline void run_sql(const struct place *place, const char *file, const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/%s", place->dir, file);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    assert_int_equal(db_exec(db, sql), 0);
    sqlite3_close(db);
}

static inline void remove_file(const struct place *place, const char *file)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place->dir, file);
    assert_int_equal(unlink(path), 0);
}

/* ---- losses ---------------------------------------------------------------------------------- */

/* The greatest id up to which the store has told of a loss since the place was opened again. */
static uint64_t lost;

static inline void note_lost(void *context, uint64_t upto)
{
    (void)context;
    lost = upto > lost ? upto : lost;
}

static inline void open_again(struct place *place)
{
    if (place->store)
        place_close(place);
    place->config.lost = note_lost;
    lost = 0;
    place_open(place);
}
