#include "log/store/sqlite/testing.h"

#include "base/progress.h"
#include "base/say.h"

#include <pthread.h>
#include <sched.h>

static void deeds(struct place *place, struct check *check, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t dice = check_random(check, 40);
        if (dice == 0) {
            clock_fake_advance(&place->clock, (int64_t)check_random(check, 7200) * 1000000);
            check_upkeep(check);
        } else if (dice == 1) {
            place_close(place);
            check->store = place_open(place);
            place_check_loaded(place, check);
        } else {
            check_step(check);
        }
    }
}

static void random_deeds_agree_with_the_model(void **state)
{
    (void)state;
    const char *seeds = getenv("FRESHET_CHECK_SEEDS");
    uint64_t count = seeds ? strtoul(seeds, NULL, 10) : 4;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct place place;
        struct check check;
        place_init(&place);
        place.config.roll_bytes = seed % 2 ? 1 << 16 : 1 << 18;
        check_init(&check, place_open(&place), seed);
        place_check_loaded(&place, &check);
        deeds(&place, &check, 300);
        check_all(&check);
        place_deinit(&place);
        check_deinit(&check);
    }
}

/* ---- the folder ----------------------------------------------------------------------------- */

static void a_folder_is_for_one_process_at_a_time(void **state)
{
    (void)state;
    struct place place, other;
    place_init(&place);
    place_open(&place);
    other = place;
    other.store = NULL;
    assert_int_equal(place_try_open(&other), -EBUSY);
    place_close(&place);
    place_open(&place);
    place_deinit(&place);
}

static void folder_and_files_are_for_their_owner_only(void **state)
{
    (void)state;
    struct place place;
    char command[160];
    place_init(&place);
    rmdir(place.dir);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    place_roll(&place);
    place_put(&place, 200, 10, 1, "a", 10);
    assert_int_equal(place_count(&place, 1), 20);
    place_trim(&place, 1, "a", 209, 105);
    snprintf(command, sizeof(command), "! find %s -perm /077 | grep -q .", place.dir);
    assert_int_equal(system(command), 0);
    place_deinit(&place);
}

static void a_file_that_cannot_be_read_is_never_passed_over(void **state)
{
    (void)state;
    struct place place;
    char path[128];
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 10);
    place_roll(&place);
    place_put(&place, 200, 10, 1, "a", 10);
    place_close(&place);
    snprintf(path, sizeof(path), "%s/log/0000000000000100.db", place.dir);
    FILE *file = fopen(path, "r+");
    fputs("garbage", file);
    fclose(file);
    assert_int_equal(place_try_open(&place), -EIO);
    place.store = NULL;
    place_deinit(&place);
}

static void a_folder_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place.config.dir = "/proc/nowhere/data";
    assert_true(place_try_open(&place) < 0);
    place.store = NULL;
    place_deinit(&place);
}

/* A clock on which a second goes by with each look at it. */
struct hasty {
    struct clock clock;
    int64_t now_ns;
};

static int64_t hasty_now(struct clock *clock)
{
    return container_of(clock, struct hasty, clock)->now_ns += INT64_C(1000000000);
}

static void an_opening_that_takes_long_says_how_far_it_is(void **state)
{
    (void)state;
    struct place place;
    struct progress progress;
    struct hasty hasty = {.clock = {hasty_now, hasty_now}};
    int pipe_fds[2];
    char text[4096];
    place_init(&place);
    place_open(&place);
    for (uint64_t i = 1; i <= 3; i++) {
        place_put(&place, i * 100, 10, 1, "a", 10);
        place_roll(&place);
    }
    place_close(&place);
    assert_int_equal(pipe(pipe_fds), 0);
    progress_init(&progress, "freshet test", &hasty.clock, pipe_fds[1]);
    place.config.progress = &progress;
    place_open(&place);
    ssize_t len = read(pipe_fds[0], text, sizeof(text) - 1);
    assert_true(len > 0);
    text[len] = '\0';
    assert_non_null(strstr(text, "\rfreshet test: 1 of 3 files of the log read"));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    place_deinit(&place);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREAD_CHANNELS = 5, THREAD_TURNS = 300 / STRIDE, THREAD_READS = 21 };

struct threads {
    struct place place;
    atomic_bool done;
    _Atomic uint64_t newest;
    _Atomic uint64_t trimmed[THREAD_CHANNELS + 1]; /* raised before the store hides anything */
    _Atomic uint64_t reads;
};

static void *append_all(void *arg)
{
    struct threads *threads = arg;
    struct store *store = threads->place.store;
    uint64_t last[THREAD_CHANNELS + 1] = {0}, id = 1000;
    for (int turn = 0; turn < THREAD_TURNS; turn++) {
        struct batch *batch = place_batch(id + 1, 40, 1, "c", 200);
        for (uint32_t i = 0; i < batch->count; i++) {
            struct event *event = &batch->events[i];
            event->number = 1 + (uint32_t)(event->id * 2654435761 >> 9) % THREAD_CHANNELS;
            event->prev = last[event->number];
            last[event->number] = event->id;
        }
        id += 40;
        if (store->ops->append(store, &batch, 1))
            abort();
        batch_unref(batch);
        atomic_store(&threads->newest, id);
    }
    while (atomic_load(&threads->reads) < THREAD_READS)
        sched_yield(); /* a busy machine may run this thread first */
    atomic_store(&threads->done, true);
    return NULL;
}

/* Every event's predecessor was the one read before it, or has been trimmed. */
static void follow(struct threads *threads, struct store_query *query, uint32_t number)
{
    struct store *store = threads->place.store;
    uint64_t seen = 0;
    while (query->after < query->upto) {
        struct batch *batch;
        if (store->ops->read(store, query, &batch, &query->after))
            abort();
        for (uint32_t i = 0; i < batch->count; i++) {
            const struct event *event = &batch->events[i];
            if (event->number != number)
                continue;
            if (event->prev != seen && event->prev > atomic_load(&threads->trimmed[number]))
                abort();
            seen = event->id;
        }
        batch_unref(batch);
        atomic_fetch_add(&threads->reads, 1);
    }
}

static void *read_all(void *arg)
{
    struct threads *threads = arg;
    struct store *store = threads->place.store;
    struct selection all = {0};
    uint8_t bitmap[1] = {0xff};
    for (uint32_t turn = 0; !atomic_load(&threads->done); turn++) {
        uint32_t number = 1 + turn % THREAD_CHANNELS;
        struct store_query query = {.selection = &all,
                                    .upto = atomic_load(&threads->newest),
                                    .limit = 1 + turn * 37 % 200,
                                    .bytes = SIZE_MAX,
                                    .rows = 5000};
        query.numbers = turn % 3 ? &number : NULL;
        query.numbers_count = 1;
        query.bitmap = bitmap;
        query.bitmap_bits = 8;
        follow(threads, &query, number);
        uint64_t id;
        struct store_cut cut = {.number = number, .want_count = turn % 100 + 1};
        if (store->ops->find_time(store, 1000 + (int64_t)turn, &id) ||
            store->ops->find_cuts(store, &cut, 1))
            abort();
        (void)store->ops->oldest(store);
        (void)store->ops->bytes(store);
    }
    return NULL;
}

static void *keep_all(void *arg)
{
    struct threads *threads = arg;
    struct store *store = threads->place.store;
    for (uint32_t turn = 0; !atomic_load(&threads->done); turn++) {
        uint32_t number = 1 + turn % THREAD_CHANNELS;
        struct store_cut cut = {.number = number, .want_count = UINT64_MAX};
        if (store->ops->find_cuts(store, &cut, 1))
            abort();
        cut.want_count = cut.count > 300 ? cut.count - 300 : 0;
        if (store->ops->find_cuts(store, &cut, 1))
            abort();
        uint64_t id = cut.count ? cut.upto : 0;
        struct store_trim trim = {number, STR("c"), id, id};
        if (id)
            atomic_store(&threads->trimmed[number], id);
        if (id && store->ops->trim(store, &trim, 1))
            abort();
        if (store->ops->upkeep(store))
            abort();
        sched_yield();
    }
    return NULL;
}

static void readers_see_every_event_while_files_come_and_go(void **state)
{
    (void)state;
    struct threads *threads = mem_alloc(sizeof(*threads));
    pthread_t writer, upkeep, readers[2];
    place_init(&threads->place);
    threads->place.config.roll_bytes = 150000;
    threads->place.config.roll_us = INT64_MAX;
    threads->place.config.clock = clock_system();
    place_open(&threads->place);
    pthread_create(&writer, NULL, append_all, threads);
    pthread_create(&upkeep, NULL, keep_all, threads);
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, read_all, threads);
    pthread_join(writer, NULL);
    pthread_join(upkeep, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    assert_true(atomic_load(&threads->reads) >= THREAD_READS);
    place_deinit(&threads->place);
    free(threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_deeds_agree_with_the_model),
        cmocka_unit_test(a_folder_is_for_one_process_at_a_time),
        cmocka_unit_test(folder_and_files_are_for_their_owner_only),
        cmocka_unit_test(a_file_that_cannot_be_read_is_never_passed_over),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_an_error),
        cmocka_unit_test(an_opening_that_takes_long_says_how_far_it_is),
        cmocka_unit_test(readers_see_every_event_while_files_come_and_go),
    };
    say_set_level(SAY_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
