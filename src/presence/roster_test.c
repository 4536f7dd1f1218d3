#include "presence/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NAMES = 3000, STEPS = 40000 };

static struct presence_who who_of(char room[16], unsigned number)
{
    int len = snprintf(room, 16, "n%u", number / 2);
    return (struct presence_who){{room, (size_t)len}, number % 2};
}

static void check(const struct roster *roster, struct person *const *there, unsigned count)
{
    struct roster_place place = roster_after(roster, (struct presence_who){STR_NONE, false});
    const struct person *before = NULL;
    unsigned seen = 0;
    for (struct person *person; (person = roster_next(&place)); before = person, seen++)
        if (before)
            assert_true(presence_who_cmp(person_who(before), person_who(person)) < 0);
    assert_int_equal(seen, count);
    assert_int_equal(roster->count, count);
    for (unsigned i = 0; i < NAMES; i++) {
        char room[16];
        assert_ptr_equal(roster_find(roster, who_of(room, i)), there[i]);
    }
}

static void a_roster_stays_sorted_whatever_comes_and_goes(void **state)
{
    static struct person *there[NAMES];
    struct roster roster = {.leaves = NULL};
    unsigned count = 0, seed = 1;
    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        seed = seed * 1103515245 + 12345;
        unsigned number = step < NAMES ? step : (seed >> 8) % NAMES;
        bool grows = step < STEPS / 2 || (seed >> 4) % 4 == 0;
        char room[16];
        if (!there[number] && grows) {
            there[number] = person_new(NULL, who_of(room, number));
            assert_true(roster_add(&roster, there[number]));
            count++;
        } else if (there[number] && (!grows || number % 3 == 0)) {
            roster_remove(&roster, there[number]);
            member_free(there[number]);
            there[number] = NULL;
            count--;
        }
        if (step % 4000 == 0)
            check(&roster, there, count);
    }
    check(&roster, there, count);
    for (unsigned i = 0; i < NAMES; i++)
        if (there[i]) {
            roster_remove(&roster, there[i]);
            member_free(there[i]);
        }
    assert_int_equal(roster.count, 0);
    assert_null(roster.leaves);
}

static void a_page_begins_behind_a_name_that_has_gone(void **state)
{
    struct roster roster = {.leaves = NULL};
    struct person *persons[3];
    const struct str names[] = {STR("a"), STR("c"), STR("e")};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        persons[i] = person_new(NULL, (struct presence_who){names[i], false});
        assert_true(roster_add(&roster, persons[i]));
    }
    struct roster_place place = roster_after(&roster, (struct presence_who){STR("b"), true});
    assert_ptr_equal(roster_next(&place), persons[1]);
    place = roster_after(&roster, (struct presence_who){STR("c"), false});
    assert_ptr_equal(roster_next(&place), persons[2]);
    assert_null(roster_next(&place));
    place = roster_after(&roster, (struct presence_who){STR("e"), false});
    assert_null(roster_next(&place));
    for (unsigned i = 0; i < 3; i++)
        member_free(persons[i]);
    roster_deinit(&roster);
}

static void a_lack_of_memory_leaves_the_roster_as_it_was(void **state)
{
    struct roster roster = {.leaves = NULL};
    struct person *persons[600];
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        char room[16];
        persons[i] = person_new(NULL, who_of(room, i));
        mem_fail_nth(1);
        if (!roster_add(&roster, persons[i]))
            assert_null(roster_find(&roster, who_of(room, i)));
        else
            count++;
        mem_fail_nth(0);
        if (!roster_find(&roster, who_of(room, i))) {
            assert_true(roster_add(&roster, persons[i]));
            count++;
        }
        assert_int_equal(roster.count, count);
    }
    roster_deinit(&roster);
    for (unsigned i = 0; i < 600; i++)
        member_free(persons[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_roster_stays_sorted_whatever_comes_and_goes),
        cmocka_unit_test(a_page_begins_behind_a_name_that_has_gone),
        cmocka_unit_test(a_lack_of_memory_leaves_the_roster_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
