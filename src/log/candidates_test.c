#include "log/candidates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

enum { MAX = 20000 };

static int setup(void **state)
{
    struct channels *channels = mem_alloc(sizeof(*channels));
    static const struct namespace_config configs[] = {{.prefix = STR("x")}};
    channels_init(channels, configs, 1, MAX);
    *state = channels;
    return 0;
}

static int teardown(void **state)
{
    channels_deinit(*state);
    free(*state);
    return 0;
}

static struct channel *add(struct channels *channels, const char *name)
{
    static const struct maker nobody;
    struct channel *channel = channels_find(channels, str_from(name));
    assert_int_equal(channels_make(channels, str_from(name), &nobody, &channel), 0);
    channels_note_used(channels, channel);
    return channel;
}

/* Adds `count` channels "PREFIX/0000" and on. */
static void add_many(struct channels *channels, const char *prefix, int count)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s/%05d", prefix, i);
        add(channels, name);
    }
}

/* A hundred patterns that take as many steps as possible, and matching channels. */
enum { COSTLY = 100 };

static struct selection *select_costly(void)
{
    struct buf texts[COSTLY] = {0};
    struct str terms[COSTLY];
    size_t count = 0;
    for (unsigned stars = 0; count < COSTLY; stars++) {
        if (__builtin_popcount(stars) != PATTERN_STARS_MAX)
            continue;
        buf_add_str(&texts[count], STR("a"));
        for (unsigned i = 0; i < PATTERN_SEGMENTS_MAX - 2; i++)
            buf_add_str(&texts[count], stars >> i & 1 ? STR("/*") : STR("/a"));
        buf_add_str(&texts[count], STR("/b"));
        terms[count] = buf_str(&texts[count]);
        assert_true(pattern_valid(terms[count], NULL));
        count++;
    }
    struct selection *selection = selection_new(terms, COSTLY, NULL, 0, NULL);
    for (size_t i = 0; i < COSTLY; i++)
        buf_free(&texts[i]);
    return selection;
}

static void add_costly(struct channels *channels, int count)
{
    add_many(channels, "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", count);
}

static struct selection *select_terms(const char *const *terms, size_t count)
{
    struct str strs[SELECTION_TERMS_MAX];
    for (size_t i = 0; i < count; i++)
        strs[i] = str_from(terms[i]);
    struct selection *selection = selection_new(strs, count, NULL, 0, NULL);
    assert_non_null(selection);
    return selection;
}

/* ---- candidates ------------------------------------------------------------------------------ */

/* How often each channel comes; returns the slices that it took. */
static unsigned gather(struct channels *channels, const char *const *terms, size_t count,
                       unsigned *ret_total)
{
    struct selection *selection = select_terms(terms, count);
    struct candidates candidates;
    unsigned slices = 0;
    *ret_total = 0;
    candidates_by_terms(&candidates, channels, selection);
    for (bool more = true; more; slices++) {
        more = candidates_next(&candidates);
        assert_true(candidates.count <= CANDIDATES_SLICE);
        *ret_total += (unsigned)candidates.count;
        for (size_t i = 0; i < candidates.count; i++)
            assert_ptr_equal(channels_find(channels, candidate_name(&candidates.at[i])),
                             channels_by_number(channels, candidates.at[i].number));
    }
    selection_unref(selection);
    return slices;
}

static void only_what_is_under_the_beginning_of_a_pattern_is_looked_at(void **state)
{
    struct channels *channels = *state;
    unsigned total;
    add_many(channels, "user/1", 3);
    add_many(channels, "user/10", 4);
    add_many(channels, "user/2", 1000);
    add(channels, "user/1");
    const char *deep[] = {"user/1/**"}, *name[] = {"user/1"}, *wild[] = {"user/*/00001"};
    assert_int_equal(gather(channels, deep, 1, &total), 1);
    assert_int_equal(total, 3);
    gather(channels, name, 1, &total);
    assert_int_equal(total, 1);
    assert_int_equal(gather(channels, wild, 1, &total), 1008 / CANDIDATES_SLICE + 1);
    assert_int_equal(total, 1008);
}

static void patterns_that_overlap_bring_each_channel_once(void **state)
{
    struct channels *channels = *state;
    unsigned total;
    add_many(channels, "a/b", 200);
    add_many(channels, "a/!", 200);
    const char *terms[] = {"a/b/*", "a/*/00001", "a/**", "a/!/*", "a/b/**"};
    gather(channels, terms, 5, &total);
    assert_int_equal(total, 400);
}

static void a_walk_goes_on_though_channels_come_and_go(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*"};
    struct selection *selection = select_terms(terms, 1);
    struct candidates candidates;
    add_many(channels, "a", 300);
    candidates_by_terms(&candidates, channels, selection);
    assert_true(candidates_next(&candidates));
    struct str last = candidate_name(&candidates.at[candidates.count - 1]);
    channels_remove(channels, channels_find(channels, last));
    add(channels, "a/00000x");
    size_t total = candidates.count;
    for (bool more = true; more; total += candidates.count)
        more = candidates_next(&candidates);
    assert_int_equal(total, 300);
    selection_unref(selection);
}

/* ---- resolving ------------------------------------------------------------------------------- */

/* Resolves; returns how many channels were looked at. */
static size_t resolve(const struct channels *channels, struct selection *selection)
{
    struct channels_resolve resolve;
    size_t looked = 0;
    assert_non_null(selection_resolved(selection));
    channels_resolve_begin(&resolve, channels, selection);
    while (channels_resolve_look(&resolve)) {
        looked += resolve.candidates.count;
        assert_true(channels_resolve_judge(&resolve));
    }
    return looked;
}

/* Checks the numbers against the patterns. */
static void check_resolved(const struct channels *channels, const struct selection *selection)
{
    const struct resolved *resolved = selection->resolved;
    assert_int_equal(resolved->bits, (size_t)channels->number_last + 1);
    for (uint32_t number = 1; number <= channels->number_last; number++) {
        const struct channel *channel = channels_by_number(channels, number);
        if (channel)
            assert_int_equal(number_set_has(&resolved->set, number),
                             selection_has_channel(selection, channel_name(channel)));
    }
}

static void a_pattern_is_resolved_by_its_beginning_and_goes_on_with_new_names(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*/00002", "b/00007"};
    struct selection *selection = select_terms(terms, 2);
    add_many(channels, "a/1", 200);
    add_many(channels, "b", 3000);
    assert_int_equal(resolve(channels, selection), 201);
    check_resolved(channels, selection);
    assert_int_equal(resolve(channels, selection), 0);
    add_many(channels, "a/2", 10);
    assert_int_equal(resolve(channels, selection), 10);
    check_resolved(channels, selection);
    selection_unref(selection);
}

static void a_pattern_that_begins_with_a_wildcard_is_resolved_by_number(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"*/00002"};
    struct selection *selection = select_terms(terms, 1);
    assert_int_equal(resolve(channels, selection), 0);
    add_many(channels, "a", 2000);
    add_many(channels, "b", 2000);
    assert_int_equal(resolve(channels, selection), 4000);
    check_resolved(channels, selection);
    selection_unref(selection);
}

static void give_again(struct channels *channels, const char *before, const char *after)
{
    struct channel *channel = channels_find(channels, str_from(before));
    uint32_t number = channel_number(channel);
    channels_remove(channels, channel);
    channels_release(channels, number);
    assert_int_equal(channel_number(add(channels, after)), number);
}

static void numbers_that_are_given_again_are_resolved_again(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*"}, *all[] = {"**"};
    struct selection *selection = select_terms(terms, 1), *wild = select_terms(all, 1);
    add_many(channels, "a", 3);
    add_many(channels, "b", 3);
    resolve(channels, selection);
    resolve(channels, wild);
    give_again(channels, "a/00001", "b/now");
    give_again(channels, "b/00001", "a/now");
    assert_int_equal(resolve(channels, selection), 2);
    assert_int_equal(resolve(channels, wild), 2);
    check_resolved(channels, selection);
    check_resolved(channels, wild);
    selection_unref(selection);
    selection_unref(wild);
}

static void more_numbers_than_the_table_remembers_are_all_resolved_anew(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*"};
    struct selection *selection = select_terms(terms, 1);
    add_many(channels, "a", 4);
    add(channels, "b/odd");
    resolve(channels, selection);
    give_again(channels, "a/00002", "b/new");
    for (int i = 0; i <= REUSED_KEPT; i++)
        give_again(channels, i % 2 ? "b/even" : "b/odd", i % 2 ? "b/odd" : "b/even");
    assert_int_equal(resolve(channels, selection), 3);
    check_resolved(channels, selection);
    selection_unref(selection);
}

/* resolve() that stops as soon as a slice has taken `most` steps; returns the slices. */
static unsigned resolve_in_slices(const struct channels *channels, struct selection *selection,
                                  uint64_t most, size_t *looked)
{
    struct channels_resolve resolve;
    unsigned slices = 0;
    assert_non_null(selection_resolved(selection));
    for (bool more = true; more; slices++) {
        assert_true(slices < 10000);
        channels_resolve_begin(&resolve, channels, selection);
        while ((more = channels_resolve_look(&resolve))) {
            *looked += resolve.candidates.count;
            assert_true(channels_resolve_judge(&resolve));
            if (resolve.steps >= most)
                break;
        }
        assert_true(!more || channels_resolve_stop(&resolve));
        assert_true(more || selection->resolved->is_whole);
    }
    return slices;
}

static void a_channel_is_looked_at_once_in_all_slices(void **state)
{
    struct channels *channels = *state;
    const char *spelled[] = {"a/*/00002", "b/*", "a/1/**", "b/00001"}, *wild[] = {"*/00002"};
    struct selection *selections[] = {select_terms(spelled, 4), select_terms(wild, 1)};
    add_many(channels, "a/1", 900);
    add_many(channels, "b", 3000);
    for (int i = 0; i < 2; i++) {
        size_t looked = 0;
        assert_true(resolve_in_slices(channels, selections[i], 1, &looked) > 3900 / 128);
        assert_true(looked >= 3900 && looked <= 3901); /* plus a channel that is also named */
        check_resolved(channels, selections[i]);
        selection_unref(selections[i]);
    }
}

/* An interrupted search is right even if channels come and numbers are reused between slices. */
static void channels_that_come_between_slices_are_resolved_too(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*", "b/*"};
    struct selection *selection = select_terms(terms, 2);
    struct channels_resolve resolve;
    size_t looked = 0;
    add_many(channels, "a", 400);
    add_many(channels, "c", 10);
    assert_non_null(selection_resolved(selection));
    channels_resolve_begin(&resolve, channels, selection);
    assert_true(channels_resolve_look(&resolve) && channels_resolve_judge(&resolve));
    assert_true(channels_resolve_stop(&resolve));
    give_again(channels, "a/00001", "c/now");
    give_again(channels, "c/00001", "a/now");
    add_many(channels, "b", 300);
    (void)resolve_in_slices(channels, selection, 1, &looked);
    check_resolved(channels, selection);
    channels_resolve_begin(&resolve, channels, selection);
    assert_true(channels_resolve_stop(&resolve));
    for (int i = 0; i <= REUSED_KEPT; i++)
        give_again(channels, i % 2 ? "d/2" : i ? "d/1" : "a/now", i % 2 ? "d/1" : "d/2");
    (void)resolve_in_slices(channels, selection, 1, &looked);
    check_resolved(channels, selection);
    selection_unref(selection);
}

/* A slice ends by the steps of its patterns, however few names it looks at. */
static void costly_patterns_take_more_slices(void **state)
{
    struct channels *channels = *state;
    struct selection *selection = select_costly();
    struct channels_resolve resolve;
    add_costly(channels, 1000);
    assert_non_null(selection_resolved(selection));
    channels_resolve_begin(&resolve, channels, selection);
    while (channels_resolve_look(&resolve))
        assert_true(channels_resolve_judge(&resolve));
    printf("%u steps for each name\n", (unsigned)(resolve.steps / 1000));
    assert_true(resolve.steps > UINT64_C(1000) * 50);
    selection_unref(selection);
}

/* ---- the trimmed id of a selection ----------------------------------------------------------- */

static uint64_t trimmed_of(const struct channels *channels, const char *const *terms, size_t count,
                           size_t *ret_looked)
{
    struct selection *selection = select_terms(terms, count);
    struct channels_trimmed trimmed;
    channels_trimmed_prepare(&trimmed, channels, selection);
    channels_trimmed_begin(&trimmed, channels, selection);
    while (channels_trimmed_look(&trimmed))
        channels_trimmed_judge(&trimmed);
    *ret_looked = trimmed.candidates.looked;
    selection_unref(selection);
    return trimmed.highest;
}

static uint64_t trimmed(const struct channels *channels, const char *term)
{
    size_t looked;
    return trimmed_of(channels, &term, 1, &looked);
}

static void trimmed_is_that_of_the_channels_selected(void **state)
{
    struct channels *channels = *state;
    channels_trim(channels, add(channels, "x/a"), 5);
    channels_trim(channels, add(channels, "y/a"), 7);
    channels_trim(channels, channels_find(channels, STR("y/a")), 6); /* a trimmed id never goes
                                                                      * back */
    assert_int_equal(trimmed(channels, "x/a"), 5);
    assert_int_equal(trimmed(channels, "y/a"), 7);
    assert_int_equal(trimmed(channels, "x/*"), 5);
    assert_int_equal(trimmed(channels, "**"), 7);
    assert_int_equal(trimmed(channels, "x/unknown"), 0);
    channels_namespace(channels, STR("x"))->forgotten_trimmed = 9;
    assert_int_equal(trimmed(channels, "x/unknown"), 9);
    assert_int_equal(trimmed(channels, "x/a"), 5);
    assert_int_equal(trimmed(channels, "x/*"), 9);
    assert_int_equal(trimmed(channels, "y/*"), 7);
}

static void trim_all(struct channels *channels)
{
    for (uint32_t number = 1; number <= channels->number_last; number++)
        channels_trim(channels, channels_by_number(channels, number), 1000 + number);
}

/* The attack: 99 patterns that match nothing, over channels that were all trimmed. */
static void many_patterns_look_at_each_channel_once(void **state)
{
    struct channels *channels = *state;
    static char text[99][32];
    const char *terms[99];
    size_t looked;
    for (int i = 0; i < 99; i++) {
        snprintf(text[i], sizeof(text[i]), i % 2 ? "a/*/x%d" : "*/*/y%d", i);
        terms[i] = text[i];
    }
    add_many(channels, "a", 4000);
    trim_all(channels);
    assert_int_equal(trimmed_of(channels, terms, 99, &looked), 0);
    assert_int_equal(looked, 4000);
}

/* The same with patterns that take hundreds of steps for a name: the bound answers for them. */
static void costly_patterns_are_answered_by_the_bound(void **state)
{
    struct channels *channels = *state;
    struct selection *selection = select_costly();
    struct channels_trimmed trimmed;
    add_costly(channels, 4000);
    trim_all(channels);
    channels_trimmed_prepare(&trimmed, channels, selection);
    channels_trimmed_begin(&trimmed, channels, selection);
    while (channels_trimmed_look(&trimmed))
        channels_trimmed_judge(&trimmed);
    assert_int_equal(trimmed.highest, 1000 + channels->number_last); /* may report a gap that is
                                                                      * none */
    assert_true(trimmed.steps < TRIMMED_STEPS + 5000);
    selection_unref(selection);
}

static void in_a_large_table_a_pattern_with_few_channels_is_exact(void **state)
{
    struct channels *channels = *state;
    const char *few[] = {"user/00007/**"}, *many[] = {"user/*"};
    size_t looked;
    add_many(channels, "user/00007", 3);
    add_many(channels, "user", 10000);
    trim_all(channels);
    assert_int_equal(trimmed_of(channels, few, 1, &looked), 1003);
    assert_int_equal(looked, 3);
    channels_trim(channels, add(channels, "other"), 20000);
    assert_int_equal(trimmed_of(channels, many, 1, &looked), 20000); /* may report a gap that is
                                                                      * none */
    assert_true(looked <= 1024 + CANDIDATES_LOOK);
}

/* Otherwise the next search would go on behind the number. */
static void without_memory_for_a_number_the_search_begins_anew(void **state)
{
    struct channels *channels = *state;
    const char *terms[] = {"a/*"};
    struct selection *selection = select_terms(terms, 1);
    struct channels_resolve resolving;
    bool judged = true;
    add_many(channels, "a", 8);
    add_many(channels, "b", 3);
    resolve(channels, selection);
    give_again(channels, "b/00001", "a/now");
    give_again(channels, "a/00003", "b/now");
    channels_resolve_begin(&resolving, channels, selection);
    mem_fail_nth(1);
    while (judged && channels_resolve_look(&resolving))
        judged = channels_resolve_judge(&resolving);
    mem_fail_nth(0);
    assert_false(judged);
    resolve(channels, selection);
    check_resolved(channels, selection);
    selection_unref(selection);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_what_is_under_the_beginning_of_a_pattern_is_looked_at),
        TEST(patterns_that_overlap_bring_each_channel_once),
        TEST(a_walk_goes_on_though_channels_come_and_go),
        TEST(a_pattern_is_resolved_by_its_beginning_and_goes_on_with_new_names),
        TEST(a_pattern_that_begins_with_a_wildcard_is_resolved_by_number),
        TEST(numbers_that_are_given_again_are_resolved_again),
        TEST(more_numbers_than_the_table_remembers_are_all_resolved_anew),
        TEST(a_channel_is_looked_at_once_in_all_slices),
        TEST(channels_that_come_between_slices_are_resolved_too),
        TEST(costly_patterns_take_more_slices),
        TEST(costly_patterns_are_answered_by_the_bound),
        TEST(trimmed_is_that_of_the_channels_selected),
        TEST(many_patterns_look_at_each_channel_once),
        TEST(in_a_large_table_a_pattern_with_few_channels_is_exact),
        TEST(without_memory_for_a_number_the_search_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
