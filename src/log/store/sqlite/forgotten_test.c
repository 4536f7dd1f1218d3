#include "log/store/sqlite/testing.h"

#include "base/say.h"

/* The numbers that were released, and those that were unused at the opening. */
static struct seen {
    uint32_t numbers[64];
    size_t count;
} released;

static void on_released(void *context, uint32_t number)
{
    (void)context;
    released.numbers[released.count++] = number;
}

static void begin(struct place *place)
{
    released.count = 0;
    place_init(place);
    place->config.released = on_released;
    place_open(place);
}

static void forget(struct place *place, uint32_t number, const char *name, uint64_t last)
{
    struct store_trim space = {0, STR("*"), 0, last};
    place_trim(place, number, name, last, last);
    assert_int_equal(place->store->ops->forget(place->store, &space, 1, &number, 1), 0);
}

static void a_number_is_released_once_its_files_are_gone(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    forget(&place, 1, "a", 109);
    place_upkeep(&place);
    assert_int_equal(released.count, 0); /* the file is still appended to */
    place_roll(&place);
    place_upkeep(&place);
    assert_int_equal(place_files(&place, "db"), 0);
    assert_int_equal(released.count, 1);
    assert_int_equal(released.numbers[0], 1);
    place_upkeep(&place);
    assert_int_equal(released.count, 1);
    place_deinit(&place);
}

/* The oldest file stays for ever, as it has an event that is kept. */
static void a_number_is_released_though_an_older_file_stays(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 100, 1, 1, "kept", 5);
    place_roll(&place);
    place_put(&place, 110, 10, 2, "b", 5);
    place_roll(&place);
    forget(&place, 2, "b", 119);
    place_put(&place, 200, 1, 3, "c", 5);
    place_upkeep(&place);
    place_upkeep(&place);
    assert_int_equal(released.count, 1);
    assert_int_equal(released.numbers[0], 2);
    assert_int_equal(place_count(&place, 1), 1);
    place_deinit(&place);
}

static void a_number_that_a_file_has_dead_events_of_is_not_released(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 100, 2, 1, "dead", 5);
    place_put(&place, 110, 50, 2, "kept", 5);
    place_roll(&place);
    forget(&place, 1, "dead", 101);
    place_put(&place, 200, 1, 3, "c", 5);
    place_roll(&place);
    for (int i = 0; i < 3; i++)
        place_upkeep(&place);
    assert_int_equal(released.count, 0);
    place_close(&place);
    place_open(&place);
    place_upkeep(&place);
    assert_int_equal(released.count, 0);
    assert_null(place_find(&place, "dead"));
    place_deinit(&place);
}

/* The same number under another name: nothing of the first comes back, whatever is opened when. */
static void a_number_that_was_released_may_be_another_channels(void **state)
{
    (void)state;
    struct place place;
    begin(&place);
    place_put(&place, 90, 1, 7, "kept", 5);
    place_roll(&place);
    place_put(&place, 100, 10, 1, "a", 5);
    place_roll(&place);
    forget(&place, 1, "a", 109);
    place_put(&place, 150, 1, 7, "kept", 5);
    place_upkeep(&place);
    place_upkeep(&place);
    assert_int_equal(released.count, 1);
    place_put(&place, 200, 10, 1, "b", 5);
    for (int again = 0; again < 3; again++) {
        assert_int_equal(place_count(&place, 1), 10);
        place_close(&place);
        place_open(&place);
        assert_null(place_find(&place, "a"));
        assert_int_equal(place_find(&place, "b")->number, 1);
        assert_int_equal(place_find(&place, "b")->count, 10);
        assert_int_equal(place_find(&place, "b")->trimmed, 0);
        place_roll(&place);
        place_upkeep(&place);
    }
    place_deinit(&place);
}

/* A crash at any step of forgetting, unlinking and sweeping leaves a folder in which the number is
 * either free or hidden. */
struct snapshot {
    struct place *place;
    const char *step;
    char dir[64];
    bool taken;
};

static void take_snapshot(void *context, const char *name)
{
    struct snapshot *snapshot = context;
    char command[256];
    if (snapshot->taken || strcmp(name, snapshot->step) != 0)
        return;
    snapshot->taken = true;
    snprintf(command, sizeof(command), "cp -r %s/. %s", snapshot->place->dir, snapshot->dir);
    assert_int_equal(system(command), 0);
}

static void check_snapshot(struct snapshot *snapshot)
{
    struct place copy;
    released.count = 0;
    place_init(&copy);
    folder_testing_remove(copy.dir);
    snprintf(copy.dir, sizeof(copy.dir), "%s", snapshot->dir);
    copy.config.dir = copy.dir;
    copy.config.released = on_released;
    place_open(&copy);
    assert_null(place_find(&copy, "a"));
    assert_int_equal(place_find(&copy, "kept")->count, 2);
    place_roll(&copy);
    place_upkeep(&copy);
    place_upkeep(&copy);
    assert_true(released.count == 1 || copy.newest.number < 9);
    place_put(&copy, 300, 3, 9, "b", 5);
    place_close(&copy);
    place_open(&copy);
    assert_null(place_find(&copy, "a"));
    assert_int_equal(place_find(&copy, "b")->count, 3);
    place_deinit(&copy);
}

static void run_with_snapshot(const char *step)
{
    struct place place;
    struct snapshot snapshot = {&place, step, "/tmp/freshet-store-XXXXXX", false};
    assert_non_null(mkdtemp(snapshot.dir));
    released.count = 0;
    place_init(&place);
    place.config.released = on_released;
    place.hook = (struct chain_hook){take_snapshot, &snapshot};
    place_open(&place);
    place_put(&place, 90, 1, 7, "kept", 5);
    place_roll(&place);
    place_put(&place, 100, 10, 9, "a", 5);
    place_roll(&place);
    place_put(&place, 150, 1, 7, "kept", 5);
    place_upkeep(&place);
    snapshot.taken = false;
    folder_testing_remove(snapshot.dir);
    assert_int_equal(mkdir(snapshot.dir, 0700), 0);
    forget(&place, 9, "a", 109);
    place_roll(&place); /* the file that was appended to is asked only once it is sealed */
    place_upkeep(&place);
    place_upkeep(&place);
    assert_int_equal(released.count, 1);
    assert_true(snapshot.taken);
    place_deinit(&place);
    check_snapshot(&snapshot);
}

static void a_crash_at_any_step_leaves_the_number_free_or_hidden(void **state)
{
    (void)state;
    static const char *const steps[] = {"dead", "unlinked", "swept"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        run_with_snapshot(steps[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_released_once_its_files_are_gone),
        cmocka_unit_test(a_number_is_released_though_an_older_file_stays),
        cmocka_unit_test(a_number_that_a_file_has_dead_events_of_is_not_released),
        cmocka_unit_test(a_number_that_was_released_may_be_another_channels),
        cmocka_unit_test(a_crash_at_any_step_leaves_the_number_free_or_hidden),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
