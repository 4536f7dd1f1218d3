#include "access/token_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW_US (INT64_C(1800000000) * 1000000)
#define END_US (NOW_US + INT64_C(60) * 1000000)

enum { ROOM = 1 << 20 };

static struct caller *caller_until(int64_t expires_us, const char *subject)
{
    struct caller *caller = caller_new(&(struct caller_facts){
        .kind = CALLER_TOKEN, .subject = str_from(subject), .expires_us = expires_us});
    assert_non_null(caller);
    return caller;
}

static struct token_digest digest_of(unsigned number)
{
    char text[32];
    snprintf(text, sizeof(text), "token %u", number);
    return token_digest(str_from(text));
}

static void keep(struct token_cache *cache, unsigned number, int64_t expires_us)
{
    struct token_digest digest = digest_of(number);
    struct caller *caller = caller_until(expires_us, "alice");
    token_cache_put(cache, &digest, 1, NOW_US, caller);
    caller_unref(caller);
}

static bool is_found(struct token_cache *cache, unsigned number, uint64_t generation,
                     int64_t now_us)
{
    struct token_digest digest = digest_of(number);
    struct caller *caller = token_cache_find(cache, &digest, generation, now_us);
    bool found = caller != NULL;
    if (found)
        assert_true(str_eq(caller->facts.subject, STR("alice")));
    caller_unref(caller);
    return found;
}

static void a_token_is_found_by_its_whole_text(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    keep(cache, 1, END_US);
    assert_true(is_found(cache, 1, 1, NOW_US));
    assert_false(is_found(cache, 2, 1, NOW_US));
    struct token_cache_stats stats = token_cache_stats(cache);
    assert_int_equal(stats.found, 1);
    assert_int_equal(stats.missed, 1);
    assert_int_equal(stats.tokens, 1);
    assert_true(stats.bytes > sizeof(struct caller));
    token_cache_free(cache);
}

static void an_entry_ends_with_its_token(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    keep(cache, 1, END_US);
    assert_true(is_found(cache, 1, 1, END_US - 1));
    assert_false(is_found(cache, 1, 1, END_US));
    assert_int_equal(token_cache_stats(cache).tokens, 0);
    token_cache_free(cache);
}

/* Before that time the token was perhaps not valid yet. */
static void an_entry_does_not_count_before_its_token_was_judged(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    keep(cache, 1, END_US);
    assert_false(is_found(cache, 1, 1, NOW_US - 1));
    token_cache_free(cache);
}

static void an_entry_ends_with_the_keys_that_verified_it(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    keep(cache, 1, END_US);
    assert_false(is_found(cache, 1, 2, NOW_US));
    assert_int_equal(token_cache_stats(cache).bytes, 0);
    token_cache_free(cache);
}

static void a_caller_without_an_end_is_not_kept(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    keep(cache, 1, 0);
    assert_int_equal(token_cache_stats(cache).tokens, 0);
    token_cache_free(cache);
}

/* However many good tokens somebody has, the memory is bounded, and tokens in use stay. */
static void the_tokens_unused_for_longest_give_way(void **state)
{
    enum { MANY = 10000, FEW_BYTES = 64 << 10 };
    (void)state;
    struct token_cache *cache = token_cache_new(FEW_BYTES);
    for (unsigned i = 0; i < MANY; i++) {
        keep(cache, i, END_US);
        assert_true(is_found(cache, 0, 1, NOW_US));
    }
    struct token_cache_stats stats = token_cache_stats(cache);
    assert_true(stats.bytes <= FEW_BYTES);
    assert_true(stats.tokens > 10 && stats.tokens < 1000);
    assert_false(is_found(cache, 1, 1, NOW_US));
    assert_true(is_found(cache, MANY - 1, 1, NOW_US));
    token_cache_free(cache);
}

static void a_token_with_very_many_grants_displaces_no_others(void **state)
{
    static struct str patterns[GRANT_PATTERNS_MAX];
    (void)state;
    for (size_t i = 0; i < GRANT_PATTERNS_MAX; i++)
        patterns[i] = STR("a/pattern/that/takes/some/room");
    const struct grant grant = {patterns, GRANT_PATTERNS_MAX, action_bit(ACTION_READ)};
    struct token_cache *cache = token_cache_new(32 << 10); /* 2 KiB a part */
    struct caller *large = caller_new(&(struct caller_facts){
        .kind = CALLER_TOKEN, .expires_us = END_US, .grants = &grant, .grants_count = 1});
    assert_true(caller_size(&large->facts) > 2 << 10);
    keep(cache, 1, END_US);
    for (unsigned i = 100; i < 200; i++) {
        struct token_digest digest = digest_of(i);
        token_cache_put(cache, &digest, 1, NOW_US, large);
    }
    assert_true(is_found(cache, 1, 1, NOW_US));
    assert_int_equal(token_cache_stats(cache).tokens, 1);
    caller_unref(large);
    token_cache_free(cache);
}

static void a_smaller_limit_takes_effect_at_once(void **state)
{
    (void)state;
    struct token_cache *cache = token_cache_new(ROOM);
    for (unsigned i = 0; i < 100; i++)
        keep(cache, i, END_US);
    token_cache_limit(cache, 0);
    assert_int_equal(token_cache_stats(cache).tokens, 0);
    assert_false(token_cache_is_on(cache));
    keep(cache, 1, END_US);
    assert_int_equal(token_cache_stats(cache).tokens, 0);
    token_cache_limit(cache, ROOM);
    keep(cache, 1, END_US);
    assert_true(token_cache_is_on(cache) && is_found(cache, 1, 1, NOW_US));
    token_cache_free(cache);
}

static void *use(void *context)
{
    struct token_cache *cache = context;
    for (unsigned round = 0; round < 50; round++)
        for (unsigned i = 0; i < 100; i++)
            if (!is_found(cache, i, 1, NOW_US))
                keep(cache, i, END_US);
    return NULL;
}

static void threads_share_a_cache(void **state)
{
    enum { THREADS = 4 };
    (void)state;
    pthread_t threads[THREADS];
    struct token_cache *cache = token_cache_new(16 << 10);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, cache), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct token_cache_stats stats = token_cache_stats(cache);
    assert_int_equal(stats.found + stats.missed, THREADS * 50 * 100);
    assert_true(stats.bytes <= 16 << 10);
    token_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_found_by_its_whole_text),
        cmocka_unit_test(an_entry_ends_with_its_token),
        cmocka_unit_test(an_entry_does_not_count_before_its_token_was_judged),
        cmocka_unit_test(an_entry_ends_with_the_keys_that_verified_it),
        cmocka_unit_test(a_caller_without_an_end_is_not_kept),
        cmocka_unit_test(the_tokens_unused_for_longest_give_way),
        cmocka_unit_test(a_token_with_very_many_grants_displaces_no_others),
        cmocka_unit_test(a_smaller_limit_takes_effect_at_once),
        cmocka_unit_test(threads_share_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
