#include "transport/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { HOLDS = 3, MS = 1000000, LOAD_ALL = 1024 };

struct held {
    struct paced paced;
    uint64_t begins; /* its events are behind this id */
    bool ended;
};

struct world {
    struct clock_fake clock;
    struct window window;
    struct pace pace;
    struct held held[HOLDS];
};

static bool is_trimmed(const struct paced *paced, uint64_t trimmed)
{
    return trimmed > container_of(paced, const struct held, paced)->begins;
}

static void note_end(struct paced *paced)
{
    container_of(paced, struct held, paced)->ended = true;
}

static const struct pace_ops ops = {.is_trimmed = is_trimmed, .end = note_end};

/* Holds all of them, for 10, 20 and 30 ms; their events are behind 100, 200 and 300. */
static void begin(struct world *world)
{
    *world = (struct world){.window = {.trims = 0}};
    clock_fake_init(&world->clock, 0);
    pace_init(&world->pace);
    for (unsigned i = 0; i < HOLDS; i++) {
        int64_t now_ns = clock_now_ns(&world->clock.clock);
        world->held[i].begins = UINT64_C(100) * (i + 1);
        pace_hold(&world->pace, &world->held[i].paced, now_ns + INT64_C(10) * MS * (i + 1), &ops);
    }
}

static int64_t due(struct world *world)
{
    return pace_due(&world->pace, &world->window, &world->clock.clock);
}

static unsigned ended(const struct world *world)
{
    unsigned set = 0;
    for (unsigned i = 0; i < HOLDS; i++) {
        assert_int_equal(pace_holds(&world->held[i].paced), !world->held[i].ended);
        set |= (unsigned)world->held[i].ended << i;
    }
    return set;
}

static void pages_end_when_they_are_due_and_no_sooner(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    assert_int_equal(due(&world), 10);
    clock_fake_advance(&world.clock, 9001);
    assert_int_equal(due(&world), 1); /* rounded up: at 0 the worker would ask again and again */
    assert_int_equal(ended(&world), 0);
    clock_fake_advance(&world.clock, 999);
    assert_int_equal(due(&world), 10);
    assert_int_equal(ended(&world), 1);
    clock_fake_advance(&world.clock, 20000);
    assert_int_equal(due(&world), -1);
    assert_int_equal(ended(&world), 7);
}

static void pages_of_which_something_was_deleted_end_at_once(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    world.window.trims++;
    world.window.trimmed = 300;
    assert_int_equal(due(&world), 30);
    assert_int_equal(ended(&world), 3);
}

static void a_deletion_is_looked_at_once(void **state)
{
    (void)state;
    struct world world;
    begin(&world);
    world.window.trimmed = 1000; /* of the time before the last mark */
    assert_int_equal(due(&world), 10);
    assert_int_equal(ended(&world), 0);
}

static void the_pace_grows_with_the_load_up_to_its_bound(void **state)
{
    (void)state;
    int64_t last = 0;
    assert_int_equal(pace_ms(25, 0), 0);
    assert_int_equal(pace_ms(25, LOAD_ALL / 8), 0);
    for (int64_t load = 0; load <= LOAD_ALL; load++) {
        assert_in_range(pace_ms(25, load), (uint64_t)last, 25);
        last = pace_ms(25, load);
    }
    assert_int_equal(pace_ms(25, LOAD_ALL / 4), 25);
    assert_int_equal(pace_ms(0, LOAD_ALL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_end_when_they_are_due_and_no_sooner),
        cmocka_unit_test(pages_of_which_something_was_deleted_end_at_once),
        cmocka_unit_test(a_deletion_is_looked_at_once),
        cmocka_unit_test(the_pace_grows_with_the_load_up_to_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
