/* Answers of the log about events that were lost on the disk. */
#include "log/testing.h"

#include "base/mem.h"
#include "log/store/sqlite/testing.h"

#include <dirent.h>

enum { FILES = 4 };

/* The newest id of each file. */
static uint64_t newest[FILES];

/* A log of FILES files with an event of "a" and one of "b/c" in each; the last is appended to. */
static void make_log(struct world *world)
{
    world_init(world, false);
    world_open(world);
    for (int file = 0; file < FILES; file++) {
        if (file)
            clock_fake_advance(&world->clock, world->config.store.roll_us);
        upkeep_turn(world->log);
        post_one(world, "a", "hello");
        newest[file] = post_one(world, "b/c", "hello");
        upkeep_turn(world->log);
    }
}

/* Removes the file that comes `nth` by name while the log is closed, and opens it again. */
static void lose_file(struct world *world, int nth)
{
    char path[512];
    struct dirent **entries;
    world_close(world);
    snprintf(path, sizeof(path), "%s/log", world->dir);
    int count = scandir(path, &entries, NULL, alphasort), left = nth;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        bool is_file = strlen(name) == 19 && strcmp(name + 16, ".db") == 0;
        if (is_file && left-- == 0) {
            snprintf(path, sizeof(path), "%s/log/%s", world->dir, name);
            assert_int_equal(unlink(path), 0);
        }
        free(entries[i]);
    }
    free(entries);
    for (size_t i = 0; i < WORLD_PORTS; i++)
        world->ports[i].last = 0;
    world_open(world);
}

static struct selection *select_one(const char *term)
{
    struct str terms[] = {str_from(term)};
    return selection_new(terms, 1, NULL, 0, NULL);
}

static void events_that_were_lost_are_a_gap_for_each_selection(void **state)
{
    (void)state;
    static const char *const terms[] = {"a", "b/**", "**", "never/used"};
    struct world world;
    make_log(&world);
    assert_int_equal(log_lost(world.log), 0);
    lose_file(&world, 1);
    assert_int_equal(log_lost(world.log), newest[1]);
    for (size_t i = 0; i < sizeof(terms) / sizeof(*terms); i++) {
        struct selection *selection = select_one(terms[i]);
        assert_int_equal(log_trimmed(world.log, selection), newest[1]);
        assert_string_equal(log_gap_reason(world.log, newest[1]), "lost");
        selection_unref(selection);
    }
    struct log_stats stats;
    log_stats(world.log, &stats);
    assert_int_equal(stats.losses.holes, 1);
    assert_int_equal(stats.losses.after, newest[0]);
    assert_int_equal(stats.losses.upto, newest[1]);
    world_deinit(&world);
}

/* Only a folder that was restored from an older copy has readers with such positions. */
static void positions_that_no_run_of_the_folder_has_told_are_of_lost_events(void **state)
{
    (void)state;
    struct world world;
    make_log(&world);
    uint64_t first = log_newest(world.log);
    world_reopen(&world);
    uint64_t second = log_newest(world.log);
    assert_true(second > first + 2);
    assert_int_equal(log_lacks_upto(world.log, first), 0);
    assert_int_equal(log_lacks_upto(world.log, first + 1), second);
    assert_int_equal(log_lacks_upto(world.log, second - 1), second);
    assert_int_equal(log_lacks_upto(world.log, second), 0);
    clock_fake_advance(&world.clock, 1000000);
    world_reopen(&world); /* the second run has told its beginning, though it had no event */
    assert_int_equal(log_lacks_upto(world.log, second), 0);
    assert_int_equal(log_lacks_upto(world.log, second + 1), log_newest(world.log));
    assert_int_equal(log_lacks_upto(world.log, first), 0);
    assert_int_equal(log_lacks_upto(world.log, first + 1), second); /* for readers who come late */
    world_deinit(&world);
}

static void positions_of_lost_events_are_known_for_many_runs(void **state)
{
    (void)state;
    struct world world;
    make_log(&world);
    uint64_t oldest = log_newest(world.log);
    world_reopen(&world);
    uint64_t upto = log_newest(world.log);
    for (size_t runs = 1; runs <= STORE_PAUSES; runs++) {
        assert_int_equal(log_lacks_upto(world.log, oldest + 1), upto);
        clock_fake_advance(&world.clock, 1000000);
        world_reopen(&world);
    }
    assert_int_equal(log_lacks_upto(world.log, oldest + 1), 0); /* the oldest pause is forgotten */
    assert_int_equal(log_lacks_upto(world.log, upto), 0);
    assert_true(log_lacks_upto(world.log, upto + 1) > upto);
    world_deinit(&world);
}

/* The runs have no events, and the second begins before the first, as its clock says. */
static void a_clock_that_was_set_back_for_a_run_makes_no_position_one_of_lost_events(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, false);
    world_open(&world);
    uint64_t first = log_newest(world.log);
    clock_fake_advance(&world.clock, -1000000);
    world_reopen(&world);
    assert_true(log_newest(world.log) >= first);
    clock_fake_advance(&world.clock, 2000000);
    world_reopen(&world);
    assert_int_equal(log_lacks_upto(world.log, first), 0);
    world_deinit(&world);
}

/* Lets every note of a beginning fail, or none from now on. */
static void let_notes_fail(struct world *world, bool fail)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/state.db", world->dir);
    file_execute(path, fail ? "CREATE TRIGGER no_note BEFORE INSERT ON pause"
                              " BEGIN SELECT RAISE(ABORT, 'no note'); END"
                            : "DROP TRIGGER no_note");
}

/* Readers hear of no beginning that the next run would not know. */
static void a_run_whose_beginning_cannot_be_noted_makes_no_position_one_of_lost_events(void **state)
{
    (void)state;
    struct world world;
    make_log(&world);
    uint64_t position = log_newest(world.log);
    let_notes_fail(&world, true);
    for (int run = 0; run < 3; run++) {
        struct post post;
        clock_fake_advance(&world.clock, 1000000);
        world_reopen(&world);
        assert_int_equal(log_newest(world.log), position);
        assert_int_equal(log_lacks_upto(world.log, position), 0);
        assert_true(log_lacks_upto(world.log, position + 1) > position);
        post_send(&world, &post, "a", "x");
        post_wait(&world, &post);
        assert_int_equal(post.publish.verdict, PUBLISH_E_UNAVAILABLE);
        assert_int_equal(log_newest(world.log), position);
    }
    let_notes_fail(&world, false);
    world_reopen(&world);
    assert_int_equal(log_lacks_upto(world.log, position), 0);
    world_deinit(&world);
}

static void a_beginning_is_noted_with_the_first_event_if_it_could_not_be_before(void **state)
{
    (void)state;
    struct world world;
    make_log(&world);
    uint64_t before = log_newest(world.log);
    let_notes_fail(&world, true);
    clock_fake_advance(&world.clock, 1000000);
    world_reopen(&world);
    let_notes_fail(&world, false);
    uint64_t id = post_one(&world, "a", "x");
    assert_int_equal(log_newest(world.log), id);
    assert_true(id > before + 1000);
    clock_fake_advance(&world.clock, 1000000);
    world_reopen(&world);
    assert_int_equal(log_lacks_upto(world.log, before), 0);
    assert_int_equal(log_lacks_upto(world.log, id), 0);
    uint64_t upto = log_lacks_upto(world.log, before + 1);
    assert_true(upto > before + 1 && upto <= id);
    world_deinit(&world);
}

static void a_beginning_before_lost_events_gets_a_gap_without_a_cursor(void **state)
{
    (void)state;
    struct world world;
    struct selection *selection = select_one("b/*");
    make_log(&world);
    lose_file(&world, 1);
    assert_true(log_trimmed_from(world.log, selection, 0) < newest[1]);
    assert_true(log_trimmed_from(world.log, selection, newest[0]) < newest[1]);
    assert_int_equal(log_trimmed_from(world.log, selection, newest[1]), newest[1]);
    selection_unref(selection);
    world_deinit(&world);
}

static void events_lost_below_the_oldest_retained_are_no_gap_for_a_beginning(void **state)
{
    (void)state;
    struct world world;
    struct selection *selection = select_one("b/*");
    make_log(&world);
    lose_file(&world, 0);
    assert_int_equal(log_trimmed(world.log, selection), newest[0]);
    assert_int_equal(log_trimmed_from(world.log, selection, 0), newest[0]);
    selection_unref(selection);
    world_deinit(&world);
}

static void a_channel_that_was_trimmed_beyond_the_loss_has_lost_nothing(void **state)
{
    (void)state;
    struct world world;
    struct selection *one = select_one("a"), *all = select_one("**");
    make_log(&world);
    lose_file(&world, 1);
    post_delete(&world, "a");
    uint64_t trimmed = log_trimmed(world.log, one);
    assert_true(trimmed > newest[1]);
    assert_int_equal(log_trimmed_from(world.log, one, 0), trimmed);
    assert_true(log_trimmed_from(world.log, all, 0) < newest[1]);
    assert_string_equal(log_gap_reason(world.log, trimmed), "trimmed");
    selection_unref(one);
    selection_unref(all);
    world_deinit(&world);
}

static void ids_go_on_above_what_was_lost(void **state)
{
    (void)state;
    struct world world;
    make_log(&world);
    lose_file(&world, FILES - 1);
    assert_true(log_lost(world.log) >= newest[FILES - 1]);
    assert_true(log_newest(world.log) >= log_lost(world.log));
    assert_true(post_one(&world, "a", "x") > log_lost(world.log));
    world_deinit(&world);
}

static void damage_that_is_read_raises_the_count_of_trims(void **state)
{
    (void)state;
    struct world world;
    struct selection *selection = select_one("a");
    struct batch *batch;
    uint64_t through;
    char command[512];
    make_log(&world);
    world_close(&world);
    snprintf(command, sizeof(command), "sed -i s/hello/jello/ %s/log/*.db", world.dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < WORLD_PORTS; i++)
        world.ports[i].last = 0;
    world_open(&world);
    uint64_t trims = log_trims(world.log);
    struct store_query query = {
        .upto = log_newest(world.log), .limit = 100, .bytes = SIZE_MAX, .rows = 1000};
    assert_int_equal(log_read(world.log, &query, selection, &batch, &through), 0);
    assert_int_equal(batch->count, 0);
    batch_unref(batch);
    assert_true(log_trims(world.log) > trims);
    assert_int_equal(log_trimmed(world.log, selection), newest[FILES - 1] - 1);
    selection_unref(selection);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_that_were_lost_are_a_gap_for_each_selection),
        cmocka_unit_test(positions_that_no_run_of_the_folder_has_told_are_of_lost_events),
        cmocka_unit_test(positions_of_lost_events_are_known_for_many_runs),
        cmocka_unit_test(a_clock_that_was_set_back_for_a_run_makes_no_position_one_of_lost_events),
        cmocka_unit_test(
            a_run_whose_beginning_cannot_be_noted_makes_no_position_one_of_lost_events),
        cmocka_unit_test(a_beginning_is_noted_with_the_first_event_if_it_could_not_be_before),
        cmocka_unit_test(a_beginning_before_lost_events_gets_a_gap_without_a_cursor),
        cmocka_unit_test(events_lost_below_the_oldest_retained_are_no_gap_for_a_beginning),
        cmocka_unit_test(a_channel_that_was_trimmed_beyond_the_loss_has_lost_nothing),
        cmocka_unit_test(ids_go_on_above_what_was_lost),
        cmocka_unit_test(damage_that_is_read_raises_the_count_of_trims),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
