#include "webhooks/progress/delivery_log.h"

#include "webhooks/progress/registry_testing.h"

#include <errno.h>

static void add(struct registry *registry, uint64_t n, uint32_t number, enum delivery_state state)
{
    struct logged_attempt attempt = registry_testing_attempt(n, number, state);
    if (state == DELIVERY_DEAD)
        attempt.letter = STR("packed");
    assert_int_equal(delivery_log_add(registry_delivery_log(registry), &attempt), 0);
}

static bool tells(struct registry *registry, const struct delivery_query *query, const char *text)
{
    struct buf out = {0};
    assert_int_equal(delivery_log_write(registry_delivery_log(registry), query, &out), 0);
    buf_add_char(&out, '\0');
    bool has = strstr(out.at, text) != NULL;
    buf_free(&out);
    return has;
}

static const struct delivery_query all = {.endpoint = 1, .limit = 100};

static void a_delivery_is_told_with_every_attempt(void **state)
{
    add(*state, 7, 1, DELIVERY_FAILING);
    add(*state, 7, 2, DELIVERY_DELIVERED);
    assert_true(
        tells(*state, &all, "{\"n\":7,\"state\":\"delivered\",\"event\":\"0000000000001007\""));
    assert_true(tells(*state, &all,
                      "{\"number\":1,\"time\":\"1970-01-01T00:00:07.000000Z\",\"ms\":1.500,"
                      "\"status\":500,\"response\":\"body\"}"));
    assert_true(tells(*state, &all, "{\"number\":2,"));
}

static void an_accepted_first_attempt_is_listed_once_another_follows(void **state)
{
    add(*state, 7, 1, DELIVERY_DELIVERED);
    assert_true(tells(*state, &all, "[{\"number\":1,"));
    add(*state, 7, 2, DELIVERY_DELIVERED);
    assert_true(tells(*state, &all, "[{\"number\":1,"));
    assert_true(tells(*state, &all, ",{\"number\":2,"));
}

static void assert_extent(struct registry *registry, uint64_t n, uint64_t first, uint64_t last)
{
    struct dead_letter letter;
    assert_int_equal(delivery_log_find(registry_delivery_log(registry), 1, n, &letter), 0);
    assert_int_equal(letter.first, first);
    assert_int_equal(letter.last, last);
    buf_free(&letter.events);
}

static void a_retry_that_carries_a_part_is_recorded_as_that_part(void **state)
{
    struct logged_attempt page = registry_testing_attempt(7, 1, DELIVERY_FAILING);
    page.last = 1026;
    page.count = 20;
    assert_int_equal(delivery_log_add(registry_delivery_log(*state), &page), 0);
    assert_extent(*state, 7, 1007, 1026);
    page.number = 2;
    page.last = 1010;
    page.count = 4;
    assert_int_equal(delivery_log_add(registry_delivery_log(*state), &page), 0);
    assert_extent(*state, 7, 1007, 1010);
    page.number = 3;
    page.first = page.last = 1008;
    page.count = 0; /* a resend of a dead letter, or a gap: the delivery's state stays */
    assert_int_equal(delivery_log_add(registry_delivery_log(*state), &page), 0);
    assert_extent(*state, 7, 1007, 1010);
}

static void filters_leave_out_the_others(void **state)
{
    add(*state, 1, 1, DELIVERY_DELIVERED);
    add(*state, 2, 1, DELIVERY_FAILING);
    struct delivery_query failing = all, other = all, none = all, page = all;
    failing.states = 1U << DELIVERY_FAILING;
    assert_true(tells(*state, &failing, "\"n\":2"));
    assert_false(tells(*state, &failing, "\"n\":1"));
    other.endpoint = 2;
    assert_false(tells(*state, &other, "\"n\""));
    none.channel = STR("b");
    assert_false(tells(*state, &none, "\"n\""));
    page.limit = 1;
    assert_true(tells(*state, &page, "\"more\":true,\"next\":\"?before=2&limit=1\""));
}

/* Responses of many attempts are large together. */
static void a_page_of_large_responses_ends_and_the_next_goes_on(void **state)
{
    enum { DELIVERIES = 40, ATTEMPTS = 10, BODY = 16384 };
    static char body[BODY];
    memset(body, 'x', BODY);
    struct delivery_query query = {.endpoint = 1, .limit = 100};
    for (uint64_t n = 1; n <= DELIVERIES; n++) {
        for (uint32_t i = 1; i <= ATTEMPTS; i++) {
            struct logged_attempt attempt = registry_testing_attempt(n, i, DELIVERY_FAILING);
            attempt.response = (struct str){body, BODY};
            assert_int_equal(delivery_log_add(registry_delivery_log(*state), &attempt), 0);
        }
    }
    unsigned pages = 0, told = 0;
    for (uint64_t before = DELIVERIES + 1; before; pages++) {
        struct buf out = {0};
        query.before = before;
        assert_int_equal(delivery_log_write(registry_delivery_log(*state), &query, &out), 0);
        assert_in_range(out.len, 1, (1 << 20) + ATTEMPTS * (BODY + 200));
        buf_add_char(&out, '\0');
        for (const char *at = out.at; (at = strstr(at, "{\"n\":")); at++)
            told++;
        const char *next = strstr(out.at, "?before=");
        before = next ? strtoull(next + 8, NULL, 10) : 0;
        buf_free(&out);
    }
    assert_int_equal(told, DELIVERIES);
    assert_in_range(pages, 6, 8);
}

static void the_last_of_many_attempts_are_told(void **state)
{
    for (uint32_t i = 1; i <= 150; i++)
        add(*state, 7, i, DELIVERY_FAILING);
    assert_false(tells(*state, &all, "\"number\":50,"));
    assert_true(tells(*state, &all, "[{\"number\":51,"));
    assert_true(tells(*state, &all, "{\"number\":150,"));
}

static void the_next_page_has_the_filters_of_this_one(void **state)
{
    struct delivery_query query = {.endpoint = 1, .limit = 1};
    for (uint64_t n = 1; n <= 3; n++)
        add(*state, n, 1, DELIVERY_FAILING);
    query.states = 1U << DELIVERY_FAILING | 1U << DELIVERY_DEAD;
    assert_true(tells(*state, &query, "\"?before=3&limit=1&state=failing&state=dead\""));
    query.states = 1U << DELIVERY_DELIVERED | 1U << DELIVERY_FAILING;
    query.channel = STR("a");
    assert_true(
        tells(*state, &query, "\"?before=3&limit=1&state=delivered&state=failing&channel=a\""));
    query = (struct delivery_query){
        .endpoint = 1, .limit = 0, .event = 1003, .channel = STR("a&b=\"/ü")};
    assert_true(tells(*state, &query,
                      "\"?before=0&limit=0&event=0000000000001003&channel=a%26b%3D%22%2F%C3%BC\""));
    query = (struct delivery_query){.endpoint = 1, .limit = 2, .kept = STR("&_=1&utm_x=y")};
    assert_true(tells(*state, &query, "\"?before=2&limit=2&_=1&utm_x=y\""));
}

static void pruning_spares_dead_letters_and_what_is_young(void **state)
{
    for (uint64_t n = 1; n <= 10; n++)
        add(*state, n, 1, n == 1 ? DELIVERY_DEAD : n == 9 ? DELIVERY_FAILING : DELIVERY_DELIVERED);
    struct delivery_log *log = registry_delivery_log(*state);
    assert_int_equal(delivery_log_prune(log, 5000000, 3, 100), 0);
    assert_true(tells(*state, &all, "\"n\":1,"));
    for (int n = 2; n <= 6; n++) {
        char text[16];
        snprintf(text, sizeof(text), "\"n\":%d,", n);
        assert_false(tells(*state, &all, text));
    }
    assert_true(tells(*state, &all, "\"n\":7,"));
    assert_true(tells(*state, &all, "\"n\":10,"));
}

static void a_skipped_delivery_has_its_error_and_is_pruned_like_a_delivered_one(void **state)
{
    for (uint64_t n = 1; n <= 10; n++) {
        struct logged_attempt attempt = registry_testing_attempt(n, 1, DELIVERY_SKIPPED);
        attempt.status = 0;
        attempt.response = STR("");
        attempt.error = "loop: 8 hops";
        assert_int_equal(delivery_log_add(registry_delivery_log(*state), &attempt), 0);
    }
    struct delivery_query skipped = all, failed = all;
    skipped.states = 1U << DELIVERY_SKIPPED;
    skipped.limit = 1;
    failed.states = 1U << DELIVERY_FAILING | 1U << DELIVERY_DEAD;
    assert_true(tells(*state, &skipped, "{\"n\":10,\"state\":\"skipped\",\"event\":"));
    assert_true(tells(*state, &skipped, "\"status\":null,\"error\":\"loop: 8 hops\"}]"));
    assert_true(tells(*state, &skipped, "\"?before=10&limit=1&state=skipped\""));
    assert_false(tells(*state, &failed, "\"n\":"));
    assert_int_equal(delivery_log_prune(registry_delivery_log(*state), 0, 3, 100), 0);
    assert_false(tells(*state, &all, "\"n\":6,"));
    assert_true(tells(*state, &all, "\"n\":7,"));
    add(*state, 7, 2, DELIVERY_DELIVERED);
    assert_true(tells(*state, &all, "\"error\":\"loop: 8 hops\"},{\"number\":2,"));
}

static void a_dead_letter_is_kept_until_it_is_dealt_with(void **state)
{
    struct delivery_log *log = registry_delivery_log(*state);
    struct dead_letter letter = {0};
    uint64_t numbers[4], dead;
    size_t count;
    add(*state, 3, 1, DELIVERY_DEAD);
    add(*state, 4, 1, DELIVERY_DEAD);
    assert_int_equal(delivery_log_dead(log, 1, &dead), 0);
    assert_int_equal(dead, 2);
    assert_int_equal(delivery_log_find(log, 1, 3, &letter), 0);
    assert_true(str_eq(buf_str(&letter.events), STR("packed")));
    buf_free(&letter.events);
    assert_int_equal(delivery_log_find(log, 2, 3, &letter), -ENOENT);
    add(*state, 3, 2, DELIVERY_DELIVERED);
    assert_int_equal(delivery_log_list_dead(log, 1, 0, numbers, 4, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(numbers[0], 4);
    assert_int_equal(delivery_log_drop(log, 1, 3), -ENOENT);
    assert_int_equal(delivery_log_drop(log, 1, 4), 0);
    assert_int_equal(delivery_log_dead(log, 1, &dead), 0);
    assert_int_equal(dead, 0);
}

static unsigned count_told(struct registry *registry)
{
    struct buf out = {0};
    unsigned count = 0;
    assert_int_equal(delivery_log_write(registry_delivery_log(registry), &all, &out), 0);
    buf_add_char(&out, '\0');
    for (const char *at = out.at; (at = strstr(at, "\"n\":")); at++)
        count++;
    buf_free(&out);
    return count;
}

/* Pruning ends however few deliveries a call looks at, and however many stay. */
static void pruning_goes_on_where_it_was(void **state)
{
    struct delivery_log *log = registry_delivery_log(*state);
    for (uint64_t n = 1; n <= 40; n++)
        add(*state, n, 1, n <= 20 ? DELIVERY_FAILING : DELIVERY_DELIVERED);
    for (int i = 0; i < 30; i++)
        assert_int_equal(delivery_log_prune(log, 0, 5, 2), 0);
    assert_int_equal(count_told(*state), 20 + 6);
    /* A delivery that succeeds after the pruning has passed it goes in the next round. */
    add(*state, 7, 2, DELIVERY_DELIVERED);
    for (int i = 0; i < 30; i++)
        assert_int_equal(delivery_log_prune(log, 0, 5, 2), 0);
    assert_int_equal(count_told(*state), 19 + 6);
}

static void deliveries_of_a_deleted_endpoint_are_pruned(void **state)
{
    struct delivery_log *log = registry_delivery_log(*state);
    struct dead_letter letter = {0};
    for (uint64_t n = 1; n <= 10; n++)
        add(*state, n, 1, n == 3 ? DELIVERY_DEAD : DELIVERY_DELIVERED);
    assert_int_equal(registry_delete(*state, "wh_a"), 0);
    for (int i = 0; i < 6; i++)
        assert_int_equal(delivery_log_prune(log, 0, 100, 2), 0);
    assert_int_equal(delivery_log_find(log, 1, 3, &letter), -ENOENT);
    assert_int_equal(count_told(*state), 1); /* the newest delivery stays, so that numbers go on */
}

static void an_attempt_of_a_delivery_that_is_gone_is_dropped(void **state)
{
    add(*state, 3, 2, DELIVERY_FAILING);
    assert_false(tells(*state, &all, "\"n\""));
}

static void numbers_go_on_above_what_there_is(void **state)
{
    uint64_t n;
    add(*state, 41, 1, DELIVERY_DELIVERED);
    assert_int_equal(delivery_log_newest(registry_delivery_log(*state), &n), 0);
    assert_int_equal(n, 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, registry_testing_set_up, registry_testing_tear_down)
        TEST(a_delivery_is_told_with_every_attempt),
        TEST(a_page_of_large_responses_ends_and_the_next_goes_on),
        TEST(the_last_of_many_attempts_are_told),
        TEST(an_accepted_first_attempt_is_listed_once_another_follows),
        TEST(a_retry_that_carries_a_part_is_recorded_as_that_part),
        TEST(filters_leave_out_the_others),
        TEST(the_next_page_has_the_filters_of_this_one),
        TEST(pruning_spares_dead_letters_and_what_is_young),
        TEST(pruning_goes_on_where_it_was),
        TEST(deliveries_of_a_deleted_endpoint_are_pruned),
        TEST(a_skipped_delivery_has_its_error_and_is_pruned_like_a_delivered_one),
        TEST(a_dead_letter_is_kept_until_it_is_dealt_with),
        TEST(an_attempt_of_a_delivery_that_is_gone_is_dropped),
        TEST(numbers_go_on_above_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
