#include "log/name_sort.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

enum { MANY = 3000, NAME = 256 };

static struct str name_of(const void *owner, uint32_t number)
{
    const char(*names)[NAME] = owner;
    return str_from(names[number]);
}

static void check_sorted(const char (*names)[NAME], size_t count)
{
    struct name_sort_entry *entries = mem_alloc((count + 1) * sizeof(*entries));
    bool *seen = mem_alloc(count + 1);
    for (size_t i = 0; i < count; i++)
        entries[i].number = (uint32_t)i;
    name_sort(entries, count, name_of, names);
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[entries[i].number]);
        seen[entries[i].number] = true;
        if (!i)
            continue;
        uint32_t before = entries[i - 1].number, number = entries[i].number;
        int order = str_cmp(name_of(names, before), name_of(names, number));
        assert_true(order < 0 || (order == 0 && before < number));
    }
    free(seen);
    free(entries);
}

static void an_empty_list_and_a_single_name_are_sorted(void **state)
{
    (void)state;
    static const char names[1][NAME] = {"a"};
    check_sorted(names, 0);
    check_sorted(names, 1);
}

static void words_that_end_or_go_on_are_told_apart(void **state)
{
    (void)state;
    static const char names[][NAME] = {"abcdefgh",
                                       "abcdefg",
                                       "abcdefghi",
                                       "abcdefgh/",
                                       "abcdefgh",
                                       "\xff",
                                       "abcdefg\xff",
                                       "a",
                                       "abcdefgh\x01",
                                       "a",
                                       "abcdefghijklmnop",
                                       "abcdefghijklmnopq",
                                       "a!"};
    check_sorted(names, sizeof(names) / sizeof(*names));
}

/* Few letters and few lengths, so that many names are prefixes of others, behind common beginnings
 * of any length. */
static void random_names_come_in_the_order_of_their_bytes(void **state)
{
    (void)state;
    static const char letters[] = "ab/\xc3\xa4";
    char(*names)[NAME] = mem_alloc(MANY * sizeof(*names));
    unsigned seed = 24;
    for (int i = 0; i < MANY; i++) {
        size_t common = (size_t)(rand_r(&seed) % 4) * 61;
        size_t len = common + 1 + (unsigned)rand_r(&seed) % 12;
        memset(names[i], 'c', common);
        for (size_t k = common; k < len; k++)
            names[i][k] = letters[(unsigned)rand_r(&seed) % 5];
    }
    check_sorted((const char(*)[NAME])names, MANY);
    free(names);
}

static void the_longest_names_are_sorted_by_their_last_byte(void **state)
{
    (void)state;
    static char names[3][NAME];
    for (int i = 0; i < 3; i++) {
        memset(names[i], 'x', NAME - 1);
        names[i][NAME - 2] = (char)('c' - i % 2);
    }
    check_sorted((const char(*)[NAME])names, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_and_a_single_name_are_sorted),
        cmocka_unit_test(words_that_end_or_go_on_are_told_apart),
        cmocka_unit_test(random_names_come_in_the_order_of_their_bytes),
        cmocka_unit_test(the_longest_names_are_sorted_by_their_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
