#include "webhooks/progress/bundle.h"

#include "webhooks/progress/registry_testing.h"

/* ---- what is written ------------------------------------------------------------------------- */

struct found {
    struct lane_row lanes[4];
    size_t count;
    struct endpoint_row row;
};

static void take_lane(void *context, struct lane_row *row)
{
    struct found *found = context;
    assert_true(found->count < 4);
    found->lanes[found->count++] = *row;
}

static void take_row(void *context, struct endpoint_row *row)
{
    struct found *found = context;
    endpoint_row_free(&found->row);
    found->row = *row;
}

static void find(struct registry *registry, struct found *found)
{
    *found = (struct found){.count = 0};
    assert_int_equal(registry_load(registry, take_row, found), 0);
    assert_int_equal(registry_load_lanes(registry, take_lane, found), 0);
}

static void found_free(struct found *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->lanes[i].channel);
    endpoint_row_free(&found->row);
}

static bool has_delivery(struct registry *registry, uint64_t n, enum delivery_state state)
{
    struct dead_letter letter = {.n = 0};
    int result = delivery_log_find(registry_delivery_log(registry), 1, n, &letter);
    buf_free(&letter.events);
    return !result && letter.state == state;
}

static void add_lane(struct bundle *bundle, uint64_t slot, const char *channel)
{
    char *name = strdup(channel);
    bundle_add_lane(bundle, &(struct lane_row){
                                .endpoint = 1, .slot = slot, .channel = name, .after = 10 * slot});
    memset(name, 'x', strlen(name)); /* it was copied */
    free(name);
}

static void add_attempt(struct bundle *bundle, uint64_t n, uint32_t number,
                        enum delivery_state state)
{
    struct logged_attempt attempt = registry_testing_attempt(n, number, state);
    bundle_add_attempt(bundle, &attempt);
}

static int write_and_free(struct bundle *bundle, struct registry *registry)
{
    int result = bundle_write(&bundle->job, registry);
    bundle_free(bundle);
    return result;
}

static void a_bundle_saves_progress_lanes_and_attempts(void **state)
{
    struct bundle *bundle = bundle_new();
    struct found found;
    struct endpoint_row row = registry_testing_row();
    row.failures = 3;
    bundle_add_endpoint(bundle, &row, 700, 5, true);
    add_lane(bundle, 1, "a");
    add_lane(bundle, 2, "b");
    add_attempt(bundle, 7, 1, DELIVERY_FAILING);
    assert_int_equal(bundle->rows[0].accepted, 5);
    assert_int_equal(write_and_free(bundle, *state), 0);
    find(*state, &found);
    assert_int_equal(found.row.cursor, 700);
    assert_int_equal(found.row.failures, 3);
    assert_int_equal(found.count, 2);
    assert_string_equal(found.lanes[0].channel, "a");
    assert_int_equal(found.lanes[1].after, 20);
    assert_true(has_delivery(*state, 7, DELIVERY_FAILING));
    found_free(&found);
}

static void a_lane_that_is_over_and_a_delivery_that_is_not_tried_again_are_saved(void **state)
{
    struct bundle *bundle = bundle_new();
    struct found found;
    add_lane(bundle, 1, "a");
    add_lane(bundle, 2, "b");
    bundle_drop_lane(bundle, 1, 1);
    add_attempt(bundle, 7, 1, DELIVERY_FAILING);
    add_attempt(bundle, 8, 1, DELIVERY_DELIVERED);
    bundle_add_skipped(bundle, 7);
    bundle_add_skipped(bundle, 8);
    assert_int_equal(write_and_free(bundle, *state), 0);
    find(*state, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.lanes[0].channel, "b");
    assert_true(has_delivery(*state, 7, DELIVERY_SKIPPED));
    assert_true(has_delivery(*state, 8, DELIVERY_DELIVERED));
    found_free(&found);
}

/* ---- failures -------------------------------------------------------------------------------- */

static struct bundle *make_bundle(bool whole)
{
    struct bundle *bundle = bundle_new();
    struct endpoint_row row = registry_testing_row();
    bundle->whole = whole;
    bundle_add_endpoint(bundle, &row, 700, 0, true);
    add_lane(bundle, 1, "a");
    add_attempt(bundle, 7, 1, DELIVERY_FAILING);
    return bundle;
}

static void assert_nothing_is_saved(struct registry *registry)
{
    struct found found;
    find(registry, &found);
    assert_int_equal(found.row.cursor, 0);
    assert_int_equal(found.count, 0);
    assert_false(has_delivery(registry, 7, DELIVERY_FAILING));
    found_free(&found);
}

static void a_bundle_that_fails_saves_nothing_and_only_a_whole_one_follows(void **state)
{
    /* The delivery log is written last. */
    static const char *const tables[] = {"lane", "delivery", "attempt"};
    char dir[REGISTRY_DIR_LEN], sql[128];
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        registry_testing_make(dir);
        struct registry *registry = registry_testing_open(dir);
        snprintf(sql, sizeof(sql),
                 "CREATE TRIGGER full BEFORE INSERT ON %s BEGIN SELECT RAISE(ABORT, 'x'); END",
                 tables[i]);
        registry_testing_execute(dir, sql);
        int result = write_and_free(make_bundle(true), registry);
        assert_true(result != 0);
        assert_nothing_is_saved(registry);
        registry_testing_execute(dir, "DROP TRIGGER full");
        for (int again = 0; again < 2; again++) {
            assert_int_equal(write_and_free(make_bundle(false), registry), result);
            assert_nothing_is_saved(registry);
        }
        assert_int_equal(write_and_free(make_bundle(true), registry), 0);
        assert_int_equal(registry_lanes_result(registry), 0);
        assert_int_equal(write_and_free(make_bundle(false), registry), 0);
        assert_true(has_delivery(registry, 7, DELIVERY_FAILING));
        registry_close(registry);
        folder_testing_remove(dir);
    }
}

/* The attempts of a bundle that failed stand behind newer ones. */
static void attempts_that_were_restored_are_written_in_their_order(void **state)
{
    for (int restored = 0; restored < 2; restored++) {
        struct bundle *bundle = bundle_new();
        bundle->restored = restored;
        add_attempt(bundle, 7, 3, DELIVERY_DELIVERED);
        add_attempt(bundle, 9, 1, DELIVERY_DELIVERED);
        add_attempt(bundle, 7, 1, DELIVERY_FAILING);
        add_attempt(bundle, 7, 2, DELIVERY_FAILING);
        assert_int_equal(write_and_free(bundle, *state), 0);
        assert_true(has_delivery(*state, 7, restored ? DELIVERY_DELIVERED : DELIVERY_FAILING));
        assert_true(has_delivery(*state, 9, DELIVERY_DELIVERED));
    }
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static void responses_are_left_out_once_they_are_too_large_together(void **state)
{
    enum { SIZE = 1 << 20, MOST = 16, COUNT = 20 };
    struct bundle *bundle = bundle_new();
    char *response = mem_alloc(SIZE);
    memset(response, 'x', SIZE);
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        struct logged_attempt attempt = registry_testing_attempt(i + 1, 1, DELIVERY_DELIVERED);
        attempt.response = (struct str){response, SIZE};
        bundle_add_attempt(bundle, &attempt);
    }
    free(response);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(bundle->attempts[i].response.len, i <= MOST ? SIZE : 0);
        assert_int_equal(bundle->attempts[i].channel.len, 1); /* its other texts stay */
    }
    bundle_free(bundle);
}

static void an_attempt_for_which_memory_lacks_is_saved_without_its_texts(void **state)
{
    enum { SIZE = 100000, TEXTS = 3 };
    char *text = mem_alloc(SIZE); /* more than an arena has at hand */
    memset(text, 'x', SIZE);
    for (unsigned long nth = 1; nth <= TEXTS; nth++) {
        struct bundle *bundle = bundle_new();
        struct logged_attempt attempt = registry_testing_attempt(6 + nth, 1, DELIVERY_FAILING);
        add_attempt(bundle, 1, 1, DELIVERY_DELIVERED); /* makes room for the attempts themselves */
        attempt.channel = attempt.type = attempt.response = (struct str){text, SIZE};
        mem_fail_nth(nth);
        bundle_add_attempt(bundle, &attempt);
        mem_fail_nth(0);
        const struct logged_attempt *copy = &bundle->attempts[1];
        assert_int_equal(copy->channel.len + copy->type.len + copy->response.len, 2 * SIZE);
        assert_int_equal(write_and_free(bundle, *state), 0);
        assert_true(has_delivery(*state, 6 + nth, DELIVERY_FAILING));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, registry_testing_set_up, registry_testing_tear_down)
        TEST(a_bundle_saves_progress_lanes_and_attempts),
        TEST(a_lane_that_is_over_and_a_delivery_that_is_not_tried_again_are_saved),
        TEST(a_bundle_that_fails_saves_nothing_and_only_a_whole_one_follows),
        TEST(attempts_that_were_restored_are_written_in_their_order),
        TEST(responses_are_left_out_once_they_are_too_large_together),
        TEST(an_attempt_for_which_memory_lacks_is_saved_without_its_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
