#include "log/store/sqlite/summing_testing.h"

/* Upkeep begins some time after the opening. */
static void recount_whole(struct place *place)
{
    for (int turn = 0; turn < 3; turn++) {
        place_upkeep(place);
        clock_fake_advance(&place->clock, INT64_C(30000000));
    }
}

struct told {
    uint32_t number;
    int64_t count;
    int64_t bytes;
    unsigned times;
};

static void on_recounted(void *context, uint32_t number, uint64_t last, int64_t count,
                         int64_t bytes)
{
    struct told *told = context;
    assert_int_equal(last, A_LAST);
    *told = (struct told){number, count, bytes, told->times + 1};
}

static void a_row_that_is_wrong_is_found_and_mended(void **state)
{
    (void)state;
    struct place place;
    struct told told = {0};
    make_files(&place);
    place_close(&place);
    run_sql(&place, "sums.db", "UPDATE channel SET count = count + 5, bytes = 7 WHERE number = 1");
    place.config.recounted = on_recounted;
    place.config.context = &told;
    place_open(&place);
    recount_whole(&place);
    assert_int_equal(told.times, 1);
    assert_int_equal(told.number, 1);
    assert_int_equal(told.count, -5);
    assert_int_equal(told.bytes, FILES * EVENTS * 10 - 7);
    reopen(&place);
    check_whole(&place);
    assert_int_equal(files_summed(&place), FILES);
    place_deinit(&place);
}

static void a_row_that_is_missing_is_found(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_close(&place);
    run_sql(&place, "sums.db", "DELETE FROM channel WHERE number = 1");
    place_open(&place);
    recount_whole(&place);
    reopen(&place);
    check_whole(&place);
    place_deinit(&place);
}

static void a_recount_of_intact_sums_reports_nothing(void **state)
{
    (void)state;
    struct place place;
    struct told told = {0};
    make_files(&place);
    place_close(&place);
    place.config.recounted = on_recounted;
    place.config.context = &told;
    place_open(&place);
    place_trim(&place, 1, "a", A_LAST, 1205);
    place_delete(&place, 2, "b", B_LAST);
    for (int turn = 0; turn < 3; turn++) {
        place_upkeep(&place);
        clock_fake_advance(&place.clock, INT64_C(100000000000));
    }
    assert_int_equal(told.times, 0);
    assert_non_null(sqlite_chain(place.store)->sums.db);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_wrong_is_found_and_mended),
        cmocka_unit_test(a_row_that_is_missing_is_found),
        cmocka_unit_test(a_recount_of_intact_sums_reports_nothing),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
