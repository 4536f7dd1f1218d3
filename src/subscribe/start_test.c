#include "subscribe/start.h"

#include "hub/testing.h"

#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { EVENTS = 5 };

/* A log with the events a, b, a, b, a, a second apart, of which those of b were deleted. */
struct scene {
    struct world *world;
    struct selection *untouched; /* of no event */
    uint64_t ids[EVENTS + 1];
    int64_t times_us[EVENTS + 1];
    struct start_search *search;
    struct start_found found;
    unsigned answers;
};

static void scene_open(struct scene *scene)
{
    const struct hub_limits limits = LIMITS(1 << 20, 4096, 1 << 20);
    *scene = (struct scene){.world = world_new(limits, 1 << 20),
                            .untouched = select_terms("none", NULL)};
    for (unsigned i = 1; i <= EVENTS; i++) {
        clock_fake_advance(&scene->world->clock, 1000);
        scene->times_us[i] = clock_wall_us(&scene->world->clock.clock);
        scene->ids[i] = world_publish(scene->world, i % 2 ? "a" : "b", "x");
    }
    world_trim(scene->world, "b");
    mailbox_empty(&scene->world->mail);
}

static void scene_close(struct scene *scene)
{
    selection_unref(scene->untouched);
    world_free(scene->world);
}

/* Ids in the tables below: 30 is the id of the third event, 29 the one before it, 31 the one behind
 * it; 0 is 0. Below FLOOR lie the positions of former runs. */
enum { FLOOR = 1 };

static uint64_t id_of(const struct scene *scene, unsigned code)
{
    unsigned nearest = (code + 5) / 10;
    if (code == FLOOR)
        return log_trimmed_from(scene->world->log, scene->untouched, 0);
    return code ? scene->ids[nearest] + code - 10ULL * nearest : 0;
}

static void on_found(void *owner, const struct start_found *found)
{
    struct scene *scene = owner;
    scene->found = *found;
    scene->answers++;
    assert_null(scene->search);
}

static void find(struct scene *scene, const char *terms, const struct position *position)
{
    struct selection *selection = select_terms(terms, NULL);
    scene->answers = 0;
    start_find(&scene->search, &scene->world->hub, selection, position,
               &(struct start_owner){.owner = scene, .found = on_found});
    selection_unref(selection);
}

static void a_start_is_known_or_searched_for(void **state)
{
    static const struct {
        const char *terms;
        enum position_kind kind;
        unsigned id, told, last, time; /* asked: `last` is a number, `time` an event's */
        unsigned cursor, known, claimed;
        const char *gap;
        bool searched;
    } rows[] = {
        {"a", POSITION_EARLIEST, .cursor = 0, .known = FLOOR},
        {"b", POSITION_EARLIEST, .cursor = 0, .known = 40},
        {"*", POSITION_EARLIEST, .cursor = 0, .known = 40},
        {"b", POSITION_CURSOR, .id = 0, .cursor = 0, .known = 40},
        {"b", POSITION_EARLIEST, .told = 50, .cursor = 0, .known = 50},
        {"b", POSITION_EARLIEST, .told = 20, .cursor = 0, .known = 40},
        {"b", POSITION_EARLIEST, .told = 51, .cursor = 0, .known = 40},
        {"a", POSITION_NOW, .cursor = 50},
        {"b", POSITION_NOW, .cursor = 50},
        {"a", POSITION_CURSOR, .id = 30, .cursor = 30},
        {"a", POSITION_CURSOR, .id = 50, .cursor = 50},
        {"b", POSITION_CURSOR, .id = 10, .told = 40, .cursor = 10, .known = 40},
        {"b", POSITION_CURSOR, .id = 10, .told = 51, .cursor = 10},
        {"b", POSITION_CURSOR, .id = 50, .told = 20, .cursor = 50, .known = 40, .claimed = 20,
         .gap = "trimmed"},
        {"a", POSITION_CURSOR, .id = 50, .told = 20, .cursor = 50, .known = FLOOR},
        {"a", POSITION_CURSOR, .id = 51, .cursor = 50, .known = FLOOR, .claimed = 51,
         .gap = GAP_UNKNOWN},
        {"b", POSITION_CURSOR, .id = 51, .cursor = 50, .known = 40, .claimed = 51,
         .gap = GAP_UNKNOWN},
        {"a", POSITION_UNREADABLE, .cursor = 0, .known = FLOOR, .gap = GAP_UNKNOWN},
        {"b", POSITION_UNREADABLE, .cursor = 0, .known = 40, .gap = GAP_UNKNOWN},
        {"a", POSITION_LAST, .last = 1, .cursor = 49, .known = FLOOR, .searched = true},
        {"a", POSITION_LAST, .last = 2, .cursor = 29, .known = FLOOR, .searched = true},
        {"*", POSITION_LAST, .last = 2, .cursor = 29, .known = 40, .searched = true},
        {"a", POSITION_LAST, .last = 1000, .cursor = 9, .known = FLOOR, .searched = true},
        {"none", POSITION_LAST, .last = 1, .cursor = 50, .known = FLOOR, .searched = true},
        {"a", POSITION_TIME, .time = 3, .cursor = 30, .known = FLOOR, .searched = true},
        {"b", POSITION_TIME, .time = 1, .cursor = 10, .known = 40, .searched = true},
    };
    struct scene scene;
    (void)state;
    scene_open(&scene);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct position position = {.kind = rows[i].kind,
                                    .id = id_of(&scene, rows[i].id),
                                    .told = id_of(&scene, rows[i].told),
                                    .last = rows[i].last,
                                    .time_us = scene.times_us[rows[i].time]};
        find(&scene, rows[i].terms, &position);
        assert_int_equal(scene.answers, !rows[i].searched);
        assert_int_equal(scene.search != NULL, rows[i].searched);
        world_run_jobs(scene.world);
        assert_int_equal(scene.answers, 1);
        assert_int_equal(scene.found.error, 0);
        assert_int_equal(scene.found.given_up, 0);
        assert_int_equal(scene.found.start.cursor, id_of(&scene, rows[i].cursor));
        assert_int_equal(scene.found.start.told, id_of(&scene, rows[i].known));
        assert_int_equal(scene.found.start.claimed, id_of(&scene, rows[i].claimed));
        if (!rows[i].gap)
            assert_null(scene.found.start.gap);
        else
            assert_string_equal(scene.found.start.gap, rows[i].gap);
    }
    scene_close(&scene);
}

static void a_search_that_is_dropped_is_not_answered(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    start_drop(&scene.search); /* there is none */
    find(&scene, "a", &(struct position){.kind = POSITION_LAST, .last = 1});
    assert_non_null(scene.search);
    start_drop(&scene.search);
    assert_null(scene.search);
    world_run_jobs(scene.world);
    assert_int_equal(scene.answers, 0);
    scene_close(&scene);
}

static void a_search_without_memory_is_answered_with_an_error(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    struct selection *selection = select_terms("a", NULL);
    mem_fail_nth(1);
    start_find(&scene.search, &scene.world->hub, selection,
               &(struct position){.kind = POSITION_LAST, .last = 1},
               &(struct start_owner){.owner = &scene, .found = on_found});
    mem_fail_nth(0);
    selection_unref(selection);
    assert_int_equal(scene.answers, 1);
    assert_int_equal(scene.found.error, -ENOMEM);
    scene_close(&scene);
}

/* An owner with a deadline of its own. */
static void ask_with_one_slice(void *owner, struct question *question)
{
    (void)owner;
    question->job.slices_max = 1;
    question->job.spent = true;
    question_ask(question);
}

static void a_search_that_gave_up_says_how_far_it_looked(void **state)
{
    struct scene scene;
    (void)state;
    scene_open(&scene);
    struct selection *selection = select_terms("a", NULL);
    start_find(
        &scene.search, &scene.world->hub, selection,
        &(struct position){.kind = POSITION_LAST, .last = 2},
        &(struct start_owner){.owner = &scene, .found = on_found, .ask = ask_with_one_slice});
    selection_unref(selection);
    world_run_jobs(scene.world);
    assert_int_equal(scene.answers, 1);
    assert_in_range(scene.found.given_up, 1, scene.ids[3]);
    scene_close(&scene);
}

static void a_gap_at_or_behind_a_start_is_found(void **state)
{
    static const struct {
        const char *terms;
        unsigned cursor, told, claimed;
        const char *gap;
        bool has;
        unsigned after;
    } rows[] = {
        {"a", .cursor = 10},
        {"b", .cursor = 10, .has = true, .after = 10},
        {"*", .cursor = 30, .has = true, .after = 30},
        {"b", .cursor = 10, .told = 40},
        {"b", .cursor = 10, .told = 20, .has = true, .after = 10},
        {"b", .cursor = 50},
        {"a", .cursor = 50, .claimed = 51, .gap = GAP_UNKNOWN, .has = true, .after = 51},
        {"b", .cursor = 50, .told = 40, .claimed = 20, .gap = "trimmed", .has = true, .after = 20},
    };
    struct scene scene;
    (void)state;
    scene_open(&scene);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct start start = {.cursor = id_of(&scene, rows[i].cursor),
                              .told = id_of(&scene, rows[i].told),
                              .claimed = id_of(&scene, rows[i].claimed),
                              .gap = rows[i].gap};
        struct selection *selection = select_terms(rows[i].terms, NULL);
        struct gap gap;
        assert_int_equal(start_has_gap(scene.world->log, selection, &start, &gap), rows[i].has);
        if (rows[i].has) {
            assert_int_equal(gap.after, id_of(&scene, rows[i].after));
            assert_int_equal(gap.cursor, start.cursor);
            assert_int_equal(gap.earliest, log_trimmed(scene.world->log, selection));
            assert_int_equal(gap_is_unknown(&gap),
                             rows[i].gap && !strcmp(rows[i].gap, GAP_UNKNOWN));
        }
        selection_unref(selection);
    }
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_is_known_or_searched_for),
        cmocka_unit_test(a_search_that_is_dropped_is_not_answered),
        cmocka_unit_test(a_search_without_memory_is_answered_with_an_error),
        cmocka_unit_test(a_search_that_gave_up_says_how_far_it_looked),
        cmocka_unit_test(a_gap_at_or_behind_a_start_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
