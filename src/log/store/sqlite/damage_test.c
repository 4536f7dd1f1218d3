#include "log/store/sqlite/summing_testing.h"

#include "log/store/sqlite/faults.h"

#include <fcntl.h>

/* Events of the model; and of a file with many pages. */
enum { TOTAL = (FILES + (FILES + 1) / 2) * EVENTS };
enum { MANY = 600, FIRST = 10000, PAGE = 4096 };

static void assert_data(struct str data)
{
    for (size_t i = 0; i < data.len; i++)
        assert_int_equal(data.at[i], 'x');
}

/* Writes the ids of channels 1 and 2 to `out`, ascending; returns how many. */
static size_t try_read_ids(struct place *place, bool by_numbers, bool backwards, uint64_t *out,
                           int *ret_result)
{
    static const uint32_t numbers[] = {1, 2};
    static const uint8_t bitmap[] = {6};
    struct selection all = {0};
    struct store_query query = {.selection = &all,
                                .numbers = by_numbers ? numbers : NULL,
                                .numbers_count = by_numbers ? 2 : 0,
                                .bitmap = bitmap,
                                .bitmap_bits = 3,
                                .upto = EVENT_ID_MAX,
                                .backwards = backwards,
                                .limit = 100000,
                                .bytes = SIZE_MAX,
                                .rows = UINT64_MAX};
    struct batch *batch;
    uint64_t through;
    *ret_result = place->store->ops->read(place->store, &query, &batch, &through);
    if (*ret_result)
        return 0;
    assert_int_equal(through, backwards ? 1 : EVENT_ID_MAX);
    size_t count = batch->count;
    for (size_t i = 0; i < count; i++) {
        out[i] = batch->events[i].id;
        assert_int_equal(batch->events[i].channel.at[0], 'a' + (int)batch->events[i].number - 1);
        assert_data(batch->events[i].data);
    }
    batch_unref(batch);
    return count;
}

static size_t read_ids(struct place *place, bool by_numbers, bool backwards, uint64_t *out)
{
    int result;
    size_t count = try_read_ids(place, by_numbers, backwards, out, &result);
    assert_int_equal(result, 0);
    return count;
}

/* Every kind of read returns all events but one run, and reports that run. */
static void check_all_ways(struct place *place, size_t total, uint64_t least, uint64_t most)
{
    static uint64_t ids[100000], others[100000];
    for (int way = 0; way < 4; way++) {
        open_again(place);
        size_t count = read_ids(place, way & 1, way & 2, ids);
        assert_in_range(total - count, least, most);
        assert_true(lost > 0);
        assert_true(place->store->ops->losses(place->store).damaged > 0);
        for (size_t i = 0; i < count; i++)
            assert_true(way == 0 || ids[i] == others[i]);
        memcpy(others, ids, count * sizeof(*ids));
    }
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void a_row_that_was_changed_is_not_served_but_told(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE event SET data = 'xxxxyxxxxx' WHERE id = 1205",
        "UPDATE event SET type = 'massage' WHERE id = 1205",
        "UPDATE event SET time = time + 1 WHERE id = 1205",
        "UPDATE event SET prev = 7 WHERE id = 1205",
        "UPDATE event SET kind = 0 WHERE id = 1205",
        "UPDATE event SET sender = 'eve' WHERE id = 1205",
        "UPDATE event SET checksum = checksum + 1 WHERE id = 1205",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        struct place place;
        make_files(&place);
        place_close(&place);
        run_sql(&place, "log/0000000000001200.db", changes[i]);
        check_all_ways(&place, TOTAL, 1, 1);
        assert_int_equal(lost, 1205);
        place_deinit(&place);
    }
}

/* A page knows the name already if an event of the channel was read from another file. */
static void no_event_is_served_under_a_name_that_was_changed(void **state)
{
    (void)state;
    static uint64_t ids[100000];
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "log/0000000000001000.db", "UPDATE channel SET name = 'z' WHERE number = 2");
    for (int way = 0; way < 4; way++) {
        open_again(&place);
        size_t count = read_ids(&place, way & 1, way & 2, ids);
        bool is_known = way & 2;
        assert_int_equal(count, is_known ? TOTAL : TOTAL - EVENTS);
        assert_int_equal(lost, is_known ? 0 : 1069);
    }
    place_deinit(&place);
}

static void a_place_counts_once_however_often_it_is_read(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "log/0000000000001200.db",
            "UPDATE event SET data = 'y' WHERE id IN (1205, 1207)");
    open_again(&place);
    for (int i = 0; i < 3; i++)
        assert_int_equal(place_count(&place, 1), FILES * EVENTS - 2);
    assert_int_equal(place.store->ops->losses(place.store).damaged, 2);
    assert_int_equal(lost, 1207);
    place_deinit(&place);
}

static void a_damaged_event_stays_known_after_its_file_is_rewritten(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "log/0000000000001200.db", "UPDATE event SET data = 'y' WHERE id = 1205");
    open_again(&place);
    place_delete(&place, 2, "b", B_LAST);
    place_upkeep(&place);
    open_again(&place);
    assert_int_equal(place_count(&place, 1), FILES * EVENTS - 1);
    assert_int_equal(lost, 1205);
    place_deinit(&place);
}

static void a_file_that_is_appended_to_is_checked_too(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    place_close(&place);
    run_sql(&place, "log/0000000000003000.db", "UPDATE event SET data = 'y' WHERE id = 3002");
    open_again(&place);
    assert_int_equal(place_count(&place, 1), FILES * EVENTS + 4);
    assert_int_equal(lost, 3002);
    place_deinit(&place);
}

static void rows_without_a_checksum_are_taken_as_they_are(void **state)
{
    (void)state;
    static const char *const changes[] = {"UPDATE event SET checksum = NULL",
                                          "ALTER TABLE event DROP COLUMN checksum"};
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        struct place place;
        make_files(&place);
        place_close(&place);
        run_sql(&place, "log/0000000000001200.db", changes[i]);
        run_sql(&place, "log/0000000000001200.db", "UPDATE event SET data = 'y' WHERE id = 1205");
        open_again(&place);
        assert_int_equal(place_count(&place, 1), FILES * EVENTS);
        place_delete(&place, 2, "b", B_LAST);
        place_upkeep(&place); /* rewrites it */
        open_again(&place);
        assert_int_equal(place_count(&place, 1), FILES * EVENTS);
        assert_int_equal(lost, 0);
        place_deinit(&place);
    }
}

/* ---- pages ----------------------------------------------------------------------------------- */

static int open_file(const struct place *place)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/log/%016d.db", place->dir, FIRST);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    return fd;
}

/* The offset of the `nth` page of this kind; 0 if there are fewer. */
static off_t find_page(const struct place *place, unsigned char kind, int nth)
{
    unsigned char head;
    off_t at = PAGE;
    int fd = open_file(place);
    while (pread(fd, &head, 1, at) == 1 && (head != kind || nth--))
        at += PAGE;
    bool found = pread(fd, &head, 1, at) == 1;
    close(fd);
    return found ? at : 0;
}

/* Damages the `nth` page of this kind; false if there are fewer. */
static bool spoil_page(const struct place *place, unsigned char kind, int nth)
{
    unsigned char head[8];
    off_t at = find_page(place, kind, nth);
    if (!at)
        return false;
    int fd = open_file(place);
    memset(head, 0xff, sizeof(head));
    assert_int_equal(pwrite(fd, head, sizeof(head), at), sizeof(head));
    close(fd);
    return true;
}

static void put_large(struct place *place)
{
    struct batch *batch = place_batch(FIRST, MANY, 1, "a", 200);
    for (uint32_t i = 1; i < batch->count; i++)
        batch->events[i].prev = batch->events[i - 1].id;
    assert_int_equal(place_append(place, batch), 0);
    place_roll(place);
}

static void make_large(struct place *place)
{
    place_init(place);
    place_open(place);
    put_large(place);
    place_close(place);
}

enum { TABLE_LEAF = 13, TABLE_INSIDE = 5, INDEX_LEAF = 10 };

static void a_page_of_rows_that_is_damaged_loses_no_other_rows(void **state)
{
    (void)state;
    static const int nths[] = {20, 3};
    for (size_t i = 0; i < sizeof(nths) / sizeof(*nths); i++) {
        struct place place;
        make_large(&place);
        assert_true(spoil_page(&place, TABLE_LEAF, nths[i]));
        check_all_ways(&place, MANY, 10, 25);
        assert_in_range(lost, FIRST + 1, FIRST + MANY);
        place_deinit(&place);
    }
}

struct walked {
    size_t count;
    uint64_t last;
};

static bool walk_on(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    struct walked *walked = context;
    assert_int_equal(number, 1);
    assert_true(id > walked->last && bytes > 0);
    walked->last = id;
    walked->count++;
    return true;
}

static size_t walk_all(struct place *place)
{
    struct walked walked = {0};
    const struct store_ops *ops = place->store->ops;
    assert_int_equal(ops->walk(place->store, 0, EVENT_ID_MAX, walk_on, &walked), 0);
    assert_int_equal(walked.last, 90004);
    return walked.count;
}

/* Otherwise the log would grow until the disk is full. */
static void retention_passes_damaged_events(void **state)
{
    (void)state;
    static const uint64_t wants[] = {FIRST + 20, MANY + 5};
    struct place place;
    place_init(&place);
    place_open(&place);
    put_large(&place);
    place_put(&place, 90000, 5, 1, "a", 10);
    place_put(&place, 95000, 5, 2, "b", 10);
    place_trim(&place, 2, "b", 95004, 95004);
    assert_int_equal(walk_all(&place), MANY + 5);
    place_close(&place);
    assert_true(spoil_page(&place, TABLE_LEAF, 20));
    assert_true(spoil_page(&place, TABLE_LEAF, 30));
    open_again(&place);
    assert_in_range(MANY + 5 - walk_all(&place), 20, 50);
    for (size_t i = 0; i < 2; i++) {
        struct store_cut cuts[] = {{.number = 1, .want_count = wants[i]},
                                   {.number = 1, .want_count = 3}};
        assert_int_equal(place.store->ops->find_cuts(place.store, cuts, 2), 0);
        assert_in_range(cuts[0].count, 10, MANY);
        assert_true(cuts[0].upto < FIRST + MANY);
        assert_int_equal(cuts[1].upto, FIRST + 2);
    }
    place_deinit(&place);
}

/* Rows between two damaged pages are served, wherever a reader begins. */
static void two_pages_that_are_damaged_are_two_runs(void **state)
{
    (void)state;
    static const int seconds[] = {22, 23, 30};
    struct place place;
    static uint64_t ids[100000];
    for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
        make_large(&place);
        assert_true(spoil_page(&place, TABLE_LEAF, 20));
        assert_true(spoil_page(&place, TABLE_LEAF, seconds[i]));
        for (int way = 0; way < 4; way++) {
            open_again(&place);
            size_t count = read_ids(&place, way & 1, way & 2, ids), runs = 0;
            for (size_t at = 1; at < count; at++)
                runs += ids[at] != ids[at - 1] + 1;
            assert_int_equal(runs, 2);
            assert_in_range(MANY - count, 20, 50);
        }
        place_deinit(&place);
    }
}

/* Ids are times: a page may hold an hour of them, and those behind it a second. */
static void rows_between_pages_of_unlike_ranges_are_served(void **state)
{
    (void)state;
    enum { SPREAD = 100000000, ROWS = 300 };
    static uint64_t ids[100000];
    struct place place;
    place_init(&place);
    place_open(&place);
    struct batch *batch = place_batch(FIRST, ROWS, 1, "a", 200);
    for (uint32_t i = 0; i < batch->count; i++)
        batch->events[i].id =
            FIRST + (i < ROWS / 2 ? (uint64_t)i * SPREAD : (uint64_t)(ROWS / 2) * SPREAD + i);
    assert_int_equal(place_append(&place, batch), 0);
    place_roll(&place);
    place_close(&place);
    for (int nth = 6; nth < 12; nth += 2)
        assert_true(spoil_page(&place, TABLE_LEAF, nth));
    for (int backwards = 0; backwards < 2; backwards++) {
        open_again(&place);
        assert_in_range(ROWS - read_ids(&place, false, backwards, ids), 3 * 10, 3 * 25);
        assert_int_equal(place.store->ops->losses(place.store).damaged, 3);
    }
    place_deinit(&place);
}

/* ---- sectors --------------------------------------------------------------------------------- */

/* Reads once in each way, after the pause between tries; returns how many reads failed. */
static int try_all_ways(struct place *place)
{
    static uint64_t ids[100000];
    int failed = 0;
    for (int way = 0; way < 4; way++) {
        int result;
        size_t count = try_read_ids(place, way & 1, way & 2, ids, &result);
        assert_true(result == 0 || result == -EIO);
        assert_true(result || lost || count == MANY);
        failed += result != 0;
    }
    return failed;
}

static void pass_pause(struct place *place)
{
    clock_fake_advance(&place->clock, DAMAGE_PAUSE_NS / 1000);
}

/* The kind of the page makes no difference. */
static void a_medium_that_fails_for_a_moment_loses_nothing(void **state)
{
    (void)state;
    static const unsigned char kinds[] = {TABLE_LEAF, INDEX_LEAF};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        struct place place;
        make_large(&place);
        off_t at = find_page(&place, kinds[i], kinds[i] == TABLE_LEAF ? 20 : 1);
        open_again(&place);
        for (int round = 0; round < 2 * DAMAGE_TRIES; round++) {
            faults_spoil(at, PAGE, 1000); /* a burst: many tries at one time */
            (void)try_all_ways(&place);
            (void)try_all_ways(&place);
            faults_spoil(0, 0, 0);
            assert_int_equal(try_all_ways(&place), 0);
            clock_fake_advance(&place.clock, DAMAGE_FORGET_NS / 1000);
        }
        assert_int_equal(lost, 0);
        assert_int_equal(place.store->ops->losses(place.store).damaged, 0);
        place_deinit(&place);
    }
    faults_spoil(0, 0, 0);
}

static void a_sector_that_has_failed_is_passed_after_tries_over_time(void **state)
{
    (void)state;
    static const int nths[] = {10, 17, 38};
    static uint64_t ids[100000];
    for (size_t i = 0; i < sizeof(nths) / sizeof(*nths); i++) {
        struct place place;
        make_large(&place);
        open_again(&place);
        faults_spoil(find_page(&place, TABLE_LEAF, nths[i]), 512, UINT64_MAX);
        for (int tries = 1; tries < DAMAGE_TRIES; tries++) {
            assert_int_equal(try_all_ways(&place), 4);
            pass_pause(&place);
        }
        assert_int_equal(lost, 0);
        for (int way = 0; way < 4; way++)
            assert_in_range(MANY - read_ids(&place, way & 1, way & 2, ids), 5, 25);
        assert_in_range(lost, FIRST + 1, FIRST + MANY);
        place_deinit(&place);
        faults_spoil(0, 0, 0);
    }
}

static void retention_passes_a_sector_that_has_failed(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    put_large(&place);
    place_put(&place, 90000, 5, 1, "a", 10);
    place_close(&place);
    open_again(&place);
    faults_spoil(find_page(&place, TABLE_LEAF, 20), 512, UINT64_MAX);
    const struct store_ops *ops = place.store->ops;
    for (int tries = 1; tries < DAMAGE_TRIES; tries++) {
        struct walked walked = {0};
        struct store_cut cut = {.number = 1, .want_count = MANY + 5};
        assert_int_equal(ops->walk(place.store, 0, EVENT_ID_MAX, walk_on, &walked), -EIO);
        assert_int_equal(ops->find_cuts(place.store, &cut, 1), -EIO);
        pass_pause(&place);
    }
    assert_in_range(MANY + 5 - walk_all(&place), 10, 25);
    struct store_cut cut = {.number = 1, .want_count = MANY + 5};
    assert_int_equal(ops->find_cuts(place.store, &cut, 1), 0);
    assert_in_range(cut.count, 200, MANY);
    place_deinit(&place);
    faults_spoil(0, 0, 0);
}

/* ---- the index ------------------------------------------------------------------------------- */

static void a_damaged_index_loses_nothing(void **state)
{
    (void)state;
    struct place place;
    static uint64_t ids[100000];
    make_large(&place);
    for (int nth = 0; spoil_page(&place, INDEX_LEAF, 0); nth++)
        assert_true(nth < 100);
    open_again(&place);
    for (int backwards = 0; backwards < 2; backwards++)
        assert_int_equal(read_ids(&place, true, backwards, ids), MANY);
    assert_int_equal(lost, 0);
    place_deinit(&place);
}

static void turn_bit(const struct place *place, off_t at, int bit)
{
    unsigned char byte;
    int fd = open_file(place);
    off_t skip = PAGE, size = lseek(fd, 0, SEEK_END);
    at = skip + at % (size - skip);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (unsigned char)(byte ^ 1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* A flipped bit anywhere: in data, in pages of a tree, in the index. */
static void nothing_is_passed_over_in_silence_wherever_a_bit_turned_over(void **state)
{
    (void)state;
    static uint64_t ids[100000];
    for (int round = 0; round < 30 / STRIDE; round++) {
        struct place place;
        make_large(&place);
        turn_bit(&place, (off_t)round * 104729 * 13, round % 8);
        for (int way = 0; way < 4; way++) {
            open_again(&place);
            size_t count = read_ids(&place, way & 1, way & 2, ids);
            assert_true(count == MANY || lost);
            assert_in_range(count, MANY - 100, MANY);
            for (size_t i = 1; i < count; i++)
                assert_true(ids[i - 1] < ids[i]);
        }
        place_deinit(&place);
    }
}

/* Changes the channel of rows and back, with the index in place for only one of the two: their
 * index entries are lost. */
static void unlist(const struct place *place, const char *which)
{
    static const char file[] = "log/0000000000010000.db";
    char sql[256];
    snprintf(sql, sizeof(sql), "UPDATE event SET channel = 99 WHERE %s", which);
    run_sql(place, file, sql);
    run_sql(place, file,
            "CREATE TABLE aside AS SELECT * FROM sqlite_master WHERE name = 'event_by_channel';"
            "PRAGMA writable_schema = 1;"
            "DELETE FROM sqlite_master WHERE name = 'event_by_channel'");
    run_sql(place, file, "UPDATE event SET channel = 1 WHERE channel = 99");
    run_sql(place, file,
            "PRAGMA writable_schema = 1; INSERT INTO sqlite_master SELECT * FROM aside");
}

static void an_index_that_lacks_rows_is_noticed(void **state)
{
    (void)state;
    static const char *const rows[] = {"id BETWEEN 10000 AND 10100",
                                       "id BETWEEN 10500 AND 10599",
                                       "id BETWEEN 10300 AND 10310",
                                       "id = 10799",
                                       "id = 10000",
                                       "id = 10500",
                                       "1"};
    static uint64_t ids[100000];
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct place place;
        make_large(&place);
        unlist(&place, rows[i]);
        for (int backwards = 0; backwards < 2; backwards++) {
            open_again(&place);
            assert_int_equal(read_ids(&place, true, backwards, ids), MANY);
            assert_int_equal(lost, 0);
        }
        place_deinit(&place);
    }
}

static bool count_walked(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    (void)number;
    (void)bytes;
    uint64_t *walked = context;
    assert_true(id > walked[1]);
    walked[0]++;
    walked[1] = id;
    return true;
}

static void retention_goes_on_behind_a_damaged_file(void **state)
{
    (void)state;
    struct place place;
    make_large(&place);
    place_open(&place);
    place_put(&place, 90000, 5, 1, "a", 10);
    place_close(&place);
    assert_true(spoil_page(&place, TABLE_LEAF, 20));
    place_open(&place);
    uint64_t walked[2] = {0};
    assert_int_equal(place.store->ops->walk(place.store, 0, EVENT_ID_MAX, count_walked, walked), 0);
    assert_int_equal(walked[1], 90004);
    assert_in_range(walked[0], 100, MANY);
    place_deinit(&place);
}

static void a_file_whose_first_page_is_damaged_is_passed_over_and_told(void **state)
{
    (void)state;
    static const char zeros[64];
    static uint64_t ids[100000];
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 5, 1, "a", 10); /* each opening reads the oldest file */
    place_roll(&place);
    put_large(&place);
    place_put(&place, 90000, 5, 1, "a", 10);
    place_close(&place);
    int fd = open_file(&place);
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 100), sizeof(zeros));
    close(fd);
    open_again(&place);
    for (int way = 0; way < 4; way++)
        assert_int_equal(read_ids(&place, way & 1, way & 2, ids), 10);
    assert_int_equal(walk_all(&place), 10);
    assert_int_equal(lost, FIRST + MANY - 1);
    place_deinit(&place);
}

/* A reader at each place tries again every ten seconds, and passes a place that is damaged. */
static void more_places_than_are_remembered_are_all_found_damaged(void **state)
{
    enum { PLACES = 3 * DAMAGE_SUSPECTS, ROUNDS = 4 * DAMAGE_TRIES };
    (void)state;
    struct clock_fake clock;
    clock_fake_init(&clock, 1000000);
    struct store_config config = {.clock = &clock.clock};
    struct damage *damage = mem_alloc(sizeof(*damage));
    struct segment segment = {.path = NULL};
    char path[] = "a file";
    bool lasts[PLACES] = {false};
    unsigned left = PLACES;
    segment.path = path;
    damage_init(damage, &config);
    for (int round = 0; round < ROUNDS && left; round++) {
        for (uint64_t place = 0; place < PLACES; place++) {
            if (lasts[place])
                continue;
            lasts[place] = damage_lasts(damage, &segment, place + 1);
            left -= lasts[place];
            clock_fake_advance(&clock, 1);
            assert_true(round + 1 >= DAMAGE_TRIES || !lasts[place]);
        }
        clock_fake_advance(&clock, DAMAGE_PAUSE_NS / 1000);
    }
    assert_int_equal(left, 0);
    damage_deinit(damage);
    free(damage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_was_changed_is_not_served_but_told),
        cmocka_unit_test(no_event_is_served_under_a_name_that_was_changed),
        cmocka_unit_test(a_place_counts_once_however_often_it_is_read),
        cmocka_unit_test(a_damaged_event_stays_known_after_its_file_is_rewritten),
        cmocka_unit_test(a_file_that_is_appended_to_is_checked_too),
        cmocka_unit_test(rows_without_a_checksum_are_taken_as_they_are),
        cmocka_unit_test(a_page_of_rows_that_is_damaged_loses_no_other_rows),
        cmocka_unit_test(retention_passes_damaged_events),
        cmocka_unit_test(two_pages_that_are_damaged_are_two_runs),
        cmocka_unit_test(rows_between_pages_of_unlike_ranges_are_served),
        cmocka_unit_test(a_medium_that_fails_for_a_moment_loses_nothing),
        cmocka_unit_test(a_sector_that_has_failed_is_passed_after_tries_over_time),
        cmocka_unit_test(retention_passes_a_sector_that_has_failed),
        cmocka_unit_test(a_damaged_index_loses_nothing),
        cmocka_unit_test(nothing_is_passed_over_in_silence_wherever_a_bit_turned_over),
        cmocka_unit_test(an_index_that_lacks_rows_is_noticed),
        cmocka_unit_test(retention_goes_on_behind_a_damaged_file),
        cmocka_unit_test(more_places_than_are_remembered_are_all_found_damaged),
        cmocka_unit_test(a_file_whose_first_page_is_damaged_is_passed_over_and_told),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* damage is made here on purpose */
    faults_install(); /* the disk of the tests, whose syncs do not wait */
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
