#include "log/name_tree.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MANY = 3000, NAME = 256 };

/* Names by number, and a sorted list of those that are in the index. */
struct model {
    struct name_tree names;
    char (*text)[NAME];
    size_t count;
    struct str *sorted;
    size_t sorted_count;
    unsigned reads; /* number of names that the index has read */
    bool fails;     /* whether additions may find no memory */
};

static struct str name_of(const void *owner, uint32_t number)
{
    struct model *model = (struct model *)(uintptr_t)owner;
    model->reads++;
    return str_from(model->text[number]);
}

static int setup(void **state)
{
    struct model *model = mem_alloc(sizeof(*model));
    model->text = mem_alloc((MANY + 1) * sizeof(*model->text));
    model->sorted = mem_alloc((MANY + 1) * sizeof(*model->sorted));
    name_tree_init(&model->names, name_of, model);
    *state = model;
    return 0;
}

static int teardown(void **state)
{
    struct model *model = *state;
    name_tree_deinit(&model->names);
    free(model->text);
    free(model->sorted);
    free(model);
    return 0;
}

/* The index of the first name that is not below `name`. */
static size_t find(const struct model *model, struct str name)
{
    size_t at = 0, end = model->sorted_count;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        if (str_cmp(model->sorted[middle], name) < 0)
            at = middle + 1;
        else
            end = middle;
    }
    return at;
}

/* Adds the name under the next number, unless it is in the index. */
static void add(struct model *model, const char *text)
{
    size_t at = find(model, str_from(text));
    if (at < model->sorted_count && str_eq(model->sorted[at], str_from(text)))
        return;
    uint32_t number = (uint32_t)++model->count;
    snprintf(model->text[number], NAME, "%s", text);
    struct str name = str_from(model->text[number]);
    int result = name_tree_add(&model->names, name, number);
    if (model->fails && result == -ENOMEM) {
        model->count--;
        return;
    }
    assert_int_equal(result, 0);
    memmove(&model->sorted[at + 1], &model->sorted[at],
            (model->sorted_count - at) * sizeof(*model->sorted));
    model->sorted[at] = name;
    model->sorted_count++;
}

static void take_out(struct model *model, size_t at)
{
    name_tree_remove(&model->names, model->sorted[at]);
    model->sorted_count--;
    memmove(&model->sorted[at], &model->sorted[at + 1],
            (model->sorted_count - at) * sizeof(*model->sorted));
}

/* Checks a walk from `from` against the model. */
static void check_walk(struct model *model, struct str from, bool beyond)
{
    struct name_tree_walk *walk = mem_alloc(sizeof(*walk));
    size_t at = find(model, from);
    if (beyond && at < model->sorted_count && str_eq(model->sorted[at], from))
        at++;
    for (uint32_t number = name_tree_seek(walk, &model->names, from, beyond); number;
         number = name_tree_next(walk), at++) {
        assert_true(at < model->sorted_count);
        assert_ptr_equal(model->text[number], model->sorted[at].at);
    }
    assert_int_equal(at, model->sorted_count);
    assert_int_equal(model->names.count, model->sorted_count);
    free(walk);
}

/* Few letters and few lengths, so that many names are prefixes of others. */
static void make_name(char *to, unsigned *seed)
{
    static const char letters[] = "ab/\xc3\xa4";
    size_t len = 1 + (unsigned)rand_r(seed) % 7;
    for (size_t i = 0; i < len; i++)
        to[i] = letters[(unsigned)rand_r(seed) % 5];
    to[len] = 0;
}

static void an_empty_index_has_no_first(void **state)
{
    struct model *model = *state;
    check_walk(model, STR(""), false);
    name_tree_remove(&model->names, STR("a"));
    check_walk(model, STR("a"), true);
}

static void names_come_in_the_order_of_their_bytes(void **state)
{
    struct model *model = *state;
    static const char *const names[] = {"b", "a/b", "a", "ab", "a\xc3\xa4", "a/a", "a!"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        add(model, names[i]);
    check_walk(model, STR(""), false);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        check_walk(model, str_from(names[i]), false);
        check_walk(model, str_from(names[i]), true);
    }
    check_walk(model, STR("a/"), false);
    check_walk(model, STR("a/aa"), false);
    check_walk(model, STR("zzz"), false);
    check_walk(model, (struct str){"a\0", 2}, true); /* equals "a", since names have no 0 */
}

static void an_index_agrees_with_a_sorted_list_while_names_come_and_go(void **state)
{
    struct model *model = *state;
    unsigned seed = 15;
    char name[NAME];
    for (int turn = 0; turn < MANY; turn++) {
        make_name(name, &seed);
        if (model->sorted_count && rand_r(&seed) % 3 == 0)
            take_out(model, (unsigned)rand_r(&seed) % model->sorted_count);
        else
            add(model, name);
        make_name(name, &seed);
        if (turn % 10 == 0)
            check_walk(model, str_from(name), turn % 20 == 0);
    }
    assert_true(model->sorted_count > 200);
    while (model->sorted_count) {
        take_out(model, (unsigned)rand_r(&seed) % model->sorted_count);
        if (model->sorted_count % 16 == 0)
            check_walk(model, STR(""), false);
    }
    assert_int_equal(model->names.count, 0);
}

static void the_deepest_tree_is_walked_to_its_end(void **state)
{
    struct model *model = *state;
    char name[NAME] = "";
    for (int len = 1; len < NAME; len++) {
        name[len - 1] = '\xff';
        add(model, name);
        name[len - 1] = '\x80';
        add(model, name);
    }
    check_walk(model, STR(""), false);
    check_walk(model, str_from(name), true);
    while (model->sorted_count)
        take_out(model, model->sorted_count - 1);
}

static void nodes_that_are_empty_are_freed(void **state)
{
    struct model *model = *state;
    char name[NAME];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "a/%d", i);
        add(model, name);
        if (model->sorted_count > 10)
            take_out(model, 0);
    }
    assert_int_equal(model->names.nodes, 1);
    check_walk(model, STR(""), false);
    while (model->sorted_count)
        take_out(model, 0);
    assert_int_equal(model->names.nodes, 0);
    assert_int_equal(model->names.height, 0);
}

/* Orders of names that fill nodes badly, or that make a deep tree of bits. */
enum order { RISING, FALLING, SCATTERED, BETWEEN, NESTED, BITS, ORDERS };

static void name_in_order(char *to, enum order order, unsigned i)
{
    static const char flipped[] = "cqAie!";
    char deep[NAME];
    memset(deep, 'a', sizeof(deep));
    if (order == RISING || order == FALLING)
        snprintf(to, NAME, "user/%05u", order == RISING ? i : MANY - i);
    else if (order == SCATTERED)
        snprintf(to, NAME, "%x", i * 2654435761U);
    else if (order == BETWEEN)
        snprintf(to, NAME, "%c%05u", i % 3 ? 'm' : 'a' + (char)(i % 26), i % 2 ? i : MANY - i);
    else if (order == NESTED || i >= MANY / 2)
        snprintf(to, NAME, "%.250s%u", deep, i);
    else
        snprintf(to, NAME, "%.*s%c", (int)(i / 6), deep, flipped[i % 6]);
}

/* Each addition reads one name in each level, and a few more where nodes divide. */
static void no_names_make_an_addition_slow(void **state)
{
    for (enum order order = 0; order < ORDERS; order++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        struct model *model = *state;
        char name[NAME];
        for (unsigned i = 0; i < MANY; i++) {
            size_t count = model->sorted_count;
            name_in_order(name, order, i);
            model->reads = 0;
            add(model, name);
            assert_true(model->reads <= 10 * model->names.height);
            assert_true(model->names.height <= 3);
            if (model->sorted_count > count && i % 4 == 3)
                take_out(model, (size_t)i * 7919 % model->sorted_count);
        }
        check_walk(model, STR(""), false);
        check_walk(model, str_from(name), true);
    }
}

static void nodes_are_more_than_half_full_in_every_order_of_insertion(void **state)
{
    for (enum order order = 0; order < ORDERS; order++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        struct model *model = *state;
        char name[NAME];
        for (unsigned i = 0; i < MANY; i++) {
            name_in_order(name, order, i);
            add(model, name);
        }
        assert_true((size_t)model->names.nodes * NAME_TREE_FAN * 6 / 10 <
                    model->names.count + NAME_TREE_FAN);
        for (unsigned i = 0; model->sorted_count > MANY / 16; i++)
            take_out(model, (size_t)i * 7919 % model->sorted_count);
        assert_true((size_t)model->names.nodes * NAME_TREE_FAN * 3 / 10 <
                    model->names.count + NAME_TREE_FAN);
    }
}

static void without_memory_nothing_changes(void **state)
{
    struct model *model = *state;
    char name[NAME];
    unsigned failures = 0;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%x", i * 2654435761U);
        mem_fail_nth(1);
        model->fails = true;
        size_t count = model->count;
        add(model, name);
        mem_fail_nth(0);
        model->fails = false;
        failures += model->count == count;
        add(model, name);
        assert_int_equal(model->names.count, model->sorted_count);
    }
    assert_true(failures > 20);
    check_walk(model, STR(""), false);
}

/* Removes all names, and fills the index with them again in one step. */
static void fill(struct model *model)
{
    struct name_tree_filler *filler = mem_alloc(sizeof(*filler));
    filler->names = &model->names;
    for (size_t i = 0; i < model->sorted_count; i++)
        name_tree_remove(&model->names, model->sorted[i]);
    for (size_t i = 0; i < model->sorted_count; i++) {
        const char *at = model->sorted[i].at;
        uint32_t number = (uint32_t)((size_t)(at - model->text[0]) / NAME);
        assert_int_equal(name_tree_append(filler, model->sorted[i], number), 0);
        assert_int_equal(name_tree_append(filler, model->sorted[i], 1), NAME_TREE_E_TWIN);
    }
    free(filler);
}

static void an_index_that_was_filled_at_once_is_as_any_other(void **state)
{
    struct model *model = *state;
    unsigned seed = 16;
    char name[NAME];
    for (int turn = 0; turn < MANY; turn++) {
        make_name(name, &seed);
        add(model, name);
        if (turn % 300 != 0)
            continue;
        fill(model);
        check_walk(model, STR(""), false);
        check_walk(model, str_from(name), true);
        take_out(model, (unsigned)rand_r(&seed) % model->sorted_count);
        check_walk(model, STR(""), false);
    }
}

static void the_deepest_tree_is_filled_at_once(void **state)
{
    struct model *model = *state;
    char name[NAME] = "";
    for (int len = 1; len < NAME; len++) {
        name[len - 1] = '\xff';
        add(model, name);
    }
    fill(model);
    check_walk(model, STR(""), false);
    check_walk(model, str_from(name), false);
}

static void a_filling_goes_on_when_there_is_memory_again(void **state)
{
    struct model *model = *state;
    struct name_tree_filler *filler = mem_alloc(sizeof(*filler));
    filler->names = &model->names;
    unsigned failures = 0;
    for (uint32_t i = 1; i <= MANY; i++) {
        snprintf(model->text[i], NAME, "user/%05u", i);
        mem_fail_nth(1);
        int result = name_tree_append(filler, str_from(model->text[i]), i);
        mem_fail_nth(0);
        if (!result)
            continue;
        assert_int_equal(result, -ENOMEM);
        assert_int_equal(name_tree_append(filler, str_from(model->text[i]), i), 0);
        failures++;
    }
    assert_true(failures > 20);
    assert_int_equal(model->names.count, MANY);
    free(filler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_index_has_no_first, setup, teardown),
        cmocka_unit_test_setup_teardown(names_come_in_the_order_of_their_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_index_agrees_with_a_sorted_list_while_names_come_and_go,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_deepest_tree_is_walked_to_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_that_are_empty_are_freed, setup, teardown),
        cmocka_unit_test_setup_teardown(no_names_make_an_addition_slow, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_are_more_than_half_full_in_every_order_of_insertion,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_nothing_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(an_index_that_was_filled_at_once_is_as_any_other, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_deepest_tree_is_filled_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_filling_goes_on_when_there_is_memory_again, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
