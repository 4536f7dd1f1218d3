#include "log/store/sqlite/summing_testing.h"
#include "log/store/sqlite/tally.h"

static void check_between(struct place *place, uint32_t number, uint64_t low, uint64_t high,
                          int count)
{
    struct tally tally = {0};
    assert_int_equal(tally_files(sqlite_chain(place->store), number, low, high, &tally), 0);
    assert_int_equal(tally.count, count);
    assert_int_equal(tally.bytes, (uint64_t)count * (number == 1 ? 10 : 5));
}

static void events_are_counted_in_whole_files_and_parts_of_them(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    check_between(&place, 1, 0, EVENT_ID_MAX, FILES * EVENTS);
    check_between(&place, 1, 0, 999, 0);
    check_between(&place, 1, A_LAST, EVENT_ID_MAX, 0);
    check_between(&place, 1, 1004, 1009, 5);
    check_between(&place, 1, 1009, 1301, 10 + 2 * EVENTS + 2);
    check_between(&place, 1, 999, 1019, EVENTS);
    check_between(&place, 2, 1060, 1259, 9 + 10);
    check_between(&place, 3, 0, EVENT_ID_MAX, 0);
    place_deinit(&place);
}

static void files_that_are_not_in_the_sums_do_not_count(void **state)
{
    (void)state;
    struct place place;
    make_files(&place);
    place_put(&place, 3000, 5, 1, "a", 10);
    check_between(&place, 1, 0, EVENT_ID_MAX, FILES * EVENTS);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_counted_in_whole_files_and_parts_of_them),
        cmocka_unit_test(files_that_are_not_in_the_sums_do_not_count),
    };
    say_set_level(SAY_ERROR);
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
