#include "base/spares.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 48, MANY = SPARES_MAX + 100 };

static void pieces_in_use_never_overlap(void **state)
{
    (void)state;
    struct spares spares = {0};
    unsigned char *pieces[MANY];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            pieces[i] = spares_take(&spares, SIZE);
            assert_non_null(pieces[i]);
            memset(pieces[i], i & 0xff, SIZE);
        }
        for (int i = 0; i < MANY; i++) {
            for (int j = 0; j < SIZE; j++)
                assert_int_equal(pieces[i][j], i & 0xff);
            spares_give(&spares, pieces[i]);
        }
    }
    spares_deinit(&spares);
}

static void no_more_than_the_bound_is_kept(void **state)
{
    (void)state;
    struct spares spares = {0};
    void *pieces[MANY];
    for (int i = 0; i < MANY; i++)
        pieces[i] = spares_take(&spares, SIZE);
    for (int i = 0; i < MANY; i++)
        spares_give(&spares, pieces[i]);
    assert_true(spares.count <= SPARES_MAX);
    spares_deinit(&spares);
    assert_int_equal(spares.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_in_use_never_overlap),
        cmocka_unit_test(no_more_than_the_bound_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
