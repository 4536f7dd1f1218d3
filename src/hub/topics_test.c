#include "hub/topics.h"

#include "base/mem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Topics only compare the addresses of views, so any structure will do. */
struct view {
    unsigned matched;
};

static const uint64_t name_seed[2] = {17, 4};

static struct selection *select_terms(const char *terms)
{
    struct str term[SELECTION_TERMS_MAX];
    size_t count = 0;
    for (struct str rest = str_from(terms); rest.at;)
        term[count++] = str_cut(&rest, ' ');
    struct selection *selection = selection_new(term, count, NULL, 0, NULL);
    assert_non_null(selection);
    return selection;
}

static struct selection *add(struct topics *topics, struct view *view, const char *terms)
{
    struct selection *selection = select_terms(terms);
    assert_int_equal(topics_add_view(topics, view, selection), 0);
    return selection;
}

static void drop(struct topics *topics, struct view *view, struct selection *selection)
{
    topics_remove_view(topics, view, selection);
    selection_unref(selection);
}

static void count_match(void *context, struct view *view)
{
    unsigned *all = context;
    (*all)++;
    view->matched++;
}

static unsigned match(const struct topics *topics, const char *name)
{
    unsigned all = 0;
    topics_match_patterns(topics, str_from(name), count_match, &all);
    return all;
}

static void is_empty(const struct topics *topics)
{
    assert_int_equal(topics->names.count, 0);
    assert_int_equal(topics->branches.count, 0);
    assert_int_equal(topics->patterns, 0);
}

static void a_name_has_a_topic_as_long_as_a_view_wants_it(void **state)
{
    (void)state;
    struct topics topics;
    struct view one = {0}, two = {0};
    topics_init(&topics, name_seed);
    assert_null(topics_find(&topics, STR("a")));
    struct selection *a = add(&topics, &one, "a"), *b = add(&topics, &two, "a b");
    assert_int_equal(topics_find(&topics, STR("a"))->views.count, 2);
    assert_int_equal(topics_find(&topics, STR("b"))->views.count, 1);
    drop(&topics, &two, b);
    assert_null(topics_find(&topics, STR("b")));
    uint32_t at = 0;
    assert_ptr_equal(view_set_next(&topics_find(&topics, STR("a"))->views, &at), &one);
    drop(&topics, &one, a);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void a_topic_with_events_in_the_window_outlives_its_views(void **state)
{
    (void)state;
    struct topics topics;
    struct view view = {0};
    topics_init(&topics, name_seed);
    struct selection *a = add(&topics, &view, "a");
    const struct event event = {.channel = STR("a"),
                                .hash = (uint32_t)map_hash(name_seed, STR("a"))};
    struct topic *topic = topics_get(&topics, &event);
    topic->tail = 1;
    drop(&topics, &view, a);
    assert_ptr_equal(topics_find(&topics, STR("a")), topic);
    topic->tail = 0;
    topics_release(&topics, topic);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void patterns_match_as_the_selection_says(void **state)
{
    (void)state;
    static const char *patterns[] = {"*",     "**",   "a/*",   "a/**",   "*/b",    "*/*",   "*/**",
                                     "a/*/c", "$s/*", "$s/**", "*/b/**", "a/b/**", "a/*/**"};
    static const char *names[] = {"a",  "b",    "a/b",    "a/b/c", "a/b/c/d", "b/b", "b/a/c",
                                  "$s", "$s/b", "$s/b/c", "a/$s",  "$t/b",    "aa",  "a/bb"};
    enum { PATTERNS = sizeof(patterns) / sizeof(*patterns) };
    struct topics topics;
    struct view views[PATTERNS] = {{0}};
    struct selection *selections[PATTERNS];
    topics_init(&topics, name_seed);
    for (size_t i = 0; i < PATTERNS; i++)
        selections[i] = add(&topics, &views[i], patterns[i]);
    for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
        for (size_t i = 0; i < PATTERNS; i++)
            views[i].matched = 0;
        match(&topics, names[n]);
        for (size_t i = 0; i < PATTERNS; i++)
            assert_int_equal(views[i].matched,
                             pattern_matches(str_from(patterns[i]), str_from(names[n])));
    }
    for (size_t i = 0; i < PATTERNS; i++)
        drop(&topics, &views[i], selections[i]);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void without_patterns_nothing_is_walked(void **state)
{
    (void)state;
    struct topics topics;
    struct view view = {0};
    topics_init(&topics, name_seed);
    struct selection *a = add(&topics, &view, "a/b");
    assert_int_equal(topics.patterns, 0);
    assert_int_equal(match(&topics, "a/b"), 0);
    drop(&topics, &view, a);
    topics_deinit(&topics);
}

static void a_view_under_two_patterns_comes_twice(void **state)
{
    (void)state;
    struct topics topics;
    struct view view = {0};
    topics_init(&topics, name_seed);
    struct selection *both = add(&topics, &view, "a/* */b");
    assert_int_equal(match(&topics, "a/b"), 2);
    assert_int_equal(match(&topics, "a/c"), 1);
    drop(&topics, &view, both);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void the_longest_name_and_the_deepest_pattern_fit(void **state)
{
    (void)state;
    struct topics topics;
    struct view deep = {0}, wide = {0};
    char name[NAME_MAX_BYTES + 1], pattern[NAME_MAX_BYTES + 1], one[NAME_MAX_BYTES + 1];
    for (int i = 0; i < NAME_MAX_BYTES; i++) {
        name[i] = i % 2 ? '/' : 'a';
        pattern[i] = i % 2 ? '/' : '*';
        one[i] = 'x';
    }
    name[NAME_MAX_BYTES] = pattern[NAME_MAX_BYTES] = one[NAME_MAX_BYTES] = '\0';
    topics_init(&topics, name_seed);
    struct selection *all = add(&topics, &deep, pattern), *long_name = add(&topics, &wide, one);
    assert_int_equal(match(&topics, name), 1);
    assert_int_equal(topics_find(&topics, str_from(one))->views.count, 1);
    drop(&topics, &deep, all);
    drop(&topics, &wide, long_name);
    is_empty(&topics);
    topics_deinit(&topics);
}

/* Branches are told apart by number, and strangers can make new ones all day. */
static void patterns_stay_apart_after_four_billion_branches(void **state)
{
    (void)state;
    struct topics topics;
    struct view mine = {0}, other = {0};
    topics_init(&topics, name_seed);
    struct selection *a = add(&topics, &mine, "secret/*");
    topics.branch_ids = UINT32_MAX - 2;
    struct selection *b = add(&topics, &other, "x/y/z/secret/*");
    assert_int_equal(match(&topics, "secret/1"), 1);
    assert_int_equal(mine.matched, 1);
    assert_int_equal(match(&topics, "x/y/z/secret/1"), 1);
    assert_int_equal(other.matched, 1);
    struct selection *c = add(&topics, &mine, "x/y/*");
    assert_int_equal(match(&topics, "y/1"), 0);
    assert_int_equal(match(&topics, "z/secret/1"), 0);
    drop(&topics, &mine, c);
    drop(&topics, &mine, a);
    drop(&topics, &other, b);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void a_view_that_found_no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    struct topics topics;
    struct view view = {0};
    topics_init(&topics, name_seed);
    struct selection *selection = select_terms("a b c/d a/* a/b/** */c/*");
    int result = -ENOMEM;
    unsigned failures = 0;
    for (unsigned long nth = 1; result; nth++, failures++) {
        mem_fail_nth(nth);
        result = topics_add_view(&topics, &view, selection);
        mem_fail_nth(0);
        if (!result)
            break;
        assert_int_equal(result, -ENOMEM);
        is_empty(&topics);
    }
    assert_true(failures > 6);
    drop(&topics, &view, selection);
    is_empty(&topics);
    topics_deinit(&topics);
}

/* ---- against plain comparison ---------------------------------------------------------------- */

enum { VIEWS = 24, STEPS = 3000 };

static void random_term(unsigned *seed, bool wild, char *out)
{
    static const char *segments[] = {"a", "b", "c", "$s", "*"};
    int depth = 1 + rand_r(seed) % 4;
    *out = '\0';
    for (int i = 0; i < depth; i++) {
        bool last = i + 1 == depth;
        const char *segment = segments[rand_r(seed) % (wild ? 5 : 4)];
        if (wild && last && rand_r(seed) % 4 == 0)
            segment = "**";
        out = stpcpy(out, segment);
        if (!last)
            out = stpcpy(out, "/");
    }
}

static void each_view_is_matched(const struct topics *topics, struct view *views,
                                 struct selection **selections, const char *name)
{
    for (int i = 0; i < VIEWS; i++)
        views[i].matched = 0;
    match(topics, name);
    const struct topic *topic = topics_find(topics, str_from(name));
    struct view *view;
    for (uint32_t i = 0; topic && (view = view_set_next(&topic->views, &i));)
        view->matched++;
    for (int i = 0; i < VIEWS; i++) {
        bool wanted = selections[i] && selection_has_channel(selections[i], str_from(name));
        assert_int_equal(views[i].matched > 0, wanted);
    }
}

static void views_that_come_and_go_match_as_plain_comparison_says(void **state)
{
    (void)state;
    unsigned seed = 11;
    struct topics topics;
    struct view views[VIEWS] = {{0}};
    struct selection *selections[VIEWS] = {NULL};
    topics_init(&topics, name_seed);
    for (int step = 0; step < STEPS; step++) {
        int at = rand_r(&seed) % VIEWS;
        char terms[3][64], all[200], name[64];
        for (int i = 0; i < 3; i++)
            random_term(&seed, rand_r(&seed) % 2, terms[i]);
        snprintf(all, sizeof(all), "%s %s %s", terms[0], terms[1], terms[2]);
        if (selections[at])
            drop(&topics, &views[at], selections[at]);
        selections[at] = rand_r(&seed) % 3 ? add(&topics, &views[at], all) : NULL;
        random_term(&seed, false, name);
        each_view_is_matched(&topics, views, selections, name);
    }
    for (int i = 0; i < VIEWS; i++)
        if (selections[i])
            drop(&topics, &views[i], selections[i]);
    is_empty(&topics);
    topics_deinit(&topics);
}

/* Adds patterns that match the name up to its last segment: each choice of PATTERN_STARS_MAX
 * segments is "*". Returns their number. */
static int add_near_misses(struct topics *topics, struct view *view, struct selection **out,
                           int max)
{
    int count = 0;
    for (unsigned stars = 0; stars < 1u << (PATTERN_SEGMENTS_MAX - 1) && count < max; stars++) {
        char pattern[3 * PATTERN_SEGMENTS_MAX], *at = pattern;
        if (__builtin_popcount(stars) != PATTERN_STARS_MAX)
            continue;
        for (int i = 0; i < PATTERN_SEGMENTS_MAX - 1; i++)
            at = stpcpy(at, stars >> i & 1 ? "*/" : "a/");
        stpcpy(at, "b");
        assert_true(pattern_valid(str_from(pattern), NULL));
        out[count++] = add(topics, view, pattern);
    }
    return count;
}

static void no_set_of_patterns_makes_a_match_walk_far(void **state)
{
    (void)state;
    enum { MOST = 1500, STEPS_MAX = 10000 };
    static const char *names[] = {"a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
                                  "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "a/a/a/a",
                                  "b"};
    struct selection *selections[MOST];
    struct topics topics;
    struct view view = {0};
    unsigned all = 0;
    topics_init(&topics, name_seed);
    int count = add_near_misses(&topics, &view, selections, MOST);
    assert_int_equal(count, 1365); /* 4 of 15 */
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        uint64_t steps = topics_match_patterns(&topics, str_from(names[i]), count_match, &all);
        assert_true(steps <= STEPS_MAX);
    }
    assert_int_equal(all, 0);
    while (count--)
        drop(&topics, &view, selections[count]);
    is_empty(&topics);
    assert_int_equal(topics.branches_count, 0);
    topics_deinit(&topics);
}

static void a_match_without_near_misses_takes_a_step_a_segment(void **state)
{
    (void)state;
    struct topics topics;
    struct view view = {0};
    struct selection *selections[1000];
    unsigned all = 0;
    topics_init(&topics, name_seed);
    for (int i = 0; i < 1000; i++) {
        char pattern[32];
        snprintf(pattern, sizeof(pattern), "user/%d/**", i);
        selections[i] = add(&topics, &view, pattern);
    }
    assert_int_equal(topics_match_patterns(&topics, STR("user/7/inbox"), count_match, &all), 3);
    assert_int_equal(all, 1);
    for (int i = 0; i < 1000; i++)
        drop(&topics, &view, selections[i]);
    is_empty(&topics);
    topics_deinit(&topics);
}

static void patterns_beyond_the_bound_of_branches_are_refused(void **state)
{
    (void)state;
    struct topics topics;
    struct view one = {0}, two = {0};
    topics_init(&topics, name_seed);
    topics.branches_max = 5;
    struct selection *first = add(&topics, &one, "a/b/* a/c/*");
    static const char *more[] = {"x/*", "a/b/c/*", "a/*/c"};
    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
        struct selection *selection = select_terms(more[i]);
        assert_int_equal(topics_add_view(&topics, &two, selection), -ENOSPC);
        assert_int_equal(topics.branches_count, 5);
        selection_unref(selection);
    }
    struct selection *shared = add(&topics, &two, "a/b/* a/**");
    assert_int_equal(match(&topics, "a/b/c"), 3);
    drop(&topics, &two, shared);
    drop(&topics, &one, first);
    is_empty(&topics);
    assert_int_equal(topics.branches_count, 0);
    topics_deinit(&topics);
}

static void a_set_of_many_views_has_each_once(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    struct view *views = mem_alloc(MANY * sizeof(*views));
    bool in[MANY] = {false};
    struct topics topics;
    unsigned seed = 3;
    topics_init(&topics, name_seed);
    struct selection *selection = select_terms("a b/*");
    for (int step = 0; step < 20000; step++) {
        int most = step < 10000 ? MANY : 20, i = rand_r(&seed) % most;
        if (in[i])
            topics_remove_view(&topics, &views[i], selection);
        else
            assert_int_equal(topics_add_view(&topics, &views[i], selection), 0);
        in[i] = !in[i];
    }
    const struct topic *topic = topics_find(&topics, STR("a"));
    struct view *view;
    for (uint32_t at = 0; topic && (view = view_set_next(&topic->views, &at));)
        view->matched++;
    match(&topics, "b/c");
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(views[i].matched, in[i] ? 2 : 0);
        if (in[i])
            topics_remove_view(&topics, &views[i], selection);
    }
    selection_unref(selection);
    is_empty(&topics);
    topics_deinit(&topics);
    free(views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_a_topic_as_long_as_a_view_wants_it),
        cmocka_unit_test(a_topic_with_events_in_the_window_outlives_its_views),
        cmocka_unit_test(patterns_match_as_the_selection_says),
        cmocka_unit_test(without_patterns_nothing_is_walked),
        cmocka_unit_test(no_set_of_patterns_makes_a_match_walk_far),
        cmocka_unit_test(a_match_without_near_misses_takes_a_step_a_segment),
        cmocka_unit_test(patterns_beyond_the_bound_of_branches_are_refused),
        cmocka_unit_test(a_set_of_many_views_has_each_once),
        cmocka_unit_test(a_view_under_two_patterns_comes_twice),
        cmocka_unit_test(the_longest_name_and_the_deepest_pattern_fit),
        cmocka_unit_test(patterns_stay_apart_after_four_billion_branches),
        cmocka_unit_test(a_view_that_found_no_memory_leaves_nothing_behind),
        cmocka_unit_test(views_that_come_and_go_match_as_plain_comparison_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
