#include "transport/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PLACES = 7, BYTES = 20000 };

struct fixture {
    struct account account;
    struct holdings holdings;
    struct chunk_room room;
    struct piece *piece; /* the test holds its only reference */
    struct rest_place places[PLACES];
    int requests[PLACES]; /* for their addresses */
};

static struct request_stream *request_of(struct fixture *fixture, int i)
{
    return (struct request_stream *)(void *)&fixture->requests[i];
}

static int begin(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    struct buf bytes = {0};
    holdings_init(&fixture->holdings, &fixture->account);
    fixture->room.account = &fixture->account;
    memset(buf_reserve(&bytes, BYTES), 'x', BYTES);
    bytes.len = BYTES;
    fixture->piece = piece_new(&fixture->room, 1, &bytes);
    assert_non_null(fixture->piece);
    *state = fixture;
    return 0;
}

static int end(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->account.total, 0);
    assert_int_equal(fixture->room.bytes, 0);
    free(fixture);
    return 0;
}

static bool keep(struct fixture *fixture, int i)
{
    return rest_keep(&fixture->holdings, &fixture->places[i], request_of(fixture, i),
                     fixture->piece, 1000);
}

static void keep_all(struct fixture *fixture)
{
    for (int i = 0; i < PLACES; i++)
        assert_true(keep(fixture, i));
    fixture->piece = piece_unref(fixture->piece);
}

static uint64_t rests(const struct fixture *fixture)
{
    return account_held(&fixture->account, ACCOUNT_RESTS);
}

static void a_piece_that_many_connections_lack_is_held_once(void **state)
{
    struct fixture *fixture = *state;
    size_t size = piece_size(fixture->piece) + sizeof(struct rest);
    keep_all(fixture);
    for (int i = 0; i < PLACES; i++) {
        int at = (i * 3 + 2) % PLACES; /* in an order of no order */
        assert_int_equal(rests(fixture), size);
        assert_int_equal(fixture->account.total, size);
        assert_int_equal(rest_unsent(&fixture->places[at]).len, BYTES - 1000);
        rest_drop(&fixture->places[at]);
        rest_drop(&fixture->places[at]);
        assert_int_equal(rest_unsent(&fixture->places[at]).len, 0);
    }
    assert_int_equal(rests(fixture), 0);
}

static void a_connection_that_has_sent_all_of_a_piece_lets_go_of_it(void **state)
{
    struct fixture *fixture = *state;
    keep_all(fixture);
    for (int i = 0; i < PLACES; i++) {
        rest_advance(&fixture->places[i], 5000);
        assert_int_equal(rest_unsent(&fixture->places[i]).len, BYTES - 6000);
        rest_advance(&fixture->places[i], BYTES - 6000);
        assert_null(fixture->places[i].rest);
    }
    assert_int_equal(rests(fixture), 0);
}

static void the_holding_of_a_piece_names_a_connection_that_lacks_it(void **state)
{
    struct fixture *fixture = *state;
    keep_all(fixture);
    for (int i = 0; i < PLACES; i++) {
        const struct holding *holding = holdings_largest(&fixture->holdings, ACCOUNT_RESTS);
        assert_ptr_equal(holding->request, request_of(fixture, i));
        assert_int_equal(holding->sharers, PLACES - i);
        rest_drop(&fixture->places[i]);
    }
}

static void a_piece_outside_of_all_rests_is_the_rooms_again(void **state)
{
    struct fixture *fixture = *state;
    size_t size = fixture->room.bytes;
    assert_true(keep(fixture, 0));
    assert_int_equal(fixture->room.bytes, 0);
    rest_drop(&fixture->places[0]);
    assert_int_equal(fixture->room.bytes, size);
    piece_unref(fixture->piece);
}

static void without_memory_nothing_is_kept(void **state)
{
    struct fixture *fixture = *state;
    mem_fail_nth(1);
    assert_false(keep(fixture, 0));
    mem_fail_nth(0);
    assert_null(fixture->places[0].rest);
    assert_int_equal(rests(fixture), 0);
    piece_unref(fixture->piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_piece_that_many_connections_lack_is_held_once, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_connection_that_has_sent_all_of_a_piece_lets_go_of_it,
                                        begin, end),
        cmocka_unit_test_setup_teardown(the_holding_of_a_piece_names_a_connection_that_lacks_it,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_piece_outside_of_all_rests_is_the_rooms_again, begin,
                                        end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_kept, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
