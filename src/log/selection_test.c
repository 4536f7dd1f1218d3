#include "log/selection.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *name)
{
    return pattern_matches(str_from(pattern), str_from(name));
}

static void a_star_stands_for_one_segment(void **state)
{
    (void)state;
    assert_true(matches("a/*", "a/b"));
    assert_false(matches("a/*", "a"));
    assert_false(matches("a/*", "a/b/c"));
    assert_true(matches("*/b", "a/b"));
}

static void two_stars_stand_for_one_or_more(void **state)
{
    (void)state;
    assert_true(matches("a/**", "a/b"));
    assert_true(matches("a/**", "a/b/c"));
    assert_false(matches("a/**", "a"));
    assert_true(matches("**", "a/b/c"));
}

static void the_servers_channels_want_to_be_spelled(void **state)
{
    (void)state;
    assert_false(matches("**", "$webhooks/x"));
    assert_false(matches("*/x", "$webhooks/x"));
    assert_true(matches("$webhooks/*", "$webhooks/x"));
}

static void names_are_refused_with_a_reason(void **state)
{
    (void)state;
    const char *bad[] = {"",    "/a",   "a/",   "a//b",      ".",   "a/..",
                         "a/*", "a\nb", "\x7f", "a\xc2\x85", "\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *why = NULL;
        if (name_valid(str_from(bad[i]), &why) || !why)
            fail_msg("%s was taken for a name", bad[i]);
    }
    assert_true(name_valid(str_from("a/b-c d/\xc3\xa4"), NULL));
}

static void a_pattern_has_whole_stars_and_two_only_at_its_end(void **state)
{
    (void)state;
    assert_true(pattern_valid(STR("a/*/b/**"), NULL));
    assert_false(pattern_valid(STR("a*"), NULL));
    assert_false(pattern_valid(STR("**/a"), NULL));
    assert_false(pattern_valid(STR("a/***"), NULL));
}

static void a_pattern_has_few_segments_and_fewer_stars(void **state)
{
    (void)state;
    static const char *good[] = {"*/*/*/*",
                                 "a/*/b/*/c/*/d/*",
                                 "*/*/*/*/**",
                                 "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/*",
                                 "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/**",
                                 "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"};
    static const char *bad[] = {"*/*/*/*/*",
                                "a/*/b/*/c/*/d/*/e/*",
                                "*/*/*/*/*/**",
                                "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/*",
                                "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/**",
                                "*/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(pattern_valid(str_from(good[i]), NULL));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *why = NULL;
        assert_false(pattern_valid(str_from(bad[i]), &why));
        assert_non_null(why);
    }
}

static void add_random_segment(char **out, unsigned *seed, bool wild, bool last)
{
    static const char *segments[] = {"a", "ab", "a!", "b", "$a", "*"};
    const char *segment = segments[(unsigned)rand_r(seed) % (wild ? 6 : 5)];
    *out = stpcpy(*out, wild && last && rand_r(seed) % 3 == 0 ? "**" : segment);
    if (!last)
        *out = stpcpy(*out, "/");
}

static struct str random_term(char *room, unsigned *seed, bool wild)
{
    char *out = room;
    for (int left = 1 + rand_r(seed) % 4; left--;)
        add_random_segment(&out, seed, wild, !left);
    return str_from(room);
}

/* The search in sorted patterns must agree with the patterns one by one, also if names begin alike
 * and sort around the '/'. */
static void many_patterns_match_as_each_of_them_does(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (int round = 0; round < 2000; round++) {
        char rooms[SELECTION_TERMS_MAX][32], name_room[32];
        struct str terms[SELECTION_TERMS_MAX];
        size_t count = 1 + (size_t)rand_r(&seed) % (round % 2 ? 5 : SELECTION_TERMS_MAX);
        for (size_t i = 0; i < count; i++)
            terms[i] = random_term(rooms[i], &seed, true);
        struct selection *selection = selection_new(terms, count, NULL, 0, NULL);
        assert_non_null(selection);
        for (int n = 0; n < 20; n++) {
            struct str name = random_term(name_room, &seed, false);
            bool wanted = false;
            for (size_t i = 0; i < count; i++)
                wanted = wanted || pattern_matches(terms[i], name);
            assert_int_equal(selection_has_channel(selection, name), wanted);
        }
        selection_unref(selection);
    }
}

static void types_are_short_and_plain(void **state)
{
    (void)state;
    assert_true(type_valid(STR("trade.v1:x/y-z_0"), NULL));
    assert_false(type_valid(STR("error"), NULL));
    assert_false(type_valid(STR("open"), NULL));
    assert_false(type_valid(STR("$gap"), NULL));
    assert_false(type_valid(STR("a b"), NULL));
    assert_false(type_valid(STR(""), NULL));
}

static void equal_selections_have_equal_canonical_forms(void **state)
{
    (void)state;
    struct str one[] = {STR("b"), STR("a/**"), STR("a")},
               two[] = {STR("a"), STR("b"), STR("b"), STR("a/**")};
    struct selection *first = selection_new(one, 3, NULL, 0, NULL),
                     *second = selection_new(two, 4, NULL, 0, NULL);
    assert_true(str_eq(first->canonical, second->canonical));
    selection_unref(first);
    selection_unref(second);
}

static void an_excepted_channel_is_not_selected(void **state)
{
    (void)state;
    struct str all[] = {STR("a/**")}, some[] = {STR("a/b")};
    struct selection *except = selection_new(some, 1, NULL, 0, NULL);
    struct selection *selection = selection_new(all, 1, NULL, 0, except);
    selection_unref(except);
    assert_true(selection_has_channel(selection, STR("a/c")));
    assert_false(selection_has_channel(selection, STR("a/b")));
    selection_unref(selection);
}

static void a_chain_of_excepted_selections_copies_none_of_their_terms(void **state)
{
    (void)state;
    struct str first[] = {STR("a/b")}, second[] = {STR("a/c"), STR("b")}, all[] = {STR("a/**")};
    struct selection *one = selection_new(first, 1, NULL, 0, NULL);
    struct selection *two = selection_new(second, 2, NULL, 0, one);
    struct selection *three = selection_new(all, 1, NULL, 0, two);
    struct selection *same = selection_new(all, 1, NULL, 0, two);
    struct selection *other = selection_new(all, 1, NULL, 0, one);
    assert_true(selection_has_channel(three, STR("a/d")));
    assert_false(selection_has_channel(three, STR("a/c")));
    assert_false(selection_has_channel(three, STR("a/b")));
    assert_true(str_eq(three->canonical, same->canonical));
    assert_false(str_eq(three->canonical, other->canonical));
    assert_int_equal(three->canonical.len, 1 + all[0].len + 1 + sizeof(void *));
    selection_unref(one);
    selection_unref(two);
    selection_unref(three);
    selection_unref(same);
    selection_unref(other);
}

/* The rules for names of ASCII, a byte after the other. */
static bool by_the_rules(struct str name)
{
    for (struct str rest = name; rest.at;) {
        struct str segment = str_cut(&rest, '/');
        if (!segment.len || str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
            return false;
        for (size_t i = 0; i < segment.len; i++)
            if (segment.at[i] < 0x20 || segment.at[i] == 0x7f || segment.at[i] == '*')
                return false;
    }
    return true;
}

static void names_of_any_length_are_judged_alike_at_any_place(void **state)
{
    (void)state;
    static const char bytes[] = {'/', '.', '*', 0x1f, 0x7f, 'b'};
    const size_t count = sizeof(bytes);
    char name[36];
    for (size_t len = 2; len <= sizeof(name); len++)
        for (size_t pair = 0; pair < len * len * count * count; pair++) {
            size_t first = pair / count / count / len;
            size_t second = pair / count / count % len;
            memset(name, 'a', len);
            name[first] = bytes[pair / count % count];
            name[second] = bytes[pair % count];
            struct str text = {name, len};
            assert_true(name_valid(text, NULL) == by_the_rules(text));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_any_length_are_judged_alike_at_any_place),
        cmocka_unit_test(a_star_stands_for_one_segment),
        cmocka_unit_test(two_stars_stand_for_one_or_more),
        cmocka_unit_test(the_servers_channels_want_to_be_spelled),
        cmocka_unit_test(names_are_refused_with_a_reason),
        cmocka_unit_test(a_pattern_has_whole_stars_and_two_only_at_its_end),
        cmocka_unit_test(a_pattern_has_few_segments_and_fewer_stars),
        cmocka_unit_test(many_patterns_match_as_each_of_them_does),
        cmocka_unit_test(types_are_short_and_plain),
        cmocka_unit_test(equal_selections_have_equal_canonical_forms),
        cmocka_unit_test(an_excepted_channel_is_not_selected),
        cmocka_unit_test(a_chain_of_excepted_selections_copies_none_of_their_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
