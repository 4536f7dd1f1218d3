#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/faults.h"

static char dir[] = "/tmp/freshet-state-XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/state.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    folder_testing_remove(dir);
    return 0;
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static struct state *open_it(void)
{
    struct state *state;
    assert_int_equal(state_open(path, &state), 0);
    return state;
}

struct seen {
    size_t count;
    uint32_t numbers[16];
    uint64_t upto[16];
    uint64_t last[16];
    char names[16][16];
};

static int see_row(void *context, const struct state_row *row)
{
    struct seen *seen = context;
    snprintf(seen->names[seen->count], 16, "%.*s", STR_FMT(row->name));
    seen->numbers[seen->count] = row->number;
    seen->last[seen->count] = row->last;
    seen->upto[seen->count++] = row->trimmed;
    return 0;
}

static int see_pair(void *context, uint32_t number, uint64_t upto)
{
    struct seen *seen = context;
    seen->numbers[seen->count] = number;
    seen->upto[seen->count++] = upto;
    return 0;
}

static void trims_come_back_after_reopening(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_trim trims[] = {{1, STR("a"), 20, 10}, {2, STR("b"), 30, 30}};
    assert_int_equal(state_trim(state, trims, 2, false), 0);
    state_close(state);
    state = open_it();
    struct seen seen = {0};
    assert_int_equal(state_rows(state, see_row, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.names[0], "a");
    assert_int_equal(seen.last[0], 20);
    assert_int_equal(seen.upto[0], 10);
    assert_int_equal(seen.numbers[1], 2);
    state_close(state);
}

static void a_trim_never_goes_back(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_trim up = {1, STR("a"), 20, 15}, back = {1, STR("a"), 12, 11};
    struct seen seen = {0};
    assert_int_equal(state_trim(state, &up, 1, false), 0);
    assert_int_equal(state_trim(state, &back, 1, false), 0);
    assert_int_equal(state_rows(state, see_row, &seen), 0);
    assert_int_equal(seen.upto[0], 15);
    assert_int_equal(seen.last[0], 20);
    state_close(state);
}

static void erasures_are_kept_until_done(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_trim trim = {7, STR("a"), 20, 15};
    struct seen seen = {0}, none = {0};
    assert_int_equal(state_trim(state, &trim, 1, true), 0);
    state_close(state);
    state = open_it();
    assert_int_equal(state_erasures(state, see_pair, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.numbers[0], 7);
    assert_int_equal(seen.upto[0], 15);
    assert_int_equal(state_erased(state), 0);
    assert_int_equal(state_erasures(state, see_pair, &none), 0);
    assert_int_equal(none.count, 0);
    state_close(state);
}

static void a_forgotten_channel_leaves_its_number_and_the_fold(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_trim trims[] = {{1, STR("a"), 20, 20}, {2, STR("b"), 30, 30}};
    struct store_trim space = {0, STR("*"), 0, 20};
    uint32_t number = 1;
    uint64_t upto = 20;
    struct seen rows = {0}, forgotten = {0}, none = {0};
    struct state_newest newest;
    assert_int_equal(state_trim(state, trims, 2, false), 0);
    assert_int_equal(state_forget(state, &space, 1, &number, &upto, 1), 0);
    assert_int_equal(state_rows(state, see_row, &rows), 0);
    assert_int_equal(rows.count, 2);
    assert_string_equal(rows.names[0], "b");
    assert_string_equal(rows.names[1], "*");
    assert_int_equal(rows.upto[1], 20);
    assert_int_equal(state_forgotten(state, see_pair, &forgotten), 0);
    assert_int_equal(forgotten.count, 1);
    assert_int_equal(forgotten.upto[0], 20);
    assert_int_equal(state_newest(state, &newest), 0);
    assert_int_equal(newest.number, 1);
    assert_int_equal(state_forgotten_after(state, 1, 10, see_pair, &none), 0);
    assert_int_equal(none.count, 0);
    assert_int_equal(state_forgotten_after(state, 0, 10, see_pair, &none), 0);
    assert_int_equal(none.count, 1);
    assert_int_equal(state_unforget(state, &number, 1), 0);
    assert_int_equal(state_forgotten(state, see_pair, &none), 0);
    assert_int_equal(none.count, 1);
    state_close(state);
}

static void the_newest_event_is_remembered(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct state_newest newest;
    assert_int_equal(state_newest(state, &newest), 0);
    assert_int_equal(newest.id, 0);
    assert_int_equal(state_set_newest(state, 5, 50), 0);
    assert_int_equal(state_set_newest(state, 9, 90), 0);
    state_close(state);
    state = open_it();
    assert_int_equal(state_newest(state, &newest), 0);
    assert_int_equal(newest.id, 9);
    assert_int_equal(newest.time_us, 90);
    state_close(state);
}

static void the_pauses_before_the_latest_runs_are_remembered(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_newest newest = {.pauses = 1};
    assert_int_equal(state_pauses(state, &newest), 0);
    assert_int_equal(newest.pauses, 0);
    for (uint64_t run = 1; run <= STORE_PAUSES + 2; run++)
        assert_int_equal(state_add_pause(state, &(struct store_pause){10 * run, 10 * run + 5}), 0);
    state_close(state);
    state = open_it();
    assert_int_equal(state_pauses(state, &newest), 0);
    assert_int_equal(newest.pauses, STORE_PAUSES);
    for (uint64_t i = 0; i < STORE_PAUSES; i++) {
        assert_int_equal(newest.pause[i].after, 10 * (i + 3));
        assert_int_equal(newest.pause[i].upto, 10 * (i + 3) + 5);
    }
    state_close(state);
}

static void the_lost_id_raises_the_newest_and_never_falls(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct state_newest newest;
    uint64_t lost = 1;
    assert_int_equal(state_lost(state, &lost), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(state_set_newest(state, 5, 50), 0);
    assert_int_equal(state_set_lost(state, 9, 90), 0);
    assert_int_equal(state_set_lost(state, 7, 95), 0);
    state_close(state);
    state = open_it();
    assert_int_equal(state_lost(state, &lost), 0);
    assert_int_equal(lost, 9);
    assert_int_equal(state_newest(state, &newest), 0);
    assert_int_equal(newest.id, 9);
    assert_int_equal(newest.time_us, 95);
    state_close(state);
}

static int see_hole(void *context, uint64_t after, uint64_t upto)
{
    struct seen *seen = context;
    seen->last[seen->count] = after;
    seen->upto[seen->count++] = upto;
    return 0;
}

static int see_removal(void *context, uint64_t first, const struct link *before)
{
    struct seen *seen = context;
    seen->upto[seen->count] = first;
    seen->last[seen->count++] = before->first;
    return 0;
}

static void the_state_of_the_chain_comes_back_after_reopening(void **unused)
{
    (void)unused;
    struct state_chain chain = {7, 500, 520}, back;
    struct state *state = open_it();
    assert_int_equal(state_chain(state, &back), 0);
    assert_int_equal(back.log, 0);
    assert_int_equal(state_set_chain(state, &chain), 0);
    chain.tail = 400; /* the tail never goes back */
    assert_int_equal(state_set_chain(state, &chain), 0);
    assert_int_equal(state_put_hole(state, 100, 199), 0);
    assert_int_equal(state_put_hole(state, 300, 399), 0);
    assert_int_equal(state_put_hole(state, 250, 399), 0);
    assert_int_equal(state_drop_hole(state, 199), 0);
    state_close(state);
    state = open_it();
    struct seen holes = {0};
    assert_int_equal(state_chain(state, &back), 0);
    assert_int_equal(back.log, 7);
    assert_int_equal(back.tail, 500);
    assert_int_equal(back.newest, 520);
    assert_int_equal(state_holes(state, see_hole, &holes), 0);
    assert_int_equal(holes.count, 1);
    assert_int_equal(holes.last[0], 250);
    assert_int_equal(holes.upto[0], 399);
    state_close(state);
}

static void removals_are_dropped_once_nothing_leads_to_them(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    for (uint64_t first = 100; first <= 400; first += 100)
        assert_int_equal(state_put_removal(state, first, &(struct link){first - 100, 1, 2, 3}, 0),
                         0);
    struct seen seen = {0};
    assert_int_equal(state_put_removal(state, 600, &(struct link){.first = 500}, 300), 0);
    assert_int_equal(state_removals(state, see_removal, &seen), 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.upto[0], 300);
    assert_int_equal(seen.last[0], 0); /* no file is expected before it */
    assert_int_equal(seen.last[1], 300);
    assert_int_equal(seen.upto[2], 600);
    assert_int_equal(seen.last[2], 500);
    state_close(state);
}

static void a_file_of_a_newer_version_is_refused(void **unused)
{
    (void)unused;
    sqlite3 *db;
    struct state *state = open_it();
    state_close(state);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "UPDATE setting SET value = 99 WHERE name = 'version'"), 0);
    sqlite3_close(db);
    assert_int_equal(state_open(path, &state), -ENOTSUP);
}

static void a_file_that_is_no_database_is_an_error(void **unused)
{
    (void)unused;
    struct state *state;
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("not a database\n", file);
    fclose(file);
    assert_int_equal(state_open(path, &state), -EIO);
}

static void another_module_may_write_its_tables_meanwhile(void **unused)
{
    (void)unused;
    sqlite3 *db;
    struct state *state = open_it();
    struct store_trim trim = {1, STR("a"), 20, 10};
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    assert_int_equal(db_exec(db, "CREATE TABLE mine(n)"), 0);
    for (int i = 0; i < 200; i++) {
        trim.trimmed++;
        assert_int_equal(db_exec(db, "INSERT INTO mine VALUES(zeroblob(3000))"), 0);
        assert_int_equal(state_trim(state, &trim, 1, false), 0);
        assert_int_equal(state_checkpoint(state), 0);
    }
    sqlite3_close(db);
    state_close(state);
    struct seen seen = {0};
    state = open_it();
    assert_int_equal(state_rows(state, see_row, &seen), 0);
    assert_int_equal(seen.upto[0], 210);
    state_close(state);
}

static void the_log_of_changes_does_not_grow_without_end(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    struct store_trim trim = {1, STR("a"), 20, 10};
    char wal[80];
    struct stat info;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    for (int i = 0; i < 1000; i++) {
        trim.trimmed++;
        assert_int_equal(state_trim(state, &trim, 1, false), 0);
        if (i % 10 == 0)
            assert_int_equal(state_checkpoint(state), 0);
    }
    assert_int_equal(stat(wal, &info), 0);
    assert_true(info.st_size < 1 << 20);
    state_close(state);
}

/* Reads the newest event as an opening after a crash would. */
static uint64_t newest_after_crash(void)
{
    char command[600], crashed[80];
    struct state_newest newest;
    struct state *state;
    snprintf(crashed, sizeof(crashed), "%s/crashed.db", dir);
    snprintf(command, sizeof(command), "cp %s %s; cp %s-wal %s-wal", path, crashed, path, crashed);
    assert_int_equal(system(command), 0);
    assert_int_equal(state_open(crashed, &state), 0);
    assert_int_equal(state_newest(state, &newest), 0);
    state_close(state);
    return newest.id;
}

static void a_failed_write_does_not_come_back_after_a_crash(void **unused)
{
    (void)unused;
    struct state *state = open_it();
    assert_int_equal(state_set_newest(state, 5, 50), 0);
    for (unsigned long nth = 1; nth < 6; nth++) {
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = state_set_newest(state, 5 + nth, 50);
        faults_set(0, 0, 0);
        if (result)
            assert_int_equal(newest_after_crash(), 5);
    }
    faults_set(2, 1000, SQLITE_IOERR_FSYNC);
    assert_int_not_equal(state_set_newest(state, 100, 50), 0);
    assert_int_not_equal(state_erased(state), 0); /* not even begun */
    faults_set(0, 0, 0);
    assert_int_equal(state_erased(state), 0);
    assert_true(newest_after_crash() < 100);
    state_close(state);
}

int main(void)
{
    faults_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(trims_come_back_after_reopening, remove_file),
        cmocka_unit_test_teardown(a_trim_never_goes_back, remove_file),
        cmocka_unit_test_teardown(erasures_are_kept_until_done, remove_file),
        cmocka_unit_test_teardown(a_forgotten_channel_leaves_its_number_and_the_fold, remove_file),
        cmocka_unit_test_teardown(the_newest_event_is_remembered, remove_file),
        cmocka_unit_test_teardown(the_pauses_before_the_latest_runs_are_remembered, remove_file),
        cmocka_unit_test_teardown(the_lost_id_raises_the_newest_and_never_falls, remove_file),
        cmocka_unit_test_teardown(a_failed_write_does_not_come_back_after_a_crash, remove_file),
        cmocka_unit_test_teardown(the_state_of_the_chain_comes_back_after_reopening, remove_file),
        cmocka_unit_test_teardown(removals_are_dropped_once_nothing_leads_to_them, remove_file),
        cmocka_unit_test_teardown(a_file_of_a_newer_version_is_refused, remove_file),
        cmocka_unit_test_teardown(a_file_that_is_no_database_is_an_error, remove_file),
        cmocka_unit_test_teardown(another_module_may_write_its_tables_meanwhile, remove_file),
        cmocka_unit_test_teardown(the_log_of_changes_does_not_grow_without_end, remove_file),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
