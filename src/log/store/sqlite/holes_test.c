#include "log/store/sqlite/summing_testing.h"

#include "log/store/sqlite/faults.h"

static void begin(struct place *place)
{
    make_files(place);
    open_again(place);
    assert_int_equal(lost, 0);
}

static void without(struct place *place, const char *file)
{
    place_close(place);
    remove_file(place, file);
    open_again(place);
}

static void check_losses(const struct place *place, uint64_t holes, uint64_t after, uint64_t upto,
                         uint64_t foreign)
{
    struct store_losses losses = place->store->ops->losses(place->store);
    assert_int_equal(losses.holes, holes);
    assert_int_equal(losses.after, after);
    assert_int_equal(losses.upto, upto);
    assert_int_equal(losses.foreign, foreign);
    assert_int_equal(losses.damaged, 0);
}

static void copy_file(const struct place *from, const char *file, const struct place *to,
                      const char *as)
{
    char command[512];
    snprintf(command, sizeof(command), "cp %s/%s %s/%s", from->dir, file, to->dir, as);
    assert_int_equal(system(command), 0);
}

static int64_t number_in(const struct place *place, const char *file, const char *sql)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place->dir, file);
    return file_number(path, sql);
}

/* ---- missing files --------------------------------------------------------------------------- */

static void a_missing_file_is_a_hole_up_to_its_newest_event(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    without(&place, "log/0000000000001200.db");
    for (int again = 0; again < 3; again++) {
        assert_int_equal(lost, 1269);
        check_losses(&place, 1, 1119, 1269, 0);
        assert_int_equal(place_count(&place, 1), (FILES - 1) * EVENTS);
        place_upkeep(&place);
        open_again(&place);
    }
    assert_int_equal(number_in(&place, "state.db", "SELECT count(*) FROM hole"), 1);
    place_deinit(&place);
}

static void two_files_missing_in_a_row_are_one_hole(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    remove_file(&place, "log/0000000000001100.db");
    remove_file(&place, "log/0000000000001200.db");
    open_again(&place);
    check_losses(&place, 1, 1069, 1269, 0);
    place_deinit(&place);
}

static void files_missing_apart_are_two_holes(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    remove_file(&place, "log/0000000000001100.db");
    remove_file(&place, "log/0000000000001300.db");
    open_again(&place);
    assert_int_equal(lost, 1319);
    check_losses(&place, 2, 1269, 1319, 0);
    place_deinit(&place);
}

/* A cursor below the hole has lost events, although no event lies before the hole. */
static void a_missing_oldest_file_is_told_and_is_no_hole_in_what_is_retained(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    without(&place, "log/0000000000001000.db");
    assert_int_equal(lost, 1069);
    check_losses(&place, 0, 0, 0, 0);
    place_deinit(&place);
}

static void a_file_that_is_not_in_the_sums_is_missed_too(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    chain_roll(sqlite_chain(place.store));
    place_put(&place, 4000, 5, 1, "a", 10);
    place_close(&place);
    remove_file(&place, "log/0000000000003000.db");
    remove_file(&place, "sums.db");
    open_again(&place);
    assert_int_equal(lost, 3004);
    check_losses(&place, 1, A_LAST + 50, 3004, 0);
    place_deinit(&place);
}

static void a_missing_newest_file_is_a_hole_up_to_now(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    without(&place, "log/0000000000001400.db");
    uint64_t now = (uint64_t)place.clock.wall_us;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(lost, now);
        check_losses(&place, 1, 1319, now, 0);
        assert_int_equal(place.newest.id, now); /* no id is given twice */
        clock_fake_advance(&place.clock, 1000000);
        open_again(&place);
    }
    place_put(&place, now + 10, 5, 1, "a", 10);
    place_roll(&place);
    open_again(&place);
    assert_int_equal(lost, now);
    check_losses(&place, 1, 1319, now, 0);
    place_deinit(&place);
}

/* A file looks like that if it was copied without its write-ahead log. */
static void a_newest_file_that_has_lost_all_its_events_is_a_hole_up_to_now(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 5000, 5, 1, "a", 10);
    place_upkeep(&place);
    place_close(&place);
    run_sql(&place, "log/0000000000005000.db", "DELETE FROM event; DELETE FROM channel");
    uint64_t now = (uint64_t)place.clock.wall_us;
    for (int again = 0; again < 3; again++) {
        open_again(&place);
        assert_int_equal(lost, now);
        check_losses(&place, 1, 4999, now, 0);
        assert_int_equal(place.newest.id, now);
        clock_fake_advance(&place.clock, 1000000);
    }
    place_put(&place, now + 10, 5, 1, "a", 10);
    open_again(&place);
    check_losses(&place, 1, 4999, now, 0);
    place_deinit(&place);
}

static void a_hole_is_known_when_the_file_that_showed_it_is_gone(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    without(&place, "log/0000000000001100.db");
    assert_int_equal(lost, 1119);
    place_trim(&place, 1, "a", A_LAST, 1219);
    place_trim(&place, 2, "b", B_LAST, 1269);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, ".db"), 2);
    open_again(&place);
    assert_int_equal(lost, 1119);
    check_losses(&place, 0, 0, 0, 0); /* before all that is retained */
    place_deinit(&place);
}

/* Rows whose ids do not fit the file's name are removed, unless the file itself is misnamed. */
static void a_file_under_the_name_of_a_newer_one_is_left_alone(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    copy_file(&place, "log/0000000000001000.db", &place, "log/0000000000001450.db");
    for (int again = 0; again < 2; again++) {
        open_again(&place);
        assert_int_equal(lost, 0);
        check_losses(&place, 0, 0, 0, 1);
        assert_int_equal(place_count(&place, 1), FILES * EVENTS);
    }
    place_close(&place);
    const char *count = "SELECT count(*) FROM event";
    assert_int_equal(number_in(&place, "log/0000000000001450.db", count),
                     number_in(&place, "log/0000000000001000.db", count));
    place_deinit(&place);
}

/* Beyond HOLES_MAX the two oldest holes become one, although files between them stay. */
static void holes_that_become_one_are_not_taken_for_filled(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    run_sql(&place, "state.db",
            "INSERT INTO hole(upto, after) VALUES(10, 9);"
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 69)"
            " INSERT INTO hole(upto, after) SELECT 6001 + 2 * i, 6000 + 2 * i FROM n");
    for (int again = 0; again < 2; again++) {
        open_again(&place);
        assert_int_equal(lost, 6139);
        assert_int_equal(place.store->ops->losses(place.store).holes, HOLES_MAX);
    }
    place_close(&place);
    assert_int_equal(number_in(&place, "state.db", "SELECT count(*) FROM hole"), 71);
    place_deinit(&place);
}

static void a_file_that_is_put_back_fills_the_hole(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    copy_file(&place, "log/0000000000001200.db", &place, "kept.db");
    place_open(&place);
    without(&place, "log/0000000000001200.db");
    assert_int_equal(lost, 1269);
    place_close(&place);
    copy_file(&place, "kept.db", &place, "log/0000000000001200.db");
    for (int again = 0; again < 2; again++) {
        open_again(&place);
        assert_int_equal(lost, 0);
        check_losses(&place, 0, 0, 0, 0);
        check_whole(&place);
        assert_int_equal(place_count(&place, 1), FILES * EVENTS);
    }
    place_deinit(&place);
}

/* ---- files that upkeep has removed ----------------------------------------------------------- */

static void a_file_that_upkeep_unlinks_is_no_hole(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_trim(&place, 1, "a", A_LAST, 1319); /* all of the files 1100 and 1300 */
    place_upkeep(&place);
    assert_int_equal(place_files(&place, ".db"), FILES - 2);
    for (uint64_t id = 3000; id < 6000; id += 1000) {
        place_put(&place, id, 5, 1, "a", 10);
        place_roll(&place);
        open_again(&place);
        assert_int_equal(lost, 0);
    }
    place_trim(&place, 2, "b", B_LAST, B_LAST);
    place_trim(&place, 1, "a", 5004, 4004);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, ".db"), 1);
    open_again(&place);
    assert_int_equal(lost, 0);
    place_trim(&place, 1, "a", 5004, 5004);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, ".db"), 0);
    open_again(&place);
    assert_int_equal(lost, 0);
    check_losses(&place, 0, 0, 0, 0);
    place_deinit(&place);
}

static void a_hole_beside_a_file_that_upkeep_unlinked_is_found(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_trim(&place, 1, "a", A_LAST, 1319);
    place_upkeep(&place); /* 1000, 1200 and 1400 are left */
    without(&place, "log/0000000000001200.db");
    assert_int_equal(lost, 1269);
    check_losses(&place, 1, 1069, 1269, 0);
    place_deinit(&place);
}

static void few_removals_are_kept_where_the_oldest_files_go(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    for (uint64_t id = 3000; id < 13000; id += 1000) {
        place_put(&place, id, 5, 1, "a", 10);
        place_roll(&place);
        place_trim(&place, 1, "a", id + 4, id - 500);
        place_trim(&place, 2, "b", B_LAST, B_LAST);
        place_upkeep(&place);
    }
    place_close(&place);
    assert_in_range(number_in(&place, "state.db", "SELECT count(*) FROM removal"), 1, 3);
    open_again(&place);
    assert_int_equal(lost, 0);
    place_deinit(&place);
}

/* A name is used again after a file without events was dropped. */
static void a_file_of_a_name_that_was_removed_is_missed(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    run_sql(&place, "state.db", "INSERT INTO removal VALUES(3000, 1400, 0, 0, 0)");
    place_open(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    place_roll(&place);
    place_put(&place, 4000, 5, 1, "a", 10);
    without(&place, "log/0000000000003000.db");
    assert_int_equal(lost, 3004);
    place_deinit(&place);
}

/* ---- foreign files --------------------------------------------------------------------------- */

/* Another log with files of the same names. */
static void make_other(struct place *other)
{
    place_init(other);
    clock_fake_advance(&other->clock, 12345);
    place_open(other);
    for (uint64_t file = 1000; file <= 1500; file += 100) {
        place_put(other, file, EVENTS, 1, "theirs", 10);
        place_roll(other);
    }
    place_close(other);
}

static void a_file_of_another_log_is_left_alone_and_not_served(void **state)
{
    (void)state;
    static const struct {
        const char *as;
        uint64_t holes, after, upto;
    } cases[] = {
        {"log/0000000000001200.db", 1, 1119, 1269}, /* in the place of ours */
        {"log/0000000000001150.db", 0, 0, 0},       /* between ours */
        {"log/0000000000009000.db", 0, 0, 0},       /* behind ours */
        {"log/0000000000000500.db", 0, 0, 0},       /* before ours */
    };
    struct place other;
    make_other(&other);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct place place;
        char command[512];
        begin(&place);
        place_close(&place);
        copy_file(&other, "log/0000000000001200.db", &place, cases[i].as);
        for (int again = 0; again < 2; again++) {
            open_again(&place);
            check_losses(&place, cases[i].holes, cases[i].after, cases[i].upto, 1);
            assert_int_equal(lost, cases[i].upto);
            assert_null(place_find(&place, "theirs"));
            assert_int_equal(place_count(&place, 1), (FILES - cases[i].holes) * EVENTS);
            place_put(&place, 3000 + (uint64_t)again * 1000, 5, 3, "c", 10);
            place_roll(&place);
        }
        snprintf(command, sizeof(command), "cmp %s/log/0000000000001200.db %s/%s", other.dir,
                 place.dir, cases[i].as);
        assert_int_equal(system(command), 0);
        place_deinit(&place);
    }
    place_deinit(&other);
}

static void a_file_of_another_log_that_was_appended_to_deletes_nothing(void **state)
{
    (void)state;
    struct place place, other;
    begin(&place);
    make_other(&other);
    place_open(&other);
    place_put(&other, 8000, 5, 1, "theirs", 10);
    place_delete(&other, 1, "theirs", 8004);
    place_close(&other);
    place_close(&place);
    copy_file(&other, "log/0000000000008000.db", &place, "log/0000000000008000.db");
    open_again(&place);
    check_losses(&place, 0, 0, 0, 1);
    check_whole(&place);
    assert_int_equal(place.newest.id, A_LAST + 50);
    place_deinit(&other);
    place_deinit(&place);
}

static void a_file_of_other_content_is_foreign(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    remove_file(&place, "sums.db");
    run_sql(&place, "log/0000000000001200.db",
            "UPDATE meta SET value = value + 2 WHERE name = 'digest'");
    open_again(&place);
    check_losses(&place, 1, 1119, 1269, 1);
    place_deinit(&place);
}

static void an_older_copy_of_a_file_is_read_and_the_rest_is_a_hole(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    place_close(&place);
    copy_file(&place, "log/0000000000003000.db", &place, "kept.db");
    place_open(&place);
    place_put(&place, 3005, 5, 1, "a", 10);
    place_roll(&place);
    place_put(&place, 4000, 5, 1, "a", 10);
    place_close(&place);
    copy_file(&place, "kept.db", &place, "log/0000000000003000.db");
    for (int again = 0; again < 2; again++) {
        open_again(&place);
        assert_int_equal(lost, 3009);
        check_losses(&place, 1, 3004, 3009, 0);
        assert_int_equal(place_count(&place, 1), FILES * EVENTS + 10);
        place_roll(&place);
    }
    place_deinit(&place);
}

/* A repaired copy that ends within the hole does not fill it. */
static void the_whole_file_that_is_put_back_fills_the_hole_of_its_older_copy(void **state)
{
    (void)state;
    for (uint64_t is_rescued = 0; is_rescued < 2; is_rescued++) {
        struct place place;
        begin(&place);
        place_put(&place, 3000, 5, 1, "a", 10);
        place_close(&place);
        copy_file(&place, "log/0000000000003000.db", &place, "kept.db");
        place_open(&place);
        place_put(&place, 3005, 5, 1, "a", 10);
        place_roll(&place);
        place_put(&place, 4000, 5, 1, "a", 10);
        place_close(&place);
        copy_file(&place, "log/0000000000003000.db", &place, "whole.db");
        copy_file(&place, "kept.db", &place, "log/0000000000003000.db");
        open_again(&place);
        check_losses(&place, 1, 3004, 3009, 0);
        place_roll(&place); /* or a write-ahead log lies beside it */
        place_close(&place);
        copy_file(&place, "whole.db", &place, "log/0000000000003000.db");
        if (is_rescued)
            run_sql(&place, "log/0000000000003000.db",
                    "INSERT INTO meta VALUES('rescued', 1);"
                    "DELETE FROM meta WHERE name IN ('last', 'count', 'digest')");
        for (int again = 0; again < 2; again++) {
            open_again(&place);
            assert_int_equal(lost, is_rescued ? 3009 : 0);
            check_losses(&place, is_rescued, is_rescued ? 3004 : 0, is_rescued ? 3009 : 0, 0);
            assert_int_equal(place_count(&place, 1), FILES * EVENTS + 15);
        }
        place_deinit(&place);
    }
}

/* ---- a write-ahead log that is lost ---------------------------------------------------------- */

/* A newest file of which a checkpoint has moved 10 events into the file, followed by `more` in the
 * write-ahead log. */
static void make_moved(struct place *place, uint32_t more)
{
    begin(place);
    place_put(place, 5000, 5, 1, "a", 10);
    place_upkeep(place);
    place_put(place, 5005, 5, 1, "a", 10);
    place_close(place); /* moves them */
    copy_file(place, "log/0000000000005000.db", place, "moved.db");
    open_again(place);
    if (more)
        place_put(place, 5010, more, 1, "a", 10);
    place_upkeep(place);
}

static void lose_log(struct place *place)
{
    place_close(place);
    copy_file(place, "moved.db", place, "log/0000000000005000.db");
}

static void a_newest_file_that_has_lost_its_newest_events_is_a_hole_up_to_now(void **state)
{
    (void)state;
    static const uint32_t more[] = {1, 50};
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        struct place place;
        make_moved(&place, more[i]);
        place_put(&place, 5100, 5, 1, "a", 10);
        lose_log(&place);
        uint64_t now = (uint64_t)place.clock.wall_us;
        for (int again = 0; again < 3; again++) {
            open_again(&place);
            assert_int_equal(lost, now);
            check_losses(&place, 1, 5009, now, 0);
            assert_int_equal(place.newest.id, now);
            place_upkeep(&place);
            clock_fake_advance(&place.clock, 1000000);
        }
        place_put(&place, now + 10, 5, 1, "a", 10);
        for (int again = 0; again < 3; again++) {
            place_roll(&place);
            open_again(&place);
            check_losses(&place, 1, 5009, now, 0);
            assert_int_equal(place_count(&place, 1), FILES * EVENTS + 15);
        }
        place_deinit(&place);
    }
}

/* A known hole, or a loss that a repair has noted, explains the missing event of state.db. Another
 * missing event is needed to show a further loss. */
static void a_write_ahead_log_that_is_lost_again_is_a_hole_again(void **state)
{
    (void)state;
    for (uint64_t by_repair = 0; by_repair < 2; by_repair++) {
        struct place place;
        make_moved(&place, 5);
        lose_log(&place);
        uint64_t first = (uint64_t)place.clock.wall_us + 10;
        if (by_repair)
            run_sql(&place, "state.db", "INSERT OR REPLACE INTO setting VALUES('lost', 5014)");
        open_again(&place);
        assert_int_equal(place.store->ops->losses(place.store).holes, !by_repair);
        place_put(&place, first, 5, 1, "a", 10);
        place_upkeep(&place);
        lose_log(&place);
        clock_fake_advance(&place.clock, 1000000);
        open_again(&place);
        assert_int_equal(lost, place.clock.wall_us);
        check_losses(&place, 2 - by_repair, 5009, lost, 0);
        place_deinit(&place);
    }
}

static void a_newest_file_that_is_whole_is_no_hole(void **state)
{
    (void)state;
    struct place place;
    make_moved(&place, 0);
    lose_log(&place);
    for (uint64_t id = 5020; id < 5080; id += 20) {
        open_again(&place);
        assert_int_equal(lost, 0);
        place_put(&place, id, 5, 1, "a", 10);
        place_upkeep(&place);
    }
    /* The newest file may have fewer events since they were deleted, and may be gone. */
    place_delete(&place, 1, "a", 5064);
    place_roll(&place);
    place_upkeep(&place);
    open_again(&place);
    assert_int_equal(lost, 0);
    check_losses(&place, 0, 0, 0, 0);
    place_deinit(&place);
}

/* Each note is a commit of state.db. */
static void the_newest_file_is_noted_once_for_each_time_that_its_log_is_moved(void **state)
{
    (void)state;
    struct place place;
    const char *noted = "SELECT value FROM setting WHERE name = 'tail_newest'";
    make_moved(&place, 5);
    assert_int_equal(number_in(&place, "state.db", noted), 5014);
    for (uint64_t id = 5020; id < 5100; id += 20) {
        place_put(&place, id, 5, 1, "a", 10);
        place_upkeep(&place);
    }
    assert_int_equal(number_in(&place, "state.db", noted), 5014);
    open_again(&place);
    place_upkeep(&place);
    assert_int_equal(number_in(&place, "state.db", noted), 5014);
    place_put(&place, 5100, 5, 1, "a", 10);
    place_upkeep(&place);
    assert_int_equal(number_in(&place, "state.db", noted), 5104);
    place_deinit(&place);
}

/* ---- older versions -------------------------------------------------------------------------- */

#define FORGET_LINKS                                                                               \
    "DELETE FROM meta WHERE name NOT IN ('version', 'sealed');"                                    \
    "ALTER TABLE event DROP COLUMN checksum"

static void forget_links(const struct place *place)
{
    char file[64];
    for (int i = 0; i < FILES; i++) {
        snprintf(file, sizeof(file), "log/%016d.db", 1000 + i * 100);
        run_sql(place, file, FORGET_LINKS);
    }
    run_sql(place, "state.db", "DELETE FROM setting WHERE name IN ('log', 'tail')");
    remove_file(place, "sums.db");
}

static void files_without_links_are_taken_as_they_are(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    forget_links(&place);
    open_again(&place);
    assert_int_equal(lost, 0);
    check_whole(&place);
    assert_int_equal(place_count(&place, 1), FILES * EVENTS);
    without(&place, "log/0000000000001200.db");
    assert_int_equal(lost, 0);
    place_deinit(&place);
}

static void a_folder_without_links_gets_them_with_each_new_file(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_close(&place);
    forget_links(&place);
    open_again(&place);
    for (uint64_t id = 3000; id < 6000; id += 1000) {
        place_put(&place, id, 5, 1, "a", 10);
        place_roll(&place);
    }
    open_again(&place);
    assert_int_equal(lost, 0);
    place_close(&place);
    remove_file(&place, "log/0000000000001400.db"); /* the first new file names it */
    remove_file(&place, "log/0000000000004000.db");
    open_again(&place);
    assert_int_equal(lost, 4004);
    check_losses(&place, 2, 3004, 4004, 0);
    place_deinit(&place);
}

static void a_file_that_an_older_version_appended_to_is_appended_to(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    place_close(&place);
    run_sql(&place, "log/0000000000003000.db", FORGET_LINKS);
    open_again(&place);
    place_put(&place, 3005, 5, 1, "a", 10);
    place_roll(&place);
    open_again(&place);
    assert_int_equal(lost, 0);
    assert_int_equal(place_count(&place, 1), FILES * EVENTS + 10);
    place_close(&place);
    assert_int_equal(
        number_in(&place, "log/0000000000003000.db", "SELECT count(checksum) FROM event"), 5);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_a_hole_up_to_its_newest_event),
        cmocka_unit_test(two_files_missing_in_a_row_are_one_hole),
        cmocka_unit_test(files_missing_apart_are_two_holes),
        cmocka_unit_test(a_missing_oldest_file_is_told_and_is_no_hole_in_what_is_retained),
        cmocka_unit_test(a_file_that_is_not_in_the_sums_is_missed_too),
        cmocka_unit_test(a_missing_newest_file_is_a_hole_up_to_now),
        cmocka_unit_test(a_newest_file_that_has_lost_all_its_events_is_a_hole_up_to_now),
        cmocka_unit_test(a_hole_is_known_when_the_file_that_showed_it_is_gone),
        cmocka_unit_test(a_file_under_the_name_of_a_newer_one_is_left_alone),
        cmocka_unit_test(holes_that_become_one_are_not_taken_for_filled),
        cmocka_unit_test(a_file_that_is_put_back_fills_the_hole),
        cmocka_unit_test(a_file_that_upkeep_unlinks_is_no_hole),
        cmocka_unit_test(a_hole_beside_a_file_that_upkeep_unlinked_is_found),
        cmocka_unit_test(few_removals_are_kept_where_the_oldest_files_go),
        cmocka_unit_test(a_file_of_a_name_that_was_removed_is_missed),
        cmocka_unit_test(a_file_of_another_log_is_left_alone_and_not_served),
        cmocka_unit_test(a_file_of_another_log_that_was_appended_to_deletes_nothing),
        cmocka_unit_test(a_file_of_other_content_is_foreign),
        cmocka_unit_test(an_older_copy_of_a_file_is_read_and_the_rest_is_a_hole),
        cmocka_unit_test(the_whole_file_that_is_put_back_fills_the_hole_of_its_older_copy),
        cmocka_unit_test(a_newest_file_that_has_lost_its_newest_events_is_a_hole_up_to_now),
        cmocka_unit_test(a_write_ahead_log_that_is_lost_again_is_a_hole_again),
        cmocka_unit_test(a_newest_file_that_is_whole_is_no_hole),
        cmocka_unit_test(the_newest_file_is_noted_once_for_each_time_that_its_log_is_moved),
        cmocka_unit_test(files_without_links_are_taken_as_they_are),
        cmocka_unit_test(a_folder_without_links_gets_them_with_each_new_file),
        cmocka_unit_test(a_file_that_an_older_version_appended_to_is_appended_to),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* losses are made here on purpose */
    faults_install(); /* the disk of the tests, whose syncs do not wait */
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
