#include "log/channels.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Makes a channel that has had an event, as a publish does. */
static int use(struct channels *channels, const char *name, struct channel **ret_channel)
{
    static const struct maker nobody;
    *ret_channel = channels_known(channels, str_from(name), 0);
    int result = channels_make(channels, str_from(name), &nobody, ret_channel);
    if (!result)
        channels_note_used(channels, *ret_channel);
    return result;
}

static struct channel *add(struct channels *channels, const char *name)
{
    struct channel *channel;
    assert_int_equal(use(channels, name, &channel), 0);
    return channel;
}

static void a_channel_is_found_by_name_and_by_number(void **state)
{
    (void)state;
    struct channels channels;
    channels_init(&channels, NULL, 0, 10);
    struct channel *a = add(&channels, "a"), *again = add(&channels, "a");
    struct channel *b = add(&channels, "b");
    assert_ptr_equal(a, again);
    assert_int_equal(channel_number(a), 1);
    assert_int_equal(channel_number(b), 2);
    assert_ptr_equal(channels_find(&channels, STR("b")), b);
    assert_ptr_equal(channels_by_number(&channels, 2), b);
    assert_null(channels_find(&channels, STR("c")));
    assert_null(channels_by_number(&channels, 0));
    assert_null(channels_by_number(&channels, UINT32_MAX));
    channels_deinit(&channels);
}

static void a_number_is_given_again_once_it_is_released(void **state)
{
    (void)state;
    struct channels channels;
    channels_init(&channels, NULL, 0, 10);
    uint32_t number = channel_number(add(&channels, "a"));
    channels_remove(&channels, channels_find(&channels, STR("a")));
    assert_null(channels_find(&channels, STR("a")));
    assert_null(channels_by_number(&channels, number));
    assert_int_equal(channel_number(add(&channels, "a")), number + 1);
    channels_release(&channels, number);
    assert_int_equal(channel_number(add(&channels, "b")), number);
    assert_int_equal(channels.reused, 1);
    assert_int_equal(channels.reused_at[0], number);
    channels.number_last = 4999999;
    const struct channel *far = add(&channels, "far");
    assert_ptr_equal(channels_by_number(&channels, 5000000), far);
    assert_int_equal(channel_number(add(&channels, "next")), 5000001);
    assert_int_equal(channels.reused, 1);
    channels_deinit(&channels);
}

static void the_memory_of_the_table_is_counted(void **state)
{
    (void)state;
    enum { CHANNELS = 20000 };
    struct channels channels;
    char name[32];
    channels_init(&channels, NULL, 0, CHANNELS);
    uint64_t empty = channels_bytes(&channels);
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof(name), "some/channel/%d", i);
        add(&channels, name);
    }
    assert_in_range(channels_bytes(&channels) - empty, CHANNELS * 95, CHANNELS * 130);
    for (uint32_t number = 1; number <= CHANNELS; number++)
        channels_remove(&channels, channels_by_number(&channels, number));
    assert_int_equal(channels.blocks_bytes, 0);
    assert_int_equal(name_tree_bytes(&channels.order), 0);
    channels_deinit(&channels);
}

static void a_number_in_use_or_never_given_is_not_released(void **state)
{
    (void)state;
    struct channels channels;
    channels_init(&channels, NULL, 0, 10);
    channels_release(&channels, channel_number(add(&channels, "a")));
    channels_release(&channels, 0);
    channels_release(&channels, 77);
    assert_int_equal(channel_number(add(&channels, "b")), 2);
    assert_int_equal(channel_number(add(&channels, "c")), 3);
    channels_deinit(&channels);
}

static void a_free_number_stays_free_if_there_is_no_memory_for_its_channel(void **state)
{
    (void)state;
    struct channels channels;
    struct channel *channel;
    channels_init(&channels, NULL, 0, 10);
    channels_remove(&channels, add(&channels, "a"));
    channels_release(&channels, 1);
    for (int i = 0; i < 2; i++) { /* the chunk, after the list of reused numbers; the channel */
        mem_fail_nth(2);
        assert_int_equal(use(&channels, "b", &channel), -ENOMEM);
        mem_fail_nth(0);
        assert_int_equal(channels.free.count, 1);
    }
    assert_int_equal(channel_number(add(&channels, "b")), 1);
    channels_deinit(&channels);
}

/* Channels that come and go take no more numbers than there are at one time. */
static void released_numbers_bound_the_table(void **state)
{
    (void)state;
    struct channels channels;
    char name[16];
    channels_init(&channels, NULL, 0, 10);
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        struct channel *channel = add(&channels, name);
        uint32_t number = channel_number(channel);
        channels_remove(&channels, channel);
        channels_release(&channels, number);
    }
    assert_int_equal(channels.number_last, 1);
    assert_int_equal(channels.order.nodes, 0);
    channels_deinit(&channels);
}

/* The memory by number is in `chunks`; numbers of the past have none. */
static void names_of_the_past_take_no_room(void **state)
{
    (void)state;
    struct channels channels;
    char name[16];
    channels_init(&channels, NULL, 0, 10);
    add(&channels, "stays");
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        channels_remove(&channels, add(&channels, name));
    }
    size_t chunks = 0;
    for (size_t i = 0; i < channels.chunks_cap; i++)
        chunks += channels.chunks[i] != NULL;
    assert_int_equal(chunks, 1);
    assert_int_equal(channel_number(add(&channels, "new")), 100002);
    channels_deinit(&channels);
}

static void beyond_the_most_that_may_be_a_name_is_refused(void **state)
{
    (void)state;
    struct channels channels;
    struct channel *channel;
    channels_init(&channels, NULL, 0, 2);
    add(&channels, "a");
    add(&channels, "b");
    assert_int_equal(use(&channels, "c", &channel), CHANNELS_E_FULL);
    assert_int_equal(use(&channels, "a", &channel), 0);
    channels_remove(&channels, channel);
    add(&channels, "c");
    channels_deinit(&channels);
}

static int make(struct channels *channels, struct str name, const struct maker *maker,
                struct channel **ret_channel)
{
    *ret_channel = channels_find(channels, name);
    return channels_make(channels, name, maker, ret_channel);
}

/* A table whose seed is fixed. Two makers share an index once in 4,096 times, by the seed; under
 * this seed those of the tests do not. */
static struct channels *new_table(uint64_t count_max)
{
    struct channels *channels = mem_alloc(sizeof(*channels));
    channels_init(channels, NULL, 0, count_max);
    map_share_seed(&channels->by_name, (const uint64_t[2]){1, 2});
    return channels;
}

/* Makes channels until one is refused; returns how many. */
static int make_all(struct channels *channels, const char *prefix, uint64_t address,
                    uint64_t connection)
{
    struct maker maker = {{address, connection}};
    struct channel *channel;
    char name[32];
    int made = 0, result;
    do {
        snprintf(name, sizeof(name), "%s/%d", prefix, made);
        result = make(channels, str_from(name), &maker, &channel);
    } while (!result && ++made < 10000);
    assert_int_equal(result, channels->by_name.count < channels->count_max ? CHANNELS_E_SHARE
                                                                           : CHANNELS_E_FULL);
    return made;
}

static void nobody_can_fill_the_table_alone(void **state)
{
    (void)state;
    struct channels *channels = new_table(2000);
    struct maker first = {{7, 70}};
    struct channel *channel;
    channels->share_percent[MAKER_ADDRESS] = 80;
    channels->share_percent[MAKER_CONNECTION] = 50;
    assert_int_equal(make_all(channels, "a", 7, 70), 1000 + 500);
    assert_int_equal(make_all(channels, "b", 7, 71), 250); /* half of the free channels */
    int third = make_all(channels, "c", 7, 72) + make_all(channels, "d", 7, 73);
    assert_true(third >= 40 && third <= 60); /* the address has 4 in 5 of the second half */
    assert_true(make_all(channels, "e", 8, 80) >= 90); /* and other makers get a share */
    /* A known channel is open to all, and a channel that goes leaves room. */
    assert_int_equal(make(channels, STR("a/1400"), &first, &channel), 0);
    assert_int_equal(make(channels, STR("new"), &first, &channel), CHANNELS_E_SHARE);
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof(name), "a/%d", 1000 + i);
        channels_remove(channels, channels_find(channels, str_from(name)));
    }
    assert_int_equal(make(channels, STR("new"), &first, &channel), 0);
    channels_deinit(channels);
    free(channels);
}

/* The first channel of a chunk that counts in a share needs memory for the chunk's shares. */
static void without_memory_for_a_share_no_channel_is_made(void **state)
{
    (void)state;
    struct channels *channels = new_table(2000);
    struct maker maker = {{7, 70}}, nobody = {{0}};
    struct channel *channel;
    char name[16];
    channels->share_percent[MAKER_ADDRESS] = 80;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(make(channels, str_from(name), &nobody, &channel), 0);
    }
    int failed = 0, result = -ENOMEM;
    for (unsigned long nth = 1; result; nth++) {
        mem_fail_nth(nth);
        result = make(channels, STR("new"), &maker, &channel);
        mem_fail_nth(0);
        failed += result != 0;
        assert_int_equal(result, result ? -ENOMEM : 0);
        assert_int_equal(channels_count(channels), 1000 + !result);
        assert_int_equal(channels_find(channels, STR("new")) != NULL, !result);
    }
    assert_true(failed >= 2);
    assert_int_equal(channel_number(channel), 1001);
    channels_deinit(channels);
    free(channels);
}

/* Prepares channels that stay unclaimed, beside the existing ones; returns their numbers. */
static void prepare_some(struct channels *channels, uint32_t *numbers, unsigned count)
{
    char name[32];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "prepared/%u", i);
        assert_true(channels_prepare(channels, str_from(name), &numbers[i]));
        assert_false(channels_prepare(channels, str_from(name), &numbers[i]));
    }
}

static void a_prepared_channel_counts_once_it_is_claimed(void **state)
{
    (void)state;
    struct channels channels;
    struct channel *channel;
    uint32_t numbers[50];
    channels_init(&channels, NULL, 0, 2);
    add(&channels, "a");
    prepare_some(&channels, numbers, 50);
    assert_int_equal(channels_count(&channels), 1);
    assert_int_equal(make(&channels, STR("b"), &(struct maker){0}, &channel), 0);
    assert_int_equal(make(&channels, STR("prepared/7"), &(struct maker){0}, &channel),
                     CHANNELS_E_FULL);
    channels_remove(&channels, channels_find(&channels, STR("b")));
    assert_int_equal(make(&channels, STR("prepared/7"), &(struct maker){0}, &channel), 0);
    assert_int_equal(channels_count(&channels), 2);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(channels_end_prepared(&channels, numbers[i]), i == 7);
        channels_drop(&channels, numbers[i]);
        assert_int_equal(channels_by_number(&channels, numbers[i]) != NULL, i == 7);
    }
    assert_int_equal(channels.unclaimed, 0);
    assert_int_equal(channels.by_name.count, 2);
    channels_deinit(&channels);
}

/* The channel is as before, and may be claimed again until it is dropped. */
static void a_claim_that_is_taken_back_leaves_a_prepared_channel(void **state)
{
    (void)state;
    struct channels *channels = new_table(2000);
    struct maker maker = {{7, 70}};
    struct channel *channel;
    uint32_t number;
    channels->share_percent[MAKER_CONNECTION] = 50;
    assert_int_equal(make_all(channels, "a", 7, 70), 1000 + 500);
    channels_remove(channels, channels_find(channels, STR("a/1400")));
    for (int i = 0; i < 3; i++) {
        assert_true(channels_prepare(channels, STR("new"), &number));
        assert_int_equal(make(channels, STR("new"), &maker, &channel), 0);
        assert_int_equal(make_all(channels, "b", 7, 70), 0);
        channels_unmake(channels, channel, channels->number_last);
        assert_int_equal(make(channels, STR("new"), &maker, &channel), 0);
        channels_unmake(channels, channel, channels->number_last);
        assert_false(channels_end_prepared(channels, number));
        channels_drop(channels, number);
    }
    assert_null(channels_find(channels, STR("new")));
    channels_deinit(channels);
    free(channels);
}

/* A thread may have seen the number, which matters only once there is an event. */
static void the_number_of_a_dropped_channel_is_noted_only_with_the_next_event(void **state)
{
    (void)state;
    struct channels channels;
    uint32_t first, number = 0;
    channels_init(&channels, NULL, 0, 100);
    assert_true(channels_prepare(&channels, STR("a"), &first));
    channels_drop(&channels, first);
    assert_int_equal(channels.number_last, first);
    for (int i = 0; i < 10; i++) {
        assert_true(channels_prepare(&channels, STR("b"), &number));
        assert_int_equal(number, first);
        assert_int_equal(channels.reused, 0);
        if (i < 9)
            channels_drop(&channels, number);
    }
    channels_note_used(&channels, channels_by_number(&channels, number));
    channels_note_used(&channels, channels_by_number(&channels, number));
    assert_int_equal(channels.reused, 1);
    assert_int_equal(channels.reused_at[0], first);
    channels_deinit(&channels);
}

static void without_memory_no_channel_is_prepared(void **state)
{
    (void)state;
    struct channels channels;
    uint32_t number = 1;
    channels_init(&channels, NULL, 0, 100);
    bool made = false;
    for (unsigned long nth = 1; !made; nth++) {
        mem_fail_nth(nth);
        made = channels_prepare(&channels, STR("a"), &number);
        mem_fail_nth(0);
        assert_int_equal(number != 0, made);
        assert_int_equal(channels.unclaimed, made);
        assert_true(nth > 2 || !made);
    }
    channels_deinit(&channels);
}

static void the_server_itself_and_small_tables_know_no_shares(void **state)
{
    (void)state;
    struct channels *channels = mem_alloc(sizeof(*channels));
    channels_init(channels, NULL, 0, 2000);
    channels->share_percent[MAKER_ADDRESS] = 1;
    assert_int_equal(make_all(channels, "a", 0, 0), 2000);
    channels_deinit(channels);
    channels_init(channels, NULL, 0, SHARED_FROM - 1);
    channels->share_percent[MAKER_ADDRESS] = 1;
    assert_int_equal(make_all(channels, "a", 7, 70), SHARED_FROM - 1);
    channels_deinit(channels);
    free(channels);
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    for (unsigned long nth = 1; nth <= 3; nth++) {
        struct channels channels;
        struct channel *channel;
        channels_init(&channels, NULL, 0, 2);
        mem_fail_nth(nth);
        assert_int_equal(use(&channels, "a", &channel), -ENOMEM);
        mem_fail_nth(0);
        assert_null(channels_find(&channels, STR("a")));
        assert_int_equal(channel_number(add(&channels, "a")), 1);
        channels_deinit(&channels);
    }
}

static void the_longest_prefix_of_whole_segments_decides(void **state)
{
    (void)state;
    struct channels channels;
    struct namespace_config configs[] = {{.prefix = STR("a"), .count = 1},
                                         {.prefix = STR("a/b"), .count = 2}};
    channels_init(&channels, configs, 2, 10);
    assert_int_equal(channels_namespace(&channels, STR("a"))->config.count, 1);
    assert_int_equal(channels_namespace(&channels, STR("a/x"))->config.count, 1);
    assert_int_equal(channels_namespace(&channels, STR("a/b"))->config.count, 2);
    assert_int_equal(channels_namespace(&channels, STR("a/b/c"))->config.count, 2);
    assert_int_equal(channels_namespace(&channels, STR("a/bc"))->config.count, 1);
    assert_int_equal(channels_namespace(&channels, STR("ab"))->config.count, 0);
    channels_deinit(&channels);
}

/* The names of a walk, each followed by a space. */
static const char *walked(const struct channels *channels, const char *prefix, const char *after)
{
    static struct channels_walk walk;
    static char names[256];
    size_t len = 0;
    names[0] = 0;
    for (struct channel *channel =
             channels_first(&walk, channels, str_from(prefix), str_from(after));
         channel; channel = channels_next(&walk))
        len += (size_t)snprintf(names + len, sizeof(names) - len, " %.*s",
                                STR_FMT(channel_name(channel)));
    return names;
}

static void channels_are_walked_by_name_under_a_prefix(void **state)
{
    (void)state;
    struct channels channels;
    channels_init(&channels, NULL, 0, 10);
    assert_string_equal(walked(&channels, "", ""), "");
    add(&channels, "b/2");
    add(&channels, "c");
    add(&channels, "b/1");
    add(&channels, "b");
    add(&channels, "b/10");
    assert_string_equal(walked(&channels, "", ""), " b b/1 b/10 b/2 c");
    assert_string_equal(walked(&channels, "b/", ""), " b/1 b/10 b/2");
    assert_string_equal(walked(&channels, "b/1", ""), " b/1 b/10");
    assert_string_equal(walked(&channels, "b/1", "b/1"), " b/10");
    assert_string_equal(walked(&channels, "b/", "a"), " b/1 b/10 b/2");
    assert_string_equal(walked(&channels, "b/", "c"), "");
    channels_remove(&channels, channels_find(&channels, STR("b/1")));
    assert_string_equal(walked(&channels, "b", ""), " b b/10 b/2");
    channels_deinit(&channels);
}

static struct channel *load(struct channels *channels, const char *name, uint32_t number)
{
    struct channel *channel;
    assert_int_equal(channels_load(channels, str_from(name), number, &channel), 0);
    return channel;
}

static void loaded_channels_are_found_and_walked(void **state)
{
    (void)state;
    static const char *const want[] = {"a", "a/1", "b", "new"};
    struct channels channels;
    struct channels_walk walk;
    channels_init(&channels, NULL, 0, 2); /* stored channels are known beyond the limit */
    channels_expect(&channels, 3);
    load(&channels, "b", 1);
    struct channel *a1 = load(&channels, "a/1", 5000);
    load(&channels, "a", 7000);
    assert_int_equal(channels_index(&channels), 0);
    assert_ptr_equal(channels_find(&channels, STR("a/1")), a1);
    assert_ptr_equal(channels_by_number(&channels, 5000), a1);
    channels.count_max = 4;
    assert_int_equal(channel_number(add(&channels, "new")), 7001);
    struct channel *channel = channels_first(&walk, &channels, STR(""), STR(""));
    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++, channel = channels_next(&walk))
        assert_true(channel && str_eq(channel_name(channel), str_from(want[i])));
    assert_null(channel);
    channels_deinit(&channels);
}

static void two_numbers_of_one_name_become_one_channel(void **state)
{
    (void)state;
    struct channels channels;
    channels_init(&channels, NULL, 0, 10);
    struct channel *first = load(&channels, "a", 1);
    struct channel *twin = load(&channels, "a", 2);
    load(&channels, "b", 3);
    first->last = 10;
    first->count = 1;
    first->bytes = 5;
    twin->last = 20;
    twin->count = 2;
    twin->bytes = 7;
    twin->trimmed = 15;
    assert_int_equal(channels_index(&channels), 0);
    assert_int_equal(channels.by_name.count, 2);
    assert_int_equal(channels.order.count, 2);
    assert_ptr_equal(channels_find(&channels, STR("a")), first);
    assert_null(channels_by_number(&channels, 2));
    assert_int_equal(first->last, 20);
    assert_int_equal(first->count, 3);
    assert_int_equal(first->bytes, 12);
    assert_int_equal(first->trimmed, 15);
    channels_remove(&channels, first);
    assert_null(channels_find(&channels, STR("a")));
    channels_deinit(&channels);
}

static void without_memory_nothing_is_loaded(void **state)
{
    (void)state;
    struct channels channels;
    struct channel *channel;
    channels_init(&channels, NULL, 0, 10);
    static const unsigned long nths[] = {1, 2, 2}; /* the rows of chunks, a chunk, the channel */
    for (size_t i = 0; i < sizeof(nths) / sizeof(*nths); i++) {
        mem_fail_nth(nths[i]);
        assert_int_equal(channels_load(&channels, STR("a"), 1, &channel), -ENOMEM);
        mem_fail_nth(0);
    }
    load(&channels, "a", 1);
    mem_fail_nth(1);
    assert_int_equal(channels_index(&channels), -ENOMEM);
    mem_fail_nth(0);
    assert_int_equal(channels_index(&channels), 0);
    channels_deinit(&channels);
}

static struct str prefix_of(const struct channels *channels, const char *name)
{
    return channels_namespace(channels, str_from(name))->config.prefix;
}

static void namespaces_go_by_whole_segments(void **state)
{
    (void)state;
    struct channels channels;
    static const struct namespace_config configs[] = {{.prefix = STR("a")},
                                                      {.prefix = STR("a/b/c")},
                                                      {.prefix = STR("a/b")},
                                                      {.prefix = STR("long/long")},
                                                      {.prefix = STR("a/b"), .count = 7}};
    channels_init(&channels, configs, 5, 10);
    assert_true(str_eq(prefix_of(&channels, "a"), STR("a")));
    assert_true(str_eq(prefix_of(&channels, "a/x/b"), STR("a")));
    assert_true(str_eq(prefix_of(&channels, "a/b"), STR("a/b")));
    assert_true(str_eq(prefix_of(&channels, "a/bc/d"), STR("a")));
    assert_true(str_eq(prefix_of(&channels, "a/b/c"), STR("a/b/c")));
    assert_true(str_eq(prefix_of(&channels, "a/b/c/d/e/f/g"), STR("a/b/c")));
    assert_true(str_eq(prefix_of(&channels, "long/lon"), STR("")));
    assert_true(str_eq(prefix_of(&channels, "ab"), STR("")));
    assert_true(str_eq(prefix_of(&channels, "long/long/x"), STR("long/long")));
    channels_deinit(&channels);
}

/* Each is found by lookups, a single one if all prefixes have the same length. */
static void a_thousand_namespaces_are_told_apart(void **state)
{
    enum { SPACES = 1000 };
    (void)state;
    struct channels channels;
    static char texts[SPACES][16];
    static struct namespace_config configs[SPACES];
    for (unsigned i = 0; i < SPACES; i++) {
        snprintf(texts[i], sizeof(texts[i]), "n/%04u", i);
        configs[i].prefix = str_from(texts[i]);
    }
    channels_init(&channels, configs, SPACES, 10);
    for (unsigned i = 0; i < SPACES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n/%04u/x", i);
        assert_true(str_eq(prefix_of(&channels, name), configs[i].prefix));
    }
    assert_true(str_eq(prefix_of(&channels, "n/1000/x"), STR("")));
    channels_deinit(&channels);
}

/* Streams may be compressed only if each channel that they could ever have may be. */
static void a_selection_may_be_compressed_if_all_of_its_namespaces_allow_it(void **state)
{
    (void)state;
    static const struct {
        const char *terms[2];
        bool want;
    } rows[] = {
        {{"z"}, true},           {{"z/a"}, true},        {{"z/secret"}, false},
        {{"z/secret/a"}, false}, {{"z/a", "b"}, false},  {{"b"}, false},
        {{"zz"}, false},         {{"z/a", "z/b"}, true}, {{"z/**"}, false},
        {{"z/*"}, false},        {{"z/a/**"}, true},     {{"z/*/a/b"}, false},
        {{"*"}, false},          {{"**"}, false},        {{"*/a"}, false},
        {{"y/**"}, true},        {{"y/*", "y/b"}, true}, {{"y/**", "z"}, true},
        {{"y/**", "x"}, false},  {{"*/b/c"}, false},
    };
    static const struct namespace_config configs[] = {
        {.prefix = STR("z"), .compress = true},
        {.prefix = STR("z/secret")},
        {.prefix = STR("y"), .compress = true},
        {.prefix = STR("y/more"), .compress = true},
    };
    struct channels channels, without;
    channels_init(&channels, configs, 4, 10);
    channels_init(&without, configs + 1, 1, 10);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str terms[] = {str_from(rows[i].terms[0]),
                              rows[i].terms[1] ? str_from(rows[i].terms[1]) : STR_NONE};
        struct selection *selection = selection_new(terms, rows[i].terms[1] ? 2 : 1, NULL, 0, NULL);
        if (channels_may_compress(&channels, selection) != rows[i].want)
            fail_msg("%s", rows[i].terms[0]);
        assert_false(channels_may_compress(&without, selection));
        selection_unref(selection);
    }
    channels_deinit(&channels);
    channels_deinit(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_is_found_by_name_and_by_number),
        cmocka_unit_test(a_number_is_given_again_once_it_is_released),
        cmocka_unit_test(the_memory_of_the_table_is_counted),
        cmocka_unit_test(a_number_in_use_or_never_given_is_not_released),
        cmocka_unit_test(a_free_number_stays_free_if_there_is_no_memory_for_its_channel),
        cmocka_unit_test(released_numbers_bound_the_table),
        cmocka_unit_test(names_of_the_past_take_no_room),
        cmocka_unit_test(beyond_the_most_that_may_be_a_name_is_refused),
        cmocka_unit_test(nobody_can_fill_the_table_alone),
        cmocka_unit_test(without_memory_for_a_share_no_channel_is_made),
        cmocka_unit_test(a_prepared_channel_counts_once_it_is_claimed),
        cmocka_unit_test(a_claim_that_is_taken_back_leaves_a_prepared_channel),
        cmocka_unit_test(the_number_of_a_dropped_channel_is_noted_only_with_the_next_event),
        cmocka_unit_test(without_memory_no_channel_is_prepared),
        cmocka_unit_test(the_server_itself_and_small_tables_know_no_shares),
        cmocka_unit_test(without_memory_nothing_is_added),
        cmocka_unit_test(the_longest_prefix_of_whole_segments_decides),
        cmocka_unit_test(channels_are_walked_by_name_under_a_prefix),
        cmocka_unit_test(loaded_channels_are_found_and_walked),
        cmocka_unit_test(two_numbers_of_one_name_become_one_channel),
        cmocka_unit_test(without_memory_nothing_is_loaded),
        cmocka_unit_test(namespaces_go_by_whole_segments),
        cmocka_unit_test(a_thousand_namespaces_are_told_apart),
        cmocka_unit_test(a_selection_may_be_compressed_if_all_of_its_namespaces_allow_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
