#include "log/store/store_check.h"

#include <errno.h>

static struct store *open_store(void)
{
    const struct store_config config = {.dir = NULL};
    struct store *store;
    assert_int_equal(store_memory_open(&config, &store), 0);
    return store;
}

static struct batch *batch_of(uint64_t first_id, uint32_t count, uint32_t number, size_t len)
{
    static char zeroes[4096];
    struct batch *batch = batch_new();
    for (uint32_t i = 0; i < count; i++) {
        struct event *event = batch_add(batch);
        *event = (struct event){.id = first_id + i,
                                .number = number,
                                .state = EVENT_APPENDED,
                                .channel = STR("c"),
                                .type = STR("message")};
        event->data = batch_copy(batch, (struct str){zeroes, len});
    }
    return batch;
}

static void append_one(struct store *store, struct batch *batch)
{
    assert_int_equal(store->ops->append(store, &batch, 1), 0);
    batch_unref(batch);
}

static bool count_walked(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    (void)number;
    (void)id;
    (void)bytes;
    ++*(unsigned *)context;
    return true;
}

static void random_deeds_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct check check;
        check_init(&check, open_store(), seed);
        for (int i = 0; i < 400; i++)
            check_step(&check);
        check_all(&check);
        check.store->ops->close(check.store);
        check_deinit(&check);
    }
}

static void a_batch_is_shared_not_copied(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct batch *batch = batch_of(1, 3, 1, 10);
    assert_int_equal(store->ops->append(store, &batch, 1), 0);
    assert_int_equal(atomic_load(&batch->refs), 2);
    assert_true(store->ops->bytes(store) > batch_bytes(batch));
    struct store_trim trim = {1, STR("c"), 3, 3};
    assert_int_equal(store->ops->trim(store, &trim, 1), 0);
    assert_int_equal(atomic_load(&batch->refs), 1);
    assert_int_equal(store->ops->upkeep(store), 0);
    assert_true(store->ops->bytes(store) < 4096); /* room for later events */
    batch_unref(batch);
    store->ops->close(store);
}

/* A trim of many events hides them at once, though they are dropped later. */
static void a_trim_of_many_hides_them_at_once(void **state)
{
    enum { MANY = 10000, EACH = 100 };
    struct store_trim trims[] = {{1, STR("c"), MANY, MANY - 7}, {2, STR("d"), 0, MANY + 5}};
    (void)state;
    struct store *store = open_store();
    for (uint64_t id = 1; id <= MANY; id += EACH)
        append_one(store, batch_of(id, EACH, 1, 10));
    append_one(store, batch_of(MANY + 1, 20, 2, 10));
    assert_int_equal(store->ops->trim(store, trims, 2), 0);
    assert_int_equal(store->ops->oldest(store), MANY - 6);
    struct store_cut cut = {.number = 1, .want_count = 1};
    assert_int_equal(store->ops->find_cuts(store, &cut, 1), 0);
    assert_int_equal(cut.upto, MANY - 6);
    struct selection all = {0};
    uint32_t numbers[] = {1, 2};
    struct store_query query = {.selection = &all,
                                .numbers = numbers,
                                .numbers_count = 2,
                                .upto = MANY + 20,
                                .limit = 1000,
                                .bytes = SIZE_MAX,
                                .rows = 1000};
    struct batch *batch;
    uint64_t through;
    assert_int_equal(store->ops->read(store, &query, &batch, &through), 0);
    assert_int_equal(batch->count, 7 + 15);
    batch_unref(batch);
    uint64_t before = store->ops->bytes(store);
    assert_int_equal(store->ops->upkeep(store), 0);
    assert_true(store->ops->bytes(store) * 10 < before);
    store->ops->close(store);
}

/* A reused number must neither hide the new channel's events nor show the old one's. */
static void a_number_may_be_given_again_once_it_is_forgotten(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct store_trim space = {.name = STR("*")};
    uint32_t number = 1;
    unsigned walked = 0;
    struct batch *both = batch_of(1, 2, 1, 10); /* the second event keeps the batch alive */
    both->events[1].number = 300;
    append_one(store, both);
    assert_int_equal(store->ops->forget(store, &space, 1, &number, 1), 0);
    assert_int_equal(store->ops->upkeep(store), 0);
    append_one(store, batch_of(3, 1, 1, 10));
    assert_int_equal(store->ops->walk(store, 0, EVENT_ID_MAX, count_walked, &walked), 0);
    assert_int_equal(walked, 2);
    store->ops->close(store);
}

static void a_batch_mostly_dead_is_made_smaller(void **state)
{
    (void)state;
    struct store *store = open_store();
    append_one(store, batch_of(1, 1000, 1, 1000));
    append_one(store, batch_of(1001, 1000, 2, 10));
    uint64_t before = store->ops->bytes(store);
    struct store_trim trim = {1, STR("c"), 1000, 990};
    assert_int_equal(store->ops->trim(store, &trim, 1), 0);
    assert_true(store->ops->bytes(store) > before - 10000); /* even without batches, the line has
                                                             * become smaller */
    assert_int_equal(store->ops->upkeep(store), 0);
    assert_true(store->ops->bytes(store) < before - 900000);
    assert_int_equal(store->ops->oldest(store), 991);
    struct store_cut cut = {.number = 1, .want_count = 1};
    assert_int_equal(store->ops->find_cuts(store, &cut, 1), 0);
    assert_int_equal(cut.upto, 991);
    store->ops->close(store);
}

static void a_forgotten_channel_is_not_seen_again_and_takes_no_room(void **state)
{
    (void)state;
    struct store *store = open_store();
    struct store_trim space = {.name = STR("*")};
    unsigned walked = 0;
    uint32_t first = 1;
    append_one(store, batch_of(1, 1, 600, 10));
    for (uint32_t number = 1; number < 600; number++)
        append_one(store, batch_of(1 + number, 1, number, 10));
    uint64_t full = store->ops->bytes(store);
    assert_int_equal(store->ops->forget(store, &space, 1, &first, 1), 0);
    assert_int_equal(store->ops->walk(store, 0, EVENT_ID_MAX, count_walked, &walked), 0);
    assert_int_equal(walked, 599);
    for (uint32_t number = 2; number < 600; number++)
        assert_int_equal(store->ops->forget(store, &space, 1, &number, 1), 0);
    walked = 0;
    assert_int_equal(store->ops->walk(store, 0, EVENT_ID_MAX, count_walked, &walked), 0);
    assert_int_equal(walked, 1);
    assert_int_equal(store->ops->upkeep(store), 0);
    assert_true(store->ops->bytes(store) * 10 < full);
    store->ops->close(store);
}

static void without_memory_an_append_changes_nothing_and_may_be_tried_again(void **state)
{
    (void)state;
    struct check check;
    check_init(&check, open_store(), 3);
    struct batch *batches[3] = {batch_new(), batch_new(), batch_new()};
    for (int i = 0; i < 3; i++)
        for (int n = 0; n < 40; n++)
            check_make(&check, batches[i]);
    size_t count = check.count;
    int result = -ENOMEM;
    for (unsigned long nth = 1; result; nth++) {
        mem_fail_nth(nth);
        result = check.store->ops->append(check.store, batches, 3);
        mem_fail_nth(0);
        assert_true(result == 0 || result == -ENOMEM);
        check.count = result ? 0 : count;
        check_all(&check);
    }
    for (int i = 0; i < 3; i++)
        batch_unref(batches[i]);
    check.store->ops->close(check.store);
    check_deinit(&check);
}

static void without_memory_a_read_says_so(void **state)
{
    (void)state;
    struct store *store = open_store();
    append_one(store, batch_of(1, 10, 1, 100));
    struct selection all = {0};
    uint32_t number = 1;
    struct store_query query = {.selection = &all,
                                .numbers = &number,
                                .numbers_count = 1,
                                .upto = 10,
                                .limit = 10,
                                .bytes = 10000,
                                .rows = 100};
    struct batch *batch;
    uint64_t through;
    for (unsigned long nth = 1;; nth++) {
        mem_fail_nth(nth);
        int result = store->ops->read(store, &query, &batch, &through);
        mem_fail_nth(0);
        if (!result)
            break;
        assert_int_equal(result, -ENOMEM);
        assert_true(nth < 20);
    }
    assert_int_equal(batch->count, 10);
    batch_unref(batch);
    store->ops->close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_deeds_agree_with_the_model),
        cmocka_unit_test(a_batch_is_shared_not_copied),
        cmocka_unit_test(a_trim_of_many_hides_them_at_once),
        cmocka_unit_test(a_number_may_be_given_again_once_it_is_forgotten),
        cmocka_unit_test(a_batch_mostly_dead_is_made_smaller),
        cmocka_unit_test(a_forgotten_channel_is_not_seen_again_and_takes_no_room),
        cmocka_unit_test(without_memory_an_append_changes_nothing_and_may_be_tried_again),
        cmocka_unit_test(without_memory_a_read_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
