/* A store in a folder of its own, for the tests of this folder: opened, looked at, thrown away. */
#pragma once

#include "log/store/store_check.h"

#include "base/folder_testing.h"
#include "log/store/sqlite/sqlite.h"

#include <errno.h>
#include <unistd.h>

/* Tests that fail or end at each step in turn take only every STRIDE-th step in sanitized builds,
 * which are up to ten times as slow and look for other faults than wrong results. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW
#endif
#endif
#if defined(IS_SLOW) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 5 };
#else
enum { STRIDE = 1 };
#endif

/* The loader's report. */
struct loaded {
    struct store_channel channels[64];
    char names[64][64];
    size_t count;
    uint64_t key_ids[4096];
    size_t keys;
};

struct place {
    char dir[64];
    struct clock_fake clock;
    struct store_config config;
    struct chain_hook hook;
    struct loaded loaded;
    struct store_newest newest;
    int64_t keys_since_us;
    struct store *store;
};

static inline void place_init(struct place *place)
{
    *place = (struct place){.dir = "/tmp/freshet-store-XXXXXX"};
    assert_non_null(mkdtemp(place->dir));
    clock_fake_init(&place->clock, 1700000000000000);
    place->config = (struct store_config){.dir = place->dir,
                                          .roll_bytes = 64 << 20,
                                          .roll_us = INT64_C(3600000000),
                                          .clock = &place->clock.clock};
}

static inline int place_channel(void *context, const struct store_channel *channel)
{
    struct loaded *loaded = context;
    assert_true(loaded->count < 64 && channel->name.len < 64);
    size_t at = loaded->count++;
    loaded->channels[at] = *channel;
    memcpy(loaded->names[at], channel->name.at, channel->name.len);
    loaded->channels[at].name.at = loaded->names[at];
    return 0;
}

static inline int place_key(void *context, const struct event_key *key, uint64_t id,
                            int64_t time_us)
{
    struct loaded *loaded = context;
    (void)key;
    (void)time_us;
    assert_true(!loaded->keys || loaded->key_ids[loaded->keys - 1] < id);
    loaded->key_ids[loaded->keys++ % 4096] = id;
    return 0;
}

static inline int place_try_open(struct place *place)
{
    struct store_loader loader = {.channel = place_channel,
                                  .key = place_key,
                                  .context = &place->loaded,
                                  .keys_since_us = place->keys_since_us};
    place->loaded = (struct loaded){0};
    place->newest = (struct store_newest){0};
    return sqlite_open_hooked(&place->config, &loader, &place->hook, &place->store, &place->newest);
}

static inline struct store *place_open(struct place *place)
{
    assert_int_equal(place_try_open(place), 0);
    return place->store;
}

static inline void place_close(struct place *place)
{
    place->store->ops->close(place->store);
    place->store = NULL;
}

static inline void place_deinit(struct place *place)
{
    if (place->store)
        place_close(place);
    folder_testing_remove(place->dir);
}

static inline const struct store_channel *place_find(const struct place *place, const char *name)
{
    for (size_t i = 0; i < place->loaded.count; i++)
        if (str_eq(place->loaded.channels[i].name, str_from(name)))
            return &place->loaded.channels[i];
    return NULL;
}

/* Checks that the report agrees with the model. */
static inline void place_check_loaded(const struct place *place, const struct check *check)
{
    for (uint32_t n = 1; n <= CHECK_CHANNELS; n++) {
        uint64_t count = 0, bytes = 0;
        for (size_t i = 0; i < check->count; i++) {
            const struct check_event *event = &check->events[i];
            if (event->event.number != n || !check_live(check, event))
                continue;
            count++;
            bytes += event->event.data.len;
        }
        const struct store_channel *channel = place_find(place, check_name(n).at);
        assert_true(!channel == !check->known[n]);
        if (!channel)
            continue;
        assert_int_equal(channel->number, n);
        assert_int_equal(channel->last, check->last[n]);
        assert_int_equal(channel->trimmed, check->trimmed[n]);
        assert_int_equal(channel->count, count);
        assert_int_equal(channel->bytes, bytes);
    }
    if (check->count) {
        assert_int_equal(place->newest.id, check->id);
        assert_int_equal(place->newest.time_us, check->time_us);
    }
}

/* A batch of `count` events in one channel, its data of `len` bytes. */
static inline struct batch *place_batch(uint64_t first, uint32_t count, uint32_t number,
                                        const char *name, size_t len)
{
    struct batch *batch = batch_new();
    char *data = mem_alloc(len + 1);
    memset(data, 'x', len);
    for (uint32_t i = 0; i < count; i++) {
        struct event *event = batch_add(batch);
        *event = (struct event){.id = first + i,
                                .number = number,
                                .state = EVENT_APPENDED,
                                .kind = EVENT_TEXT,
                                .type = STR("message"),
                                .time_us = (int64_t)(first + i)};
        event->channel = batch_copy(batch, str_from(name));
        event->data = batch_copy(batch, (struct str){data, len});
    }
    free(data);
    return batch;
}

/* Appends the batch, with the present time, and drops it. */
static inline int place_append(struct place *place, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        batch->events[i].time_us = place->clock.wall_us;
    int result = place->store->ops->append(place->store, &batch, 1);
    batch_unref(batch);
    return result;
}

static inline void place_put(struct place *place, uint64_t first, uint32_t count, uint32_t number,
                             const char *name, size_t len)
{
    assert_int_equal(place_append(place, place_batch(first, count, number, name, len)), 0);
}

/* A DELETE, as it comes with the appends. */
static inline void place_delete(struct place *place, uint32_t number, const char *name,
                                uint64_t upto)
{
    struct batch *batch = batch_new();
    *batch_add(batch) = (struct event){
        .id = upto, .number = number, .state = EVENT_TRIM, .channel = str_from(name)};
    assert_int_equal(place_append(place, batch), 0);
}

static inline void place_trim(struct place *place, uint32_t number, const char *name, uint64_t last,
                              uint64_t upto)
{
    struct store_trim trim = {number, str_from(name), last, upto};
    assert_int_equal(place->store->ops->trim(place->store, &trim, 1), 0);
}

static inline void place_upkeep(struct place *place)
{
    assert_int_equal(place->store->ops->upkeep(place->store), 0);
}

/* Makes the active file due, and runs upkeep. */
static inline void place_roll(struct place *place)
{
    clock_fake_advance(&place->clock, place->config.roll_us);
    place_upkeep(place);
}

/* The ids of a channel, at most `max` of them; how many there are. */
static inline size_t place_ids(struct place *place, uint32_t number, uint64_t *ids, size_t max)
{
    struct selection all = {0};
    struct store_query query = {.selection = &all,
                                .numbers = &number,
                                .numbers_count = 1,
                                .upto = EVENT_ID_MAX,
                                .limit = (uint32_t)max,
                                .bytes = SIZE_MAX,
                                .rows = UINT64_MAX};
    struct batch *batch;
    uint64_t through;
    assert_int_equal(place->store->ops->read(place->store, &query, &batch, &through), 0);
    size_t count = batch->count;
    for (size_t i = 0; i < count; i++)
        ids[i] = batch->events[i].id;
    batch_unref(batch);
    return count;
}

static inline size_t place_count(struct place *place, uint32_t number)
{
    static uint64_t ids[100000];
    return place_ids(place, number, ids, 100000);
}

/* How many of the chain's files end in `end`. */
static inline size_t place_files(const struct place *place, const char *end)
{
    char command[256], line[256];
    size_t count = 0;
    snprintf(command, sizeof(command), "ls %s/log | grep -c '^[0-9].*%s$'", place->dir, end);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    if (fgets(line, sizeof(line), pipe))
        count = (size_t)strtoul(line, NULL, 10);
    pclose(pipe);
    return count;
}

/* Whether any file of the folder contains the bytes. */
static inline bool place_has_bytes(const struct place *place, const char *bytes)
{
    char command[256];
    snprintf(command, sizeof(command), "grep -rqa '%s' %s/log", bytes, place->dir);
    int status = system(command);
    return status == 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Runs SQL on a file, as any other program would. */
static inline void file_execute(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* The first number that SQL finds in a file. */
static inline int64_t file_number(const char *path, const char *sql)
{
    sqlite3 *db;
    int64_t number = -1;
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    if (db_number(db, sql, &number))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
    return number;
}
