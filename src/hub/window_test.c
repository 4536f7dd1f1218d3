#include "hub/window.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BIG = 1 << 20, START = 100 };

static const uint64_t name_seed[2] = {17, 4};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct fixture {
    struct topics topics;
    struct window window;
    struct batch *batch; /* being made */
    uint64_t last;
    char told[4096]; /* events that `each` was called with, or a read gave: their data, separated by
                      * spaces */
    unsigned stop_after;
    unsigned given;
};

static void begin(struct fixture *fixture, size_t bytes_max)
{
    *fixture = (struct fixture){.last = START, .stop_after = UINT32_MAX};
    topics_init(&fixture->topics, name_seed);
    window_init(&fixture->window, &fixture->topics, bytes_max, START);
}

static void end(struct fixture *fixture)
{
    window_deinit(&fixture->window);
    assert_int_equal(fixture->topics.names.count, 0);
    topics_deinit(&fixture->topics);
}

static void note(struct fixture *fixture, const struct event *event)
{
    size_t len = strlen(fixture->told);
    snprintf(fixture->told + len, sizeof(fixture->told) - len, "%.*s ", STR_FMT(event->data));
}

static bool on_read(void *context, const struct event *event)
{
    struct fixture *fixture = context;
    note(fixture, event);
    return ++fixture->given < fixture->stop_after;
}

static struct event *propose(struct fixture *fixture, const char *channel, const char *data)
{
    if (!fixture->batch)
        fixture->batch = batch_new();
    struct event *event = batch_add(fixture->batch);
    event->channel = batch_copy(fixture->batch, str_from(channel));
    event->hash = (uint32_t)map_hash(name_seed, event->channel);
    event->data = batch_copy(fixture->batch, str_from(data));
    event->type = STR("message");
    event->state = EVENT_APPENDED;
    event->id = ++fixture->last;
    return event;
}

static void add_event(struct fixture *fixture, const struct event *event)
{
    if (event->state == EVENT_APPENDED)
        window_put(&fixture->window, event);
    if (event->state == EVENT_APPENDED || event->state == EVENT_EPHEMERAL)
        note(fixture, event);
    if (event->state == EVENT_TRIM)
        window_trim(&fixture->window, event);
}

static void add(struct fixture *fixture)
{
    fixture->told[0] = '\0';
    window_open(&fixture->window, fixture->batch);
    for (uint32_t i = 0; i < fixture->batch->count; i++)
        add_event(fixture, &fixture->batch->events[i]);
    window_close(&fixture->window, fixture->batch);
    fixture->batch = batch_unref(fixture->batch);
}

static void add_one(struct fixture *fixture, const char *channel, const char *data)
{
    propose(fixture, channel, data);
    add(fixture);
}

static void trim(struct fixture *fixture, const char *channel, uint64_t upto)
{
    struct event *mark = propose(fixture, channel, "");
    fixture->last--;
    mark->state = EVENT_TRIM;
    mark->id = upto;
    add(fixture);
}

static struct selection *select_terms(const char *terms, const char *type)
{
    struct str term[SELECTION_TERMS_MAX], types = type ? str_from(type) : STR_NONE;
    size_t count = 0;
    for (struct str rest = str_from(terms); rest.at;)
        term[count++] = str_cut(&rest, ' ');
    return selection_new(term, count, &types, type ? 1 : 0, NULL);
}

static uint64_t read_rows(struct fixture *fixture, const char *terms, const char *type,
                          uint64_t after, uint64_t rows)
{
    struct selection *selection = select_terms(terms, type);
    fixture->told[0] = '\0';
    fixture->given = 0;
    uint64_t through =
        window_read(&fixture->window, selection, after, rows, NULL, on_read, fixture);
    selection_unref(selection);
    return through;
}

static uint64_t read(struct fixture *fixture, const char *terms, uint64_t after)
{
    return read_rows(fixture, terms, NULL, after, BIG);
}

static bool may_have(struct fixture *fixture, const char *terms, uint64_t after)
{
    struct selection *selection = select_terms(terms, NULL);
    bool may = window_may_have(&fixture->window, selection, after);
    selection_unref(selection);
    return may;
}

static void an_empty_window_begins_behind_the_newest(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    assert_int_equal(fixture.window.held_above, START);
    assert_int_equal(fixture.window.applied, START);
    assert_int_equal(read(&fixture, "a", START), START);
    assert_int_equal(read(&fixture, "**", START), START);
    assert_string_equal(fixture.told, "");
    end(&fixture);
}

static void events_come_back_in_log_order_by_name_and_by_pattern(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    propose(&fixture, "a", "a1");
    propose(&fixture, "b", "b2");
    propose(&fixture, "a", "a3");
    add(&fixture);
    assert_string_equal(fixture.told, "a1 b2 a3 ");
    add_one(&fixture, "c", "c4");
    assert_int_equal(read(&fixture, "a", START), START + 4);
    assert_string_equal(fixture.told, "a1 a3 ");
    assert_int_equal(read(&fixture, "b a", START), START + 4);
    assert_string_equal(fixture.told, "a1 b2 a3 ");
    assert_int_equal(read(&fixture, "*", START + 1), START + 4);
    assert_string_equal(fixture.told, "b2 a3 c4 ");
    assert_int_equal(read(&fixture, "nobody", START), START + 4);
    assert_string_equal(fixture.told, "");
    end(&fixture);
}

static void more_names_than_threads_are_gathered_are_scanned(void **state)
{
    (void)state;
    struct fixture fixture;
    char terms[400] = "a";
    begin(&fixture, BIG);
    for (int i = 0; i < 40; i++)
        snprintf(terms + strlen(terms), sizeof(terms) - strlen(terms), " n%d", i);
    add_one(&fixture, "n7", "7");
    add_one(&fixture, "x", "x");
    add_one(&fixture, "a", "a");
    assert_int_equal(read(&fixture, terms, START), START + 3);
    assert_string_equal(fixture.told, "7 a ");
    end(&fixture);
}

static void whether_there_may_be_events_is_told_of_a_few_names(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    add_one(&fixture, "a", "1");
    add_one(&fixture, "b", "2");
    assert_true(may_have(&fixture, "a", START));
    assert_false(may_have(&fixture, "a", START + 1));
    assert_true(may_have(&fixture, "a b", START + 1));
    assert_false(may_have(&fixture, "a b", START + 2));
    assert_false(may_have(&fixture, "nobody", START));
    assert_true(may_have(&fixture, "nobody", START - 1)); /* the store may have some */
    assert_true(may_have(&fixture, "*", START + 2));
    trim(&fixture, "a", START + 1);
    assert_true(may_have(&fixture, "a", START)); /* the newest event was trimmed, so the window
                                                  * cannot tell */
    end(&fixture);
}

static void types_are_asked_for_both_ways(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    propose(&fixture, "a", "1");
    propose(&fixture, "a", "2")->type = STR("trade");
    add(&fixture);
    read_rows(&fixture, "a", "trade", START, BIG);
    assert_string_equal(fixture.told, "2 ");
    read_rows(&fixture, "**", "trade", START, BIG);
    assert_string_equal(fixture.told, "2 ");
    end(&fixture);
}

static void a_read_that_stops_says_how_far_it_came(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    for (int i = 0; i < 5; i++)
        propose(&fixture, i % 2 ? "b" : "a", "x");
    add(&fixture);
    fixture.stop_after = 2;
    assert_int_equal(read(&fixture, "a", START), START + 3);
    assert_int_equal(read(&fixture, "*", START), START + 2);
    fixture.stop_after = UINT32_MAX;
    /* Rows count whether they match or not. */
    assert_int_equal(read_rows(&fixture, "**", "none", START, 3), START + 3);
    assert_int_equal(read_rows(&fixture, "**", "none", START + 3, 3), START + 5);
    end(&fixture);
}

static void the_oldest_events_leave_a_full_window_and_raise_its_floor(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 8192);
    for (int i = 0; i < 50; i++)
        add_one(&fixture, i % 2 ? "odd" : "even", "x");
    struct window *window = &fixture.window;
    assert_true(window->held_above > START);
    assert_int_equal(window->applied, START + 50);
    assert_int_equal(window->end - window->first, window->applied - window->held_above);
    unsigned held = (unsigned)(window->end - window->first);
    assert_int_equal(read(&fixture, "*", window->held_above), START + 50);
    assert_int_equal(fixture.given, held);
    read(&fixture, "odd", window->held_above);
    unsigned odd = fixture.given;
    read(&fixture, "even", window->held_above);
    assert_int_equal(odd + fixture.given, held);
    end(&fixture);
}

static void a_topic_goes_with_its_last_event(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 4096);
    add_one(&fixture, "once", "x");
    assert_non_null(topics_find(&fixture.topics, STR("once")));
    for (int i = 0; i < 20; i++)
        add_one(&fixture, "often", "x");
    assert_null(topics_find(&fixture.topics, STR("once")));
    assert_int_equal(fixture.topics.names.count, 1);
    end(&fixture);
}

static void a_window_grows_up_to_its_limit_of_bytes(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 64 << 20);
    for (int i = 0; i < 3000; i++)
        add_one(&fixture, "a", "x");
    assert_int_equal(fixture.window.held_above, START);
    for (int i = 0; i < 3000; i++)
        propose(&fixture, "b", "");
    add(&fixture);
    assert_int_equal(fixture.window.held_above, START);
    read(&fixture, "*", START);
    assert_int_equal(fixture.given, 6000);
    end(&fixture);
}

static void without_memory_to_grow_the_oldest_falls_out(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 64 << 20);
    for (int i = 0; i < 256; i++)
        add_one(&fixture, "a", "x");
    propose(&fixture, "a", "y");
    mem_fail_nth(1); /* the ring of batches */
    add(&fixture);
    mem_fail_nth(0);
    assert_int_equal(fixture.window.held_above, START + 1);
    assert_int_equal(read(&fixture, "a", START + 1), START + 257);
    assert_int_equal(fixture.given, 256);
    for (int i = 0; i < 900; i++)
        propose(&fixture, "a", "z");
    mem_fail_nth(1); /* the ring of events */
    add(&fixture);
    mem_fail_nth(0);
    assert_int_equal(fixture.window.applied, START + 1157);
    assert_true(fixture.window.held_above > START + 1);
    read(&fixture, "a", fixture.window.held_above);
    assert_int_equal(fixture.given, START + 1157 - fixture.window.held_above);
    end(&fixture);
}

/* An event without a topic is in no channel's thread, so a read by name would miss it. */
static void an_event_without_a_topic_is_read_from_the_store(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, 4096);
    add_one(&fixture, "b", "x");
    propose(&fixture, "a", "lost");
    mem_fail_nth(1);
    add(&fixture);
    mem_fail_nth(0);
    assert_string_equal(fixture.told, "lost ");
    assert_int_equal(fixture.window.applied, START + 2);
    assert_int_equal(fixture.window.held_above, START + 2);
    add_one(&fixture, "a", "kept");
    assert_int_equal(read(&fixture, "a", START + 2), START + 3);
    assert_string_equal(fixture.told, "kept ");
    for (int i = 0; i < 30; i++) {
        uint64_t held_above = fixture.window.held_above;
        add_one(&fixture, "b", "x");
        assert_true(fixture.window.held_above >= held_above);
    }
    end(&fixture);
}

static void a_mark_hides_the_channels_events_up_to_it(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    for (int i = 1; i <= 6; i++) {
        char data[8];
        snprintf(data, sizeof(data), "%d", i);
        add_one(&fixture, i % 2 ? "odd" : "even", data);
    }
    trim(&fixture, "odd", START + 3);
    assert_string_equal(fixture.told, "");
    assert_int_equal(fixture.window.trimmed, START + 3);
    assert_int_equal(fixture.window.applied, START + 6);
    read(&fixture, "odd", START);
    assert_string_equal(fixture.told, "5 ");
    read(&fixture, "*", START);
    assert_string_equal(fixture.told, "2 4 5 6 ");
    read(&fixture, "*", START + 2);
    assert_string_equal(fixture.told, "4 5 6 ");
    trim(&fixture, "odd", START + 1);
    assert_int_equal(fixture.window.trimmed, START + 3);
    trim(&fixture, "unknown", START + 6);
    trim(&fixture, "even", START + 6);
    trim(&fixture, "odd", START + 6);
    assert_int_equal(read(&fixture, "*", START), START + 6);
    assert_string_equal(fixture.told, "");
    assert_int_equal(read(&fixture, "*", START + 4), START + 6);
    add_one(&fixture, "odd", "new");
    read(&fixture, "odd", START);
    assert_string_equal(fixture.told, "new ");
    end(&fixture);
}

static void ephemeral_events_take_no_room_in_the_window(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    propose(&fixture, "a", "eph")->state = EVENT_EPHEMERAL;
    propose(&fixture, "a", "dup")->state = EVENT_DUPLICATE;
    propose(&fixture, "a", "no")->state = EVENT_PROPOSED;
    add(&fixture);
    assert_string_equal(fixture.told, "eph ");
    assert_int_equal(fixture.window.bytes, 0);
    assert_int_equal(fixture.window.applied, START);
    assert_int_equal(fixture.topics.names.count, 0);
    end(&fixture);
}

static void without_memory_to_gather_the_window_is_scanned(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    add_one(&fixture, "a", "1");
    add_one(&fixture, "b", "2");
    add_one(&fixture, "a", "3");
    struct str name = STR("a");
    struct selection *selection = selection_new(&name, 1, NULL, 0, NULL);
    fixture.told[0] = '\0';
    mem_fail_nth(1);
    uint64_t through = window_read(&fixture.window, selection, START, BIG, NULL, on_read, &fixture);
    mem_fail_nth(0);
    selection_unref(selection);
    assert_int_equal(through, START + 3);
    assert_string_equal(fixture.told, "1 3 ");
    end(&fixture);
}

/* Adds so many events of channel a, 100 a batch. */
static void add_many(struct fixture *fixture, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        propose(fixture, "a", "");
        if (i % 100 == 0)
            add(fixture);
    }
}

/* Reads with a budget of so many bytes. */
static uint64_t read_within(struct fixture *fixture, const char *terms, uint64_t after,
                            int64_t bytes)
{
    struct selection *selection = select_terms(terms, NULL);
    struct budget budget;
    budget_begin(&budget, NULL, 0, bytes);
    fixture->told[0] = '\0';
    fixture->given = 0;
    uint64_t through =
        window_read(&fixture->window, selection, after, BIG, &budget, on_read, fixture);
    selection_unref(selection);
    return through;
}

static void rows_spend_a_budget_by_the_terms_they_are_held_against(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, SIZE_MAX);
    add_many(&fixture, 1000);
    uint64_t few = read_within(&fixture, "x/*", START, 10000);
    uint64_t many = read_within(&fixture, "x/* y/* z/* x/*/a y/*/a z/*/a", START, 10000);
    assert_in_range(few - START, 100, 400);
    assert_in_range(many - START, 1, (few - START) / 2);
    assert_int_equal(read_within(&fixture, "x/*", START, 1), START + 1);
    assert_int_equal(read_within(&fixture, "x/*", few, BIG), START + 1000);
    end(&fixture);
}

/* A read ends within its rows whatever its selection names, and says how far it came. Reads in a
 * row give the same events as a single one. */
static void reads_honour_their_rows_whatever_they_select(void **state)
{
    static const char *const selections[] = {
        "a",
        "b",
        "rare",
        "none",
        "a rare",
        "a b rare none",
        "**",
        "*",
        "r*",
        "a */x **",
        "rare **",
        "x/*",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 a",
    };
    static const uint64_t rows[] = {1, 2, 3, 7, 16, 50, BIG};
    struct fixture fixture;
    (void)state;
    begin(&fixture, BIG);
    for (int i = 0; i < 100; i++) {
        char data[4];
        snprintf(data, sizeof(data), "%d", i);
        add_one(&fixture, i % 20 == 19 ? "rare" : i % 3 ? "a" : "b", data);
    }
    for (size_t i = 0; i < COUNT(selections); i++) {
        struct buf all = {0}, parts = {0};
        read(&fixture, selections[i], START);
        buf_add_str(&all, str_from(fixture.told));
        for (size_t k = 0; k < COUNT(rows); k++) {
            buf_clear(&parts);
            for (uint64_t at = START, through; at < fixture.window.applied; at = through) {
                through = read_rows(&fixture, selections[i], NULL, at, rows[k]);
                assert_true(through > at);
                assert_true(fixture.given <= rows[k]);
                buf_add_str(&parts, str_from(fixture.told));
            }
            assert_true(str_eq(buf_str(&parts), buf_str(&all)));
        }
        buf_free(&all);
        buf_free(&parts);
    }
    end(&fixture);
}

/* A walk along a channel's thread counts its steps, not only the events that it gives. */
static void a_walk_that_gives_nothing_ends_within_its_rows(void **state)
{
    static const char *const terms[] = {"a", "a b", "a none"};
    struct fixture fixture;
    (void)state;
    begin(&fixture, SIZE_MAX);
    add_many(&fixture, 5000);
    for (size_t i = 0; i < COUNT(terms); i++) {
        struct selection *selection = select_terms(terms[i], "other");
        struct budget budget;
        budget_begin(&budget, NULL, 0, INT64_MAX);
        fixture.given = 0;
        uint64_t through =
            window_read(&fixture.window, selection, START, 10, &budget, on_read, &fixture);
        assert_int_equal(through, START + 10);
        assert_int_equal(fixture.given, 0);
        assert_in_range(INT64_MAX - budget.bytes_left, 1, 21 * 256);
        selection_unref(selection);
    }
    end(&fixture);
}

/* For each page, the walk from the newest event down to the cursor would be repeated. */
static void a_busy_channel_is_read_forward_from_a_cursor_far_behind(void **state)
{
    (void)state;
    struct fixture fixture;
    enum { MANY = 20000 };
    begin(&fixture, SIZE_MAX);
    add_many(&fixture, MANY);
    assert_int_equal(read_rows(&fixture, "a", NULL, START, 100), START + 100);
    assert_int_equal(fixture.given, 100);
    assert_int_equal(read_rows(&fixture, "a b", NULL, START, 100), START + 100);
    uint64_t near = START + MANY - 500;
    assert_int_equal(read_rows(&fixture, "a", NULL, near, 500), START + MANY);
    assert_int_equal(fixture.given, 500);
    assert_int_equal(read_rows(&fixture, "a", NULL, near, 100), near + 100);
    end(&fixture);
}

static void a_batch_that_passed_by_raises_the_floor_and_is_not_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, BIG);
    add_one(&fixture, "a", "1");
    propose(&fixture, "a", "2");
    window_pass(&fixture.window, fixture.batch);
    fixture.batch = batch_unref(fixture.batch);
    assert_int_equal(fixture.window.bytes, 0);
    assert_int_equal(fixture.window.held_above, fixture.last);
    assert_int_equal(fixture.window.applied, fixture.last);
    propose(&fixture, "a", "")->state = EVENT_TRIM;
    window_pass(&fixture.window, fixture.batch);
    fixture.batch = batch_unref(fixture.batch);
    fixture.last--;
    assert_int_equal(fixture.window.trimmed, fixture.last + 1);
    add_one(&fixture, "a", "3");
    read(&fixture, "a", fixture.window.held_above);
    assert_string_equal(fixture.told, "3 ");
    end(&fixture);
}

/* Adds many events in a batch, each in a channel of its own if `channels`. */
static void add_many_of(struct fixture *fixture, unsigned count, bool channels)
{
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c/%u", channels ? i : 0);
        propose(fixture, name, "");
    }
    window_open(&fixture->window, fixture->batch);
    for (uint32_t i = 0; i < fixture->batch->count; i++)
        window_put(&fixture->window, &fixture->batch->events[i]);
    window_close(&fixture->window, fixture->batch);
    fixture->batch = batch_unref(fixture->batch);
}

static void tables_of_small_events_count_as_the_events_do(void **state)
{
    (void)state;
    enum { EVENTS = 3000 };
    struct fixture fixture;
    begin(&fixture, BIG);
    add_many_of(&fixture, EVENTS, false);
    size_t batch = fixture.window.bytes;
    assert_true(window_bytes(&fixture.window) >= batch + EVENTS * sizeof(struct window_slot) / 2);
    window_miss(&fixture.window, fixture.last);
    assert_int_equal(window_bytes(&fixture.window), 0);
    add_many_of(&fixture, EVENTS, true);
    assert_true(fixture.window.topics_bytes >= EVENTS * sizeof(struct topic));
    end(&fixture);
}

static void tables_shrink_when_large_events_follow_small_ones(void **state)
{
    (void)state;
    struct fixture fixture;
    static char large[BIG / 8];
    begin(&fixture, BIG);
    memset(large, 'x', sizeof(large) - 1);
    for (unsigned i = 0; i < 1000; i++)
        add_one(&fixture, "a", "");
    for (unsigned i = 0; i < 3; i++)
        add_many_of(&fixture, 1000, false);
    assert_true(fixture.window.mask + 1 >= 4096 && fixture.window.batch_mask + 1 >= 1024);
    for (unsigned i = 0; i < 16; i++)
        add_one(&fixture, "a", large);
    assert_true(fixture.window.mask + 1 <= 1024 && fixture.window.batch_mask + 1 <= 256);
    fixture.told[0] = '\0';
    assert_true(window_bytes(&fixture.window) <= BIG + BIG / 4);
    assert_true(fixture.window.batch_end - fixture.window.batch_first >= 6);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_window_begins_behind_the_newest),
        cmocka_unit_test(events_come_back_in_log_order_by_name_and_by_pattern),
        cmocka_unit_test(more_names_than_threads_are_gathered_are_scanned),
        cmocka_unit_test(whether_there_may_be_events_is_told_of_a_few_names),
        cmocka_unit_test(types_are_asked_for_both_ways),
        cmocka_unit_test(a_read_that_stops_says_how_far_it_came),
        cmocka_unit_test(the_oldest_events_leave_a_full_window_and_raise_its_floor),
        cmocka_unit_test(a_topic_goes_with_its_last_event),
        cmocka_unit_test(a_window_grows_up_to_its_limit_of_bytes),
        cmocka_unit_test(without_memory_to_grow_the_oldest_falls_out),
        cmocka_unit_test(an_event_without_a_topic_is_read_from_the_store),
        cmocka_unit_test(a_mark_hides_the_channels_events_up_to_it),
        cmocka_unit_test(ephemeral_events_take_no_room_in_the_window),
        cmocka_unit_test(without_memory_to_gather_the_window_is_scanned),
        cmocka_unit_test(rows_spend_a_budget_by_the_terms_they_are_held_against),
        cmocka_unit_test(reads_honour_their_rows_whatever_they_select),
        cmocka_unit_test(a_walk_that_gives_nothing_ends_within_its_rows),
        cmocka_unit_test(a_busy_channel_is_read_forward_from_a_cursor_far_behind),
        cmocka_unit_test(a_batch_that_passed_by_raises_the_floor_and_is_not_kept),
        cmocka_unit_test(tables_of_small_events_count_as_the_events_do),
        cmocka_unit_test(tables_shrink_when_large_events_follow_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
