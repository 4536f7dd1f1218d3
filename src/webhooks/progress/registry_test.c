#include "webhooks/progress/registry.h"

#include "log/store/sqlite/faults.h"
#include "webhooks/progress/registry_testing.h"

/* A folder as the log leaves it. */
struct place {
    char dir[REGISTRY_DIR_LEN];
    struct endpoint_row rows[4];
    size_t count;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    registry_testing_make(place->dir);
    *state = place;
    return 0;
}

static void forget(struct place *place)
{
    for (size_t i = 0; i < place->count; i++)
        endpoint_row_free(&place->rows[i]);
    place->count = 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    forget(place);
    folder_testing_remove(place->dir);
    free(place);
    return 0;
}

static void keep(void *context, struct endpoint_row *row)
{
    struct place *place = context;
    assert_true(place->count < 4);
    place->rows[place->count++] = *row;
}

static struct registry *open_in(struct place *place)
{
    struct registry *registry;
    forget(place);
    assert_int_equal(registry_open(place->dir, &registry), 0);
    assert_int_equal(registry_load(registry, keep, place), 0);
    return registry;
}

static char url[] = "https://example.com/", channels[] = "[\"a\"]", types[] = "[]",
            schedule[] = "[5,60]", headers[] = "{\"A\":\"b\"}",
            description[] = "gr\xc3\xbc\xc3\x9f"
                            "e";

static struct endpoint_row a_row(const char *id, int64_t created_us)
{
    struct endpoint_row row = {.url = url,
                               .channels = channels,
                               .types = types,
                               .headers = headers,
                               .description = description,
                               .schedule = schedule,
                               .options = {.ordered = true,
                                           .format = BODY_CE,
                                           .batch = 7,
                                           .concurrency = 9,
                                           .timeout_ms = 3000},
                               .since_us = 21,
                               .warned = 2,
                               .created_us = created_us,
                               .cursor = 1795459080123456,
                               .told = 12,
                               .next_us = 34,
                               .failures = 5,
                               .state = ENDPOINT_FAILING};
    snprintf(row.id, sizeof(row.id), "%s", id);
    sign_key_make(&row.key);
    assert_int_equal(sign_pair_make(&row.pair), 0);
    return row;
}

static void a_subscription_comes_back_with_its_topic_secret_and_lease(void **state)
{
    struct place *place = *state;
    static char topic[] = "http://h/topics/a", secret[] = "s3cr\xc3\xa9t";
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_1", 1), plain = a_row("wh_2", 2);
    row.topic = topic;
    row.hub_secret = secret;
    row.lease_until_us = INT64_C(1795459080123456);
    row.maker = caller_new(&(struct caller_facts){.kind = CALLER_KEY, .key_id = STR("abcdefghij")});
    row.creation = (struct creation){.keyed = true, .key = {1, 0, 2}, .body = {3, 0, 4}};
    assert_int_equal(registry_put(registry, &row, false), 0);
    assert_int_equal(registry_put(registry, &plain, false), 0);
    registry_close(registry);
    registry = open_in(place);
    assert_string_equal(place->rows[0].topic, topic);
    assert_memory_equal(&place->rows[0].creation, &row.creation, sizeof(row.creation));
    assert_false(place->rows[1].creation.keyed);
    assert_non_null(place->rows[0].maker);
    assert_true(str_eq(place->rows[0].maker->facts.key_id, STR("abcdefghij")));
    assert_null(place->rows[1].maker);
    caller_unref(row.maker);
    assert_string_equal(place->rows[0].hub_secret, secret);
    assert_int_equal(place->rows[0].lease_until_us, row.lease_until_us);
    assert_true(row_is_websub(&place->rows[0]));
    assert_false(row_is_websub(&place->rows[1]));
    registry_close(registry);
}

static void an_endpoint_comes_back_as_it_was(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_0123456789abcdefghijkl", 3);
    struct old_key first = {.until_us = 7}, second = {.until_us = 8};
    struct olds one;
    sign_key_make(&first.key);
    sign_key_make(&second.key);
    assert_int_equal(sign_pair_make(&second.pair), 0);
    assert_true(olds_with(&row.olds, &first, 0, &one));
    assert_true(olds_with(&one, &second, 0, &row.olds));
    olds_free(&one);
    assert_int_equal(registry_put(registry, &row, false), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->count, 1);
    const struct endpoint_row *back = &place->rows[0];
    assert_string_equal(back->id, row.id);
    assert_string_equal(back->url, url);
    assert_string_equal(back->channels, channels);
    assert_string_equal(back->types, types);
    assert_string_equal(back->headers, headers);
    assert_string_equal(back->description, description);
    assert_int_equal(back->key.len, SIGN_KEY_MADE);
    assert_memory_equal(back->key.bytes, row.key.bytes, SIGN_KEY_MADE);
    assert_int_equal(back->olds.count, 2);
    assert_int_equal(back->olds.at[0].until_us, 8);
    assert_memory_equal(back->olds.at[0].key.bytes, second.key.bytes, SIGN_KEY_MADE);
    assert_int_equal(back->olds.at[1].until_us, 7);
    assert_string_equal(back->schedule, schedule);
    assert_true(back->options.ordered);
    assert_int_equal(back->options.format, BODY_CE);
    assert_int_equal(back->options.batch, 7);
    assert_int_equal(back->options.concurrency, 9);
    assert_int_equal(back->options.timeout_ms, 3000);
    assert_int_equal(back->since_us, 21);
    assert_int_equal(back->warned, 2);
    assert_true(back->pair.set);
    assert_memory_equal(back->pair.open, row.pair.open, 32);
    assert_true(back->olds.at[0].pair.set && !back->olds.at[1].pair.set);
    olds_free(&row.olds);
    assert_int_equal(back->created_us, 3);
    assert_int_equal(back->cursor, row.cursor);
    assert_int_equal(back->told, 12);
    assert_int_equal(back->next_us, 34);
    assert_int_equal(back->failures, 5);
    assert_int_equal(back->state, ENDPOINT_FAILING);
}

static void endpoints_come_back_the_oldest_first(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row younger = a_row("wh_a", 2), older = a_row("wh_b", 1);
    assert_int_equal(registry_put(registry, &younger, false), 0);
    assert_int_equal(registry_put(registry, &older, false), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->count, 2);
    assert_string_equal(place->rows[0].id, "wh_b");
    assert_string_equal(place->rows[1].id, "wh_a");
}

static void progress_is_kept_by_the_commit(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_a", 1);
    assert_int_equal(registry_put(registry, &row, false), 0);
    row.cursor++;
    row.told = 13;
    row.state = ENDPOINT_DISABLED;
    row.failures = 0;
    row.next_us = 0;
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_progress(registry, &row, true), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->rows[0].cursor, row.cursor);
    assert_int_equal(place->rows[0].told, 13);
    assert_int_equal(place->rows[0].state, ENDPOINT_DISABLED);
    assert_int_equal(place->rows[0].failures, 0);
    assert_int_equal(place->rows[0].next_us, 0);
}

static void progress_without_the_state_leaves_the_state_as_it_is(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_a", 1);
    enum endpoint_state before = row.state;
    assert_int_equal(registry_put(registry, &row, false), 0);
    row.cursor++;
    row.warned = 2;
    row.state = ENDPOINT_DISABLED;
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_progress(registry, &row, false), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->rows[0].cursor, row.cursor);
    assert_int_equal(place->rows[0].warned, 2);
    assert_int_equal(place->rows[0].state, before);
}

static void progress_of_a_failed_transaction_is_not_kept(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_a", 1);
    uint64_t before = row.cursor;
    assert_int_equal(registry_put(registry, &row, false), 0);
    row.cursor++;
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_progress(registry, &row, true), 0);
    assert_int_equal(registry_commit(registry, -5), -5);
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->rows[0].cursor, before);
}

static void a_deleted_endpoint_does_not_come_back(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_a", 1);
    assert_int_equal(registry_put(registry, &row, false), 0);
    assert_int_equal(registry_delete(registry, "wh_a"), 0);
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_progress(registry, &row, true), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    registry_close(registry);
    registry_close(open_in(place));
    assert_int_equal(place->count, 0);
}

static void keep_lane(void *context, struct lane_row *row)
{
    struct lane_row *lanes = context;
    size_t count = 0;
    while (lanes[count].slot)
        count++;
    assert_true(count < 3);
    lanes[count] = *row;
}

static size_t load_lanes(struct registry *registry, struct lane_row lanes[4])
{
    size_t count = 0;
    memset(lanes, 0, 4 * sizeof(*lanes));
    assert_int_equal(registry_load_lanes(registry, keep_lane, lanes), 0);
    while (lanes[count].slot)
        free(lanes[count++].channel);
    return count;
}

static void lanes_come_back_and_go_with_their_endpoint(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_a", 1);
    struct lane_row lanes[4];
    static char channel[] = "orders/1", none[] = "";
    assert_int_equal(registry_put(registry, &row, false), 0);
    struct lane_row one = {row.number, 5, channel, 100, 0, 7, 3, 4, 11, 12, 13};
    struct lane_row other = {row.number, 6, none, 50, 60, 0, 0, 0, 0, 0, 0};
    assert_int_equal(registry_begin(registry), 0);
    assert_int_equal(registry_put_lane(registry, &one), 0);
    assert_int_equal(registry_put_lane(registry, &other), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    assert_int_equal(load_lanes(registry, lanes), 2);
    assert_int_equal(lanes[0].upto, 60);
    assert_int_equal(lanes[1].after, 100);
    assert_int_equal(lanes[1].told, 7);
    assert_int_equal(lanes[1].failures, 3);
    assert_int_equal(lanes[1].attempts, 4);
    assert_int_equal(lanes[1].since_us, 11);
    assert_int_equal(lanes[1].next_us, 12);
    assert_int_equal(lanes[1].n, 13);
    assert_int_equal(registry_drop_lane(registry, row.number, 6), 0);
    assert_int_equal(load_lanes(registry, lanes), 1);
    assert_int_equal(registry_delete(registry, "wh_a"), 0);
    assert_int_equal(load_lanes(registry, lanes), 0);
    registry_close(registry);
}

static void lanes_of_one_endpoint_come_together_the_oldest_first(void **state)
{
    struct registry *registry = open_in(*state);
    struct lane_row lanes[4];
    static char channel[] = "a";
    struct lane_row rows[] = {{1, 1, channel, 300, 0, 0, 0, 0, 0, 0, 0},
                              {2, 2, channel, 200, 0, 0, 0, 0, 0, 0, 0},
                              {1, 3, channel, 100, 0, 0, 0, 0, 0, 0, 0}};
    assert_int_equal(registry_begin(registry), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(registry_put_lane(registry, &rows[i]), 0);
    assert_int_equal(registry_commit(registry, 0), 0);
    assert_int_equal(load_lanes(registry, lanes), 3);
    assert_int_equal(lanes[0].slot, 3);
    assert_int_equal(lanes[1].slot, 1);
    assert_int_equal(lanes[2].slot, 2);
    registry_close(registry);
}

static void an_endpoint_of_the_first_version_is_ordered_and_has_a_number(void **state)
{
    struct place *place = *state;
    char path[96];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/state.db", place->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(
        db_exec(db,
                "CREATE TABLE setting(name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
                "INSERT INTO setting VALUES('courier_version', 1);"
                "CREATE TABLE endpoint(id TEXT PRIMARY KEY, url TEXT NOT NULL, channels TEXT NOT"
                " NULL, types TEXT NOT NULL, headers TEXT NOT NULL, description TEXT NOT NULL, key"
                " BLOB NOT NULL, old_key BLOB NOT NULL, old_until INTEGER NOT NULL, created INTEGER"
                " NOT NULL, cursor INTEGER NOT NULL, told INTEGER NOT NULL, next INTEGER NOT NULL,"
                " failures INTEGER NOT NULL, state INTEGER NOT NULL);"
                "INSERT INTO endpoint VALUES('wh_old', 'http://a/', '[\"a\"]', '[]', '{}', '',"
                " x'00', x'000102030405060708090a0b0c0d0e0f1011121314151617', 99, 1, 17, 0, 0,"
                " 0, 0)"),
        0);
    sqlite3_close(db);
    registry_close(open_in(place));
    assert_int_equal(place->count, 1);
    assert_int_equal(place->rows[0].cursor, 17);
    assert_int_equal(place->rows[0].number, 1);
    assert_true(place->rows[0].options.ordered);
    assert_int_equal(place->rows[0].options.concurrency, 32);
    assert_int_equal(place->rows[0].olds.count, 1);
    assert_int_equal(place->rows[0].olds.at[0].until_us, 99);
    assert_int_equal(place->rows[0].olds.at[0].key.len, 24);
}

static void a_registry_in_memory_needs_no_folder(void **state)
{
    struct place *place = *state;
    struct registry *registry;
    struct endpoint_row row = a_row("wh_a", 1);
    assert_int_equal(registry_open(NULL, &registry), 0);
    assert_int_equal(registry_put(registry, &row, false), 0);
    assert_int_equal(registry_load(registry, keep, place), 0);
    assert_int_equal(place->count, 1);
    registry_close(registry);
}

static void a_table_of_a_newer_version_is_left_alone(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    char path[96];
    sqlite3 *db;
    registry_close(registry);
    snprintf(path, sizeof(path), "%s/state.db", place->dir);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "UPDATE setting SET value = 99 WHERE name = 'courier_version'"),
                     0);
    sqlite3_close(db);
    assert_int_not_equal(registry_open(place->dir, &registry), 0);
}

/* The number of endpoints in the folder as kill -9 would leave it now. */
static size_t count_after_crash(const struct place *place)
{
    struct place crashed = {.count = 0};
    char command[256];
    struct registry *registry;
    strcpy(crashed.dir, "/tmp/freshet-courier-XXXXXX");
    assert_non_null(mkdtemp(crashed.dir));
    snprintf(command, sizeof(command), "cp %s/state.db* %s && rm %s/*-shm", place->dir, crashed.dir,
             crashed.dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(registry_open(crashed.dir, &registry), 0);
    assert_int_equal(registry_load(registry, keep, &crashed), 0);
    registry_close(registry);
    size_t count = crashed.count;
    forget(&crashed);
    folder_testing_remove(crashed.dir);
    return count;
}

static void an_endpoint_that_was_refused_does_not_come_back_after_a_crash(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_1", 1);
    for (unsigned long nth = 1; nth < 4; nth++) {
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = registry_put(registry, &row, false);
        faults_set(0, 0, 0);
        assert_int_equal(count_after_crash(place), result ? 0 : 1);
        if (!result)
            assert_int_equal(registry_delete(registry, "wh_1"), 0);
    }
    registry_close(registry);
}

static void an_endpoint_that_may_come_back_is_told_as_that_until_it_cannot(void **state)
{
    struct place *place = *state;
    struct registry *registry = open_in(place);
    struct endpoint_row row = a_row("wh_1", 1);
    unsigned unknown = 0;
    for (unsigned long nth = 1; nth < 6; nth++) {
        faults_set(nth, 1000, SQLITE_IOERR_FSYNC);
        int result = registry_put(registry, &row, false);
        unknown += result == REGISTRY_E_FATE_UNKNOWN;
        if (result == REGISTRY_E_FATE_UNKNOWN)
            assert_int_equal(registry_put(registry, &row, false), REGISTRY_E_FATE_UNKNOWN);
        faults_set(0, 0, 0);
        if (result < 0)
            assert_int_equal(count_after_crash(place), 0);
        assert_int_equal(registry_put(registry, &row, false), 0);
        assert_int_equal(registry_delete(registry, "wh_1"), 0);
        assert_int_equal(count_after_crash(place), 0);
    }
    assert_true(unknown > 0);
    registry_close(registry);
}

int main(void)
{
    faults_install();
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(an_endpoint_comes_back_as_it_was),
        TEST(a_subscription_comes_back_with_its_topic_secret_and_lease),
        TEST(endpoints_come_back_the_oldest_first),
        TEST(progress_is_kept_by_the_commit),
        TEST(progress_without_the_state_leaves_the_state_as_it_is),
        TEST(progress_of_a_failed_transaction_is_not_kept),
        TEST(a_deleted_endpoint_does_not_come_back),
        TEST(an_endpoint_that_was_refused_does_not_come_back_after_a_crash),
        TEST(an_endpoint_that_may_come_back_is_told_as_that_until_it_cannot),
        TEST(a_registry_in_memory_needs_no_folder),
        TEST(a_table_of_a_newer_version_is_left_alone),
        TEST(lanes_come_back_and_go_with_their_endpoint),
        TEST(lanes_of_one_endpoint_come_together_the_oldest_first),
        TEST(an_endpoint_of_the_first_version_is_ordered_and_has_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
