#include "transport/answer_cache.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct page_key some_key(void)
{
    return (struct page_key){.unix_seconds = 1795459080,
                             .cursor = 7,
                             .wait_s = 25,
                             .keep_alive = true,
                             .origin = STR("http://localhost"),
                             .channel = STR("a/b"),
                             .kept = STR("&limit=5"),
                             .events = STR("{\"data\":1},")};
}

static bool knows(const struct answer_cache *cache, struct page_key key)
{
    return answer_cache_find(cache, &key).at != NULL;
}

static void an_equal_key_finds_the_answer(void **state)
{
    (void)state;
    struct answer_cache cache = {0};
    struct page_key key = some_key();
    assert_false(knows(&cache, key));
    answer_cache_keep(&cache, &key, STR("HTTP/1.1 200 OK"));
    assert_true(str_eq(answer_cache_find(&cache, &key), STR("HTTP/1.1 200 OK")));
    answer_cache_deinit(&cache);
}

static void the_key_is_copied(void **state)
{
    (void)state;
    struct answer_cache cache = {0};
    char channel[] = "a/b";
    struct page_key key = some_key();
    key.channel = (struct str){channel, 3};
    answer_cache_keep(&cache, &key, STR("x"));
    channel[0] = 'z';
    assert_true(knows(&cache, some_key()));
    answer_cache_deinit(&cache);
}

static void a_key_that_differs_in_anything_finds_nothing(void **state)
{
    (void)state;
    struct answer_cache cache = {0};
    struct page_key key = some_key(), other;
    answer_cache_keep(&cache, &key, STR("x"));
#define DIFFERENT(member, value)                                                                   \
    other = key;                                                                                   \
    other.member = value;                                                                          \
    assert_false(knows(&cache, other))
    DIFFERENT(unix_seconds, 1795459081);
    DIFFERENT(cursor, 8);
    DIFFERENT(told, 9);
    DIFFERENT(first, 1);
    DIFFERENT(wait_s, 24);
    DIFFERENT(prefer_wait, true);
    DIFFERENT(more, true);
    DIFFERENT(is_head, true);
    DIFFERENT(waited, true);
    DIFFERENT(keep_alive, false);
    DIFFERENT(http10, true);
    DIFFERENT(gzip, HTTP_GZIP_YES);
    DIFFERENT(origin, STR_NONE);
    DIFFERENT(channel, STR("a"));
    DIFFERENT(kept, STR("&limit=6"));
    DIFFERENT(events, STR("{\"data\":2},"));
#undef DIFFERENT
    assert_true(knows(&cache, key));
    answer_cache_deinit(&cache);
}

static void the_oldest_makes_room(void **state)
{
    (void)state;
    struct answer_cache cache = {0};
    struct page_key key = some_key();
    for (key.cursor = 1; key.cursor <= ANSWER_CACHE_SIZE + 1; key.cursor++)
        answer_cache_keep(&cache, &key, STR("x"));
    key.cursor = 1;
    assert_false(knows(&cache, key));
    for (key.cursor = 2; key.cursor <= ANSWER_CACHE_SIZE + 1; key.cursor++)
        assert_true(knows(&cache, key));
    answer_cache_deinit(&cache);
}

static void a_long_answer_is_not_kept(void **state)
{
    (void)state;
    static char long_[ANSWER_CACHE_BYTES];
    struct answer_cache cache = {0};
    struct page_key key = some_key();
    answer_cache_keep(&cache, &key, (struct str){long_, sizeof(long_)});
    assert_false(knows(&cache, key));
    answer_cache_deinit(&cache);
}

static void an_answer_for_which_there_is_no_memory_is_not_kept(void **state)
{
    (void)state;
    struct answer_cache cache = {0};
    struct page_key key = some_key();
    mem_fail_nth(1);
    answer_cache_keep(&cache, &key, STR("x"));
    mem_fail_nth(0);
    assert_false(knows(&cache, key));
    answer_cache_keep(&cache, &key, STR_NONE); /* there was none for the answer itself */
    assert_false(knows(&cache, key));
    answer_cache_deinit(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_key_finds_the_answer),
        cmocka_unit_test(the_key_is_copied),
        cmocka_unit_test(a_key_that_differs_in_anything_finds_nothing),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(a_long_answer_is_not_kept),
        cmocka_unit_test(an_answer_for_which_there_is_no_memory_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
