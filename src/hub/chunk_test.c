#include "hub/chunk.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool add(struct chunk *chunk, uint64_t id, const char *bytes)
{
    struct event event = {
        .id = id, .except = 7, .accepted_ns = 5, .state = id ? EVENT_APPENDED : EVENT_EPHEMERAL};
    buf_add_str(&chunk->bytes, str_from(bytes));
    return chunk_add(chunk, &event);
}

static void an_empty_chunk_reaches_to_where_it_begins(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 42);
    assert_int_equal(chunk->from, 42);
    assert_int_equal(chunk->through, 42);
    assert_int_equal(chunk->count, 0);
    assert_int_equal(chunk_after(chunk, 0), 0);
    assert_null(chunk_unref(chunk));
    assert_null(chunk_unref(NULL));
}

static void records_keep_the_boundaries_of_events(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    assert_true(add(chunk, 10, "one"));
    assert_true(add(chunk, 0, ""));
    assert_true(add(chunk, 12, "three"));
    assert_int_equal(chunk_start(chunk, 0), 0);
    assert_int_equal(chunk_start(chunk, 1), 3);
    assert_int_equal(chunk_start(chunk, 2), 3);
    assert_int_equal(chunk_start(chunk, 3), 8);
    assert_int_equal(chunk->records[0].except, 7);
    assert_int_equal(chunk->records[0].accepted_ns, 5);
    assert_int_equal(chunk->records[1].id, 0);
    chunk_unref(chunk);
}

static void the_first_record_behind_an_id_is_found(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    for (uint64_t id = 10; id < 1000; id += 10)
        assert_true(add(chunk, id, "x"));
    assert_int_equal(chunk_after(chunk, 0), 0);
    assert_int_equal(chunk_after(chunk, 9), 0);
    assert_int_equal(chunk_after(chunk, 10), 1);
    assert_int_equal(chunk_after(chunk, 15), 1);
    assert_int_equal(chunk_after(chunk, 989), 98);
    assert_int_equal(chunk_after(chunk, 990), 99);
    assert_int_equal(chunk_after(chunk, EVENT_ID_MAX), chunk->count);
    chunk_unref(chunk);
}

static void bytes_live_as_long_as_the_last_reference(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    assert_true(add(chunk, 1, "kept"));
    assert_ptr_equal(chunk_ref(chunk), chunk);
    chunk_unref(chunk);
    assert_true(str_eq(buf_str(&chunk->bytes), STR("kept")));
    chunk_unref(chunk);
}

static void a_record_that_found_no_memory_leaves_the_others_whole(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    assert_true(add(chunk, 1, "one"));
    chunk->bytes.failed = true;
    assert_false(add(chunk, 2, "two"));
    assert_int_equal(chunk->count, 1);
    assert_int_equal(chunk->bytes.len, 3);
    assert_true(add(chunk, 3, "three"));
    assert_true(str_eq(buf_str(&chunk->bytes), STR("onethree")));
    while (chunk->count < chunk->cap)
        assert_true(add(chunk, 4, "4"));
    size_t len = chunk->bytes.len;
    mem_fail_nth(1);
    assert_false(add(chunk, 5, "5"));
    mem_fail_nth(0);
    assert_int_equal(chunk->bytes.len, len);
    assert_int_equal(chunk->count, chunk->cap);
    chunk_unref(chunk);
}

static void no_chunk_without_memory(void **state)
{
    (void)state;
    mem_fail_nth(1);
    assert_null(chunk_new(NULL, 0));
    mem_fail_nth(0);
}

static void the_size_of_a_chunk_counts_bytes_and_records(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    size_t empty = chunk_size(chunk);
    assert_true(add(chunk, 1, "one"));
    assert_true(chunk_size(chunk) >= empty + 3 + sizeof(struct record));
    chunk_unref(chunk);
}

static struct piece *some_piece(struct chunk_room *room, const char *text)
{
    struct buf bytes = {0};
    buf_add_str(&bytes, str_from(text));
    return piece_new(room, 1, &bytes);
}

static bool add_piece(struct chunk *chunk, uint64_t id, struct piece *piece)
{
    struct event event = {.id = id, .state = EVENT_APPENDED};
    return chunk_add_piece(chunk, &event, piece);
}

static void a_piece_stands_between_what_lies_in_the_chunk(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_new(NULL, 0);
    struct piece *piece = some_piece(NULL, "large");
    assert_true(add_piece(chunk, 1, piece));
    assert_true(add(chunk, 2, "two"));
    assert_true(add(chunk, 3, "three"));
    assert_true(add_piece(chunk, 4, piece));
    assert_true(add_piece(chunk, 5, piece));
    piece_unref(piece);
    const char *want[] = {"large", "two", "three", "large", "large"};
    const uint32_t ends[] = {1, 3, 3, 4, 5};
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(str_eq(chunk_record(chunk, i), str_from(want[i])));
        assert_int_equal(chunk_run_end(chunk, i), ends[i]);
        assert_int_equal(chunk_piece(chunk, i) == NULL, i == 1 || i == 2);
    }
    assert_int_equal(chunk_len(chunk), 3 * 5 + 8);
    chunk_unref(chunk);
}

static void a_room_counts_a_piece_once_and_what_each_chunk_holds(void **state)
{
    (void)state;
    struct account account = {0};
    struct chunk_room room = {.account = &account};
    struct piece *piece = some_piece(&room, "large");
    size_t alone = room.bytes;
    struct chunk *chunks[10];
    assert_true(alone > 5);
    for (int i = 0; i < 10; i++) {
        chunks[i] = chunk_new(&room, 0);
        assert_true(add_piece(chunks[i], 1, piece));
        assert_true(add(chunks[i], 2, "small"));
    }
    piece_unref(piece);
    assert_int_equal(account_held(&account, ACCOUNT_CHUNKS), room.bytes);
    assert_int_equal(room.bytes - alone, 10 * (chunk_size(chunks[0]) - 5));
    for (int i = 0; i < 10; i++)
        chunk_unref(chunks[i]);
    assert_int_equal(room.bytes, 0);
    assert_int_equal(account_held(&account, ACCOUNT_CHUNKS), 0);
}

/* Otherwise slow peers would use up live_max, which bounds the room. */
static void a_piece_with_a_keeper_is_not_counted_in_the_room(void **state)
{
    (void)state;
    struct account account = {0};
    struct chunk_room room = {.account = &account};
    struct piece *piece = some_piece(&room, "large");
    int keeper;
    piece_set_keeper(piece, &keeper);
    assert_int_equal(room.bytes, 0);
    assert_int_equal(account.total, 0);
    piece_set_keeper(piece, NULL);
    assert_int_equal(room.bytes, piece_size(piece));
    assert_int_equal(account.total, room.bytes);
    piece_unref(piece);
    assert_int_equal(account.total, 0);
}

static void a_piece_takes_no_more_memory_than_it_has_bytes(void **state)
{
    (void)state;
    struct buf bytes = {0};
    for (int i = 0; i < 10000; i++)
        buf_add_lit(&bytes, "0123456789");
    struct piece *piece = piece_new(NULL, 0, &bytes);
    assert_in_range(piece_size(piece), 100000, 126500);
    piece_unref(piece);
}

static void without_memory_a_piece_is_not_added(void **state)
{
    (void)state;
    struct piece *piece = some_piece(NULL, "large");
    struct buf failed = {.failed = true};
    for (unsigned long nth = 1; nth <= 2; nth++) {
        struct chunk *chunk = chunk_new(NULL, 0);
        mem_fail_nth(nth);
        assert_false(add_piece(chunk, 1, piece));
        mem_fail_nth(0);
        assert_int_equal(chunk->count, 0);
        assert_int_equal(piece->refs, 1);
        chunk_unref(chunk);
    }
    assert_null(piece_new(NULL, 0, &failed));
    mem_fail_nth(1);
    struct buf bytes = {0};
    assert_null(piece_new(NULL, 0, &bytes));
    mem_fail_nth(0);
    assert_null(piece_unref(NULL));
    piece_unref(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_chunk_reaches_to_where_it_begins),
        cmocka_unit_test(records_keep_the_boundaries_of_events),
        cmocka_unit_test(the_first_record_behind_an_id_is_found),
        cmocka_unit_test(bytes_live_as_long_as_the_last_reference),
        cmocka_unit_test(a_record_that_found_no_memory_leaves_the_others_whole),
        cmocka_unit_test(no_chunk_without_memory),
        cmocka_unit_test(the_size_of_a_chunk_counts_bytes_and_records),
        cmocka_unit_test(a_piece_stands_between_what_lies_in_the_chunk),
        cmocka_unit_test(a_room_counts_a_piece_once_and_what_each_chunk_holds),
        cmocka_unit_test(a_piece_with_a_keeper_is_not_counted_in_the_room),
        cmocka_unit_test(a_piece_takes_no_more_memory_than_it_has_bytes),
        cmocka_unit_test(without_memory_a_piece_is_not_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
