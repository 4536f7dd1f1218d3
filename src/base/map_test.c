#include "base/map.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { MANY = 5000 };

struct item {
    struct map_node node;
    char key[16];
    unsigned seen;
};

static struct str key_of(const struct item *item)
{
    return str_from(item->key);
}

static bool key_is(const struct map_node *node, struct str key)
{
    /* Not container_of(), which would drop the const. */
    const void *item = (const char *)node - offsetof(struct item, node);
    return str_eq(key_of(item), key);
}

/* MANY items, each with its own key; the caller frees them. */
static struct item *make_items(void)
{
    struct item *items = mem_alloc(MANY * sizeof(*items));
    for (int i = 0; i < MANY; i++)
        snprintf(items[i].key, sizeof(items[i].key), "key-%d", i);
    return items;
}

static void add(struct map *map, struct item *item)
{
    map_add(map, &item->node, key_of(item));
}

static bool has(const struct map *map, const struct item *item)
{
    struct map_node *found = map_find(map, key_of(item));
    assert_true(!found || found == &item->node);
    return found != NULL;
}

static void an_empty_map_finds_nothing(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, key_is);
    assert_null(map_find(&map, STR("a")));
    assert_null(map_find(&map, STR_NONE));
    assert_null(map_next(&map, NULL));
    map_deinit(&map);
}

static void an_element_is_found_by_the_bytes_of_its_key(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, key_is);
    struct item item = {.key = "a/b"}, empty = {.key = ""};
    add(&map, &item);
    add(&map, &empty);
    assert_true(has(&map, &item));
    assert_ptr_equal(map_find(&map, STR_NONE), &empty.node);
    assert_null(map_find(&map, STR("a/")));
    assert_null(map_find(&map, STR("a/b\0")));
    map_deinit(&map);
}

static void growth_loses_nothing(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    size_t slots_before = map.mask + 1;
    for (int i = 0; i < MANY; i++) {
        assert_false(has(&map, &items[i]));
        add(&map, &items[i]);
        assert_int_equal(map.count, i + 1);
    }
    for (int i = 0; i < MANY; i++)
        assert_true(has(&map, &items[i]));
    assert_true(map.mask + 1 > slots_before);
    assert_true(map.mask + 1 >= MANY / 2);
    map_deinit(&map);
    free(items);
}

/* Adds items until the map grows and half the slots of the old table have moved. Returns how many
 * were added. */
static int add_until_growing(struct map *map, struct item *items, size_t least)
{
    int added = 0;
    while (map->mask < least || !map->old || map->moved < map->old_mask / 2)
        add(map, &items[added++]);
    assert_true(map->moved <= map->old_mask);
    return added;
}

static void no_addition_moves_more_than_a_few_slots(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < MANY; i++) {
        size_t moved = map.old ? map.moved : 0, left = map.old ? map.old_mask + 1 - moved : 0;
        add(&map, &items[i]);
        assert_true(map.old ? map.moved - moved <= 8 : left <= 8);
    }
    map_deinit(&map);
    free(items);
}

/* Expected additions move no slot, whether the growth began before or begins with them. */
static void an_addition_that_was_expected_moves_no_slot(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int added = 0; added + 100 < MANY;) {
        for (int i = 0; i < 100; i++)
            map_expect(&map, 100);
        size_t moved = map.moved;
        bool grows = map.old;
        for (int i = 0; i < 100; i++)
            add(&map, &items[added++]);
        assert_int_equal(map.old != NULL, grows);
        assert_int_equal(map.moved, moved);
        assert_true(map.count <= map.mask + 1);
        for (int i = 0; i < 37 && added < MANY; i++)
            add(&map, &items[added++]); /* without map_expect() */
        assert_true(map.count <= 2 * (map.mask + 1));
    }
    for (size_t i = 0; i < map.count; i++)
        assert_true(has(&map, &items[i]));
    map_deinit(&map);
    free(items);
}

static void elements_are_found_walked_and_removed_while_the_map_grows(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    int added = add_until_growing(&map, items, 1000);
    for (struct map_node *node = map_next(&map, NULL); node; node = map_next(&map, node))
        container_of(node, struct item, node)->seen++;
    for (int i = 0; i < added; i++) {
        assert_true(has(&map, &items[i]));
        assert_int_equal(items[i].seen, 1);
    }
    for (int i = 0; i < added; i += 2)
        map_remove(&map, &items[i].node);
    for (int i = 0; i < added; i++)
        assert_int_equal(has(&map, &items[i]), i % 2);
    assert_non_null(map.old);
    map_deinit(&map);
    free(items);
}

static void all_may_be_removed_while_walking_and_growing(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    int added = add_until_growing(&map, items, 1000), seen = 0;
    for (struct map_node *node = map_next(&map, NULL), *next; node; node = next, seen++) {
        next = map_next(&map, node);
        map_remove(&map, node);
    }
    assert_int_equal(seen, added);
    assert_null(map_next(&map, NULL));
    map_deinit(&map);
    free(items);
}

/* Sizes at which tables are pages from the kernel. */
static void large_tables_grow_alike(void **state)
{
    (void)state;
    enum { LARGE = 150000 };
    struct item *items = mem_alloc(LARGE * sizeof(*items));
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < LARGE; i++) {
        snprintf(items[i].key, sizeof(items[i].key), "key-%d", i);
        add(&map, &items[i]);
    }
    for (int i = 0; i < LARGE; i++)
        assert_true(has(&map, &items[i]));
    map_deinit(&map);
    free(items);
}

static void a_prefetch_uses_the_hash_of_the_look_up_and_needs_no_element(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < MANY; i++) {
        uint32_t hash = map_hash_of(&map, key_of(&items[i]));
        map_prefetch_slot(&map, hash);
        map_prefetch_node(&map, hash);
        add(&map, &items[i]);
        assert_int_equal(hash, items[i].node.hash);
        map_prefetch_node(&map, hash);
    }
    map_deinit(&map);
    free(items);
}

static void a_failed_growth_loses_no_element(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    size_t mask_before = map.mask;
    for (int i = 0; i < 200; i++) {
        mem_fail_nth(1);
        add(&map, &items[i]);
    }
    mem_fail_nth(0);
    assert_int_equal(map.mask, mask_before);
    for (int i = 0; i < 200; i++)
        assert_true(has(&map, &items[i]));
    add(&map, &items[200]);
    assert_true(map.mask > mask_before);
    for (int i = 0; i <= 200; i++)
        assert_true(has(&map, &items[i]));
    map_deinit(&map);
    free(items);
}

static void a_table_that_was_reserved_does_not_grow(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    mem_fail_nth(1);
    map_reserve(&map, MANY);
    mem_fail_nth(0);
    map_reserve(&map, MANY);
    size_t mask = map.mask;
    assert_true(mask + 1 >= MANY && mask < (size_t)MANY * 2);
    for (int i = 0; i < MANY; i++)
        add(&map, &items[i]);
    map_reserve(&map, (size_t)MANY * 4); /* too late: the map is not empty */
    assert_int_equal(map.mask, mask);
    assert_null(map.old);
    for (int i = 0; i < MANY; i++)
        assert_true(has(&map, &items[i]));
    map_deinit(&map);
    free(items);
}

static void a_removal_leaves_all_other_elements(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < MANY; i++)
        add(&map, &items[i]);
    for (int i = 0; i < MANY; i += 2)
        map_remove(&map, &items[i].node);
    assert_int_equal(map.count, MANY / 2);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(has(&map, &items[i]), i % 2);
    for (int i = 0; i < MANY; i += 2)
        add(&map, &items[i]);
    for (int i = 0; i < MANY; i++)
        assert_true(has(&map, &items[i]));
    map_deinit(&map);
    free(items);
}

static void removing_what_is_not_in_the_map_is_a_no_op(void **state)
{
    (void)state;
    struct map map;
    map_init(&map, key_is);
    struct item in = {.key = "in"}, out = {.key = "out"};
    add(&map, &in);
    map_remove(&map, &out.node);
    assert_int_equal(map.count, 1);
    map_remove(&map, &in.node);
    map_remove(&map, &in.node);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

static void walking_meets_each_element_once(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < MANY; i++)
        add(&map, &items[i]);
    for (struct map_node *node = map_next(&map, NULL); node; node = map_next(&map, node))
        container_of(node, struct item, node)->seen++;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(items[i].seen, 1);
    map_deinit(&map);
    free(items);
}

static void all_may_be_removed_while_walking(void **state)
{
    (void)state;
    struct item *items = make_items();
    struct map map;
    map_init(&map, key_is);
    for (int i = 0; i < MANY; i++)
        add(&map, &items[i]);
    size_t seen = 0;
    for (struct map_node *node = map_next(&map, NULL), *next; node; node = next, seen++) {
        next = map_next(&map, node);
        map_remove(&map, node);
    }
    assert_int_equal(seen, MANY);
    assert_int_equal(map.count, 0);
    assert_null(map_next(&map, NULL));
    map_deinit(&map);
    free(items);
}

static void two_maps_have_two_seeds(void **state)
{
    (void)state;
    struct map a, b;
    map_init(&a, key_is);
    map_init(&b, key_is);
    assert_memory_not_equal(a.seed, b.seed, sizeof(a.seed));
    map_deinit(&a);
    map_deinit(&b);
}

/* The key 00 01 … 0f over the bytes 00 01 … (len - 1), as `openssl mac` computes it with one
 * compression round and three of finalization. */
static void the_hash_is_siphash_1_3(void **state)
{
    (void)state;
    const struct {
        size_t len;
        uint64_t hash;
    } cases[] = {
        {0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},
        {8, 0x369095118d299a8e}, {15, 0xd320d86d2a519956}, {63, 0x9d199062b7bbb3a8},
    };
    const uint64_t seed[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    char bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_true(map_hash(seed, (struct str){bytes, cases[i].len}) == cases[i].hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(an_element_is_found_by_the_bytes_of_its_key),
        cmocka_unit_test(growth_loses_nothing),
        cmocka_unit_test(no_addition_moves_more_than_a_few_slots),
        cmocka_unit_test(an_addition_that_was_expected_moves_no_slot),
        cmocka_unit_test(elements_are_found_walked_and_removed_while_the_map_grows),
        cmocka_unit_test(all_may_be_removed_while_walking_and_growing),
        cmocka_unit_test(large_tables_grow_alike),
        cmocka_unit_test(a_prefetch_uses_the_hash_of_the_look_up_and_needs_no_element),
        cmocka_unit_test(a_failed_growth_loses_no_element),
        cmocka_unit_test(a_table_that_was_reserved_does_not_grow),
        cmocka_unit_test(a_removal_leaves_all_other_elements),
        cmocka_unit_test(removing_what_is_not_in_the_map_is_a_no_op),
        cmocka_unit_test(walking_meets_each_element_once),
        cmocka_unit_test(all_may_be_removed_while_walking),
        cmocka_unit_test(two_maps_have_two_seeds),
        cmocka_unit_test(the_hash_is_siphash_1_3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
