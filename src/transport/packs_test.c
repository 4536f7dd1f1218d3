#include "transport/packs.h"

#include "base/mem.h"
#include "http/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct packs packs;
static struct deflater deflater;
static struct chunk_room room;

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    packs_clear(&packs);
    deflater_deinit(&deflater);
    assert_int_equal(room.bytes, 0);
    return 0;
}

/* A chunk of so many records of about `len` bytes each. */
static struct chunk *chunk_of(uint32_t count, size_t len)
{
    struct chunk *chunk = chunk_new(&room, 0);
    for (uint32_t i = 0; i < count; i++) {
        struct event event = {.id = i + 1, .state = EVENT_APPENDED};
        while (chunk->bytes.len - chunk_start(chunk, i) < len)
            buf_addf(&chunk->bytes, "{\"record\":%u,\"at\":%zu}\n", i, chunk->bytes.len);
        assert_true(chunk_add(chunk, &event));
    }
    return chunk;
}

static struct taken run_of(struct chunk *chunk, uint32_t first, uint32_t end)
{
    uint32_t start = chunk_start(chunk, first);
    return (struct taken){
        .bytes = {chunk->bytes.at + start, chunk->records[end - 1].end - start},
        .chunk = chunk,
        .first = first,
        .end = end,
    };
}

static struct pack *get(const struct taken *taken, bool chunked)
{
    return packs_get(&packs, &room, &deflater, taken, chunked);
}

/* Whether a stream of this pack alone is the text. */
static void assert_text(const struct pack *pack, struct str want)
{
    struct buf stream = {0}, out = {0};
    struct gzip_sum sum = {0};
    struct http_gzip gzip;
    gzip_add_header(&stream);
    buf_add_str(&stream, buf_str(&pack->piece->bytes));
    gzip_sum_part(&sum, &pack->part);
    gzip_add_end(&stream, &sum);
    assert_int_equal(http_gzip_begin(&gzip), 0);
    while (http_gzip_some(&gzip, buf_str(&stream), 1 << 20, 1 << 20, &out) == -EAGAIN)
        ;
    assert_true(str_eq(buf_str(&out), want));
    http_gzip_end(&gzip);
    buf_free(&stream);
    buf_free(&out);
}

static void a_run_is_compressed_once_for_all(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_of(10, 200);
    struct taken taken = run_of(chunk, 0, 10);
    struct pack *first = get(&taken, false), *second = get(&taken, false);
    assert_ptr_equal(first, second);
    assert_true(first->piece->bytes.len < taken.bytes.len / 2);
    assert_text(first, taken.bytes);
    pack_unref(first);
    pack_unref(second);
    chunk_unref(chunk);
}

static void other_runs_and_framings_are_packs_of_their_own(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_of(10, 200);
    for (uint32_t first = 0; first < 10; first++)
        for (uint32_t end = first + 1; end <= 10; end++) {
            struct taken taken = run_of(chunk, first, end);
            struct pack *plain = get(&taken, false), *chunked = get(&taken, true);
            assert_ptr_not_equal(plain, chunked);
            assert_text(plain, taken.bytes);
            assert_true(chunked->piece->bytes.len > plain->piece->bytes.len);
            pack_unref(plain);
            pack_unref(chunked);
        }
    chunk_unref(chunk);
}

static void a_long_run_is_cut_between_records(void **state)
{
    (void)state;
    static const size_t lens[] = {100, 5000, PACK_BYTES - 100, PACK_BYTES + 100};
    for (int i = 0; i < 4; i++) {
        uint32_t count = (uint32_t)((size_t)3 * PACK_BYTES / lens[i] + 2), first = 0;
        struct chunk *chunk = chunk_of(count, lens[i]);
        while (first < count) {
            struct taken taken = run_of(chunk, first, count);
            struct pack *pack = get(&taken, false);
            struct taken cut = run_of(chunk, first, pack->end);
            assert_true(pack->end > first);
            assert_true(pack->part.len <= PACK_BYTES || pack->end == first + 1);
            if (pack->end < count)
                assert_true(run_of(chunk, first, pack->end + 1).bytes.len > PACK_BYTES);
            assert_int_equal(pack->part.len, cut.bytes.len);
            assert_text(pack, cut.bytes);
            first = pack->end;
            pack_unref(pack);
        }
        chunk_unref(chunk);
    }
}

static void a_pack_outlives_its_chunk_and_the_table(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_of(3, 200);
    struct taken taken = run_of(chunk, 0, 3);
    struct pack *pack = get(&taken, false);
    size_t held = room.bytes;
    chunk_unref(chunk);
    packs_clear(&packs);
    assert_int_equal(room.bytes, held);
    assert_text(pack, taken.bytes);
    pack_unref(pack);
}

static void without_memory_there_is_no_pack(void **state)
{
    (void)state;
    struct chunk *chunk = chunk_of(3, 200);
    struct taken taken = run_of(chunk, 0, 3);
    struct pack *pack = NULL;
    for (unsigned long nth = 1; !pack; nth++) {
        mem_fail_nth(nth);
        pack = get(&taken, true);
        mem_fail_nth(0);
        assert_true(nth < 20);
    }
    pack_unref(pack);
    chunk_unref(chunk);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(a_run_is_compressed_once_for_all),
        TEST(other_runs_and_framings_are_packs_of_their_own),
        TEST(a_long_run_is_cut_between_records),
        TEST(a_pack_outlives_its_chunk_and_the_table),
        TEST(without_memory_there_is_no_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
