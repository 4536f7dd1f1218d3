#include "base/slab.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { SIZE = 152, MANY = 5000 };

static void begin(struct slab *slab, char **all)
{
    slab_init(slab, SIZE);
    for (int i = 0; i < MANY; i++) {
        all[i] = slab_take(slab);
        assert_non_null(all[i]);
        memset(all[i], i % 251, SIZE);
    }
}

static void a_block_is_given_to_a_single_owner(void **state)
{
    (void)state;
    struct slab slab;
    char *all[MANY];
    begin(&slab, all);
    for (int i = 0; i < MANY; i += 2)
        slab_give(all[i]);
    for (int i = 0; i < MANY; i += 2) {
        all[i] = slab_take(&slab);
        memset(all[i], i % 251, SIZE);
    }
    for (int i = 0; i < MANY; i++) {
        char want[SIZE];
        memset(want, i % 251, SIZE);
        assert_memory_equal(all[i], want, SIZE);
        slab_give(all[i]);
    }
    slab_deinit(&slab);
}

static void room_that_came_back_is_used_before_more_is_mapped(void **state)
{
    (void)state;
    struct slab slab;
    char *all[MANY];
    begin(&slab, all);
    size_t blocks = slab.blocks;
    for (int round = 0; round < 3; round++) {
        for (int i = round; i < MANY; i += 3)
            slab_give(all[i]);
        for (int i = round; i < MANY; i += 3)
            all[i] = slab_take(&slab);
        assert_int_equal(slab.blocks, blocks);
    }
    for (int i = 0; i < MANY; i++)
        slab_give(all[i]);
    slab_deinit(&slab);
    assert_int_equal(slab.blocks, 0);
}

static void blocks_of_which_nothing_is_in_use_go_back(void **state)
{
    (void)state;
    struct slab slab;
    char *all[MANY];
    begin(&slab, all);
    for (int i = 0; i < MANY; i++)
        slab_give(all[i]);
    assert_in_range(slab.blocks, 0, 1);
    slab_give(NULL);
    slab_deinit(&slab);
}

static void structures_are_packed(void **state)
{
    (void)state;
    struct slab slab;
    char *all[MANY];
    begin(&slab, all);
    /* Under a sanitizer there are no blocks. */
    assert_in_range(slab.blocks * SLAB_BLOCK, 0, MANY * SIZE + SLAB_BLOCK + SLAB_BLOCK / 16);
    for (int i = 0; i < MANY; i++)
        slab_give(all[i]);
    slab_deinit(&slab);
}

static void structures_of_one_size_share_a_slab(void **state)
{
    (void)state;
    enum { SMALL = 24, LARGE = 40 };
    struct slabs slabs = {0};
    char *small = slabs_take(&slabs, SMALL), *other = slabs_take(&slabs, SMALL - 1);
    char *large = slabs_take(&slabs, LARGE);
    assert_non_null(small);
    assert_non_null(other);
    assert_non_null(large);
    memset(small, 1, SMALL);
    memset(other, 2, SMALL - 1);
    memset(large, 3, LARGE);
    assert_int_equal(slabs.count, 2);
    assert_int_equal(small[SMALL - 1] + other[0] + large[0], 6);
    slab_give(small);
    slab_give(other);
    slab_give(large);
    slabs_deinit(&slabs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_given_to_a_single_owner),
        cmocka_unit_test(room_that_came_back_is_used_before_more_is_mapped),
        cmocka_unit_test(blocks_of_which_nothing_is_in_use_go_back),
        cmocka_unit_test(structures_are_packed),
        cmocka_unit_test(structures_of_one_size_share_a_slab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
