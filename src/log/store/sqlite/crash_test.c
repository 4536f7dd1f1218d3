/* A child works on a store and is killed, at each step in turn and at random moments. When the
 * folder is opened again, everything that the child was told is safe must be there, and nothing
 * else but the entries that were under way. */
#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { CHANNELS = 6, PER_BATCH = 20, FIRST = 1000000 };

/* The memory that child and parent share. Ids count up from FIRST without a hole; an event's
 * channel and data follow from its id. */
struct shared {
    _Atomic uint64_t acked;     /* all up to this id were safe */
    _Atomic uint64_t attempted; /* no id above it was ever given to the store */
    _Atomic uint64_t trim_acked[CHANNELS + 1];
    _Atomic uint64_t trim_attempted[CHANNELS + 1];
    _Atomic uint64_t turns;
    unsigned long step; /* the step, counted from the start, at which the child dies; 0: none */
    unsigned long steps;
};

static uint32_t number_of(uint64_t id)
{
    return 1 + (uint32_t)(id * 2654435761 >> 7) % CHANNELS;
}

static const char *name_of(uint32_t number)
{
    static const char *const names[] = {"", "a", "b", "c/d", "e", "f", "g"};
    return names[number];
}

/* The newest id of the channel that is at most `id`. */
static uint64_t last_of(uint32_t number, uint64_t id)
{
    while (id > FIRST && number_of(id) != number)
        id--;
    return id > FIRST ? id : 0;
}

static size_t data_of(uint64_t id, char out[400])
{
    size_t len = (size_t)(id * 7919 % 300);
    int head = snprintf(out, 32, "%llu:", (unsigned long long)id);
    memset(out + head, 'a' + (int)(id % 26), len);
    return (size_t)head + len;
}

/* ---- the child ------------------------------------------------------------------------------ */

static void die_at_step(void *context, const char *name)
{
    struct shared *shared = context;
    (void)name;
    if (++shared->steps == shared->step)
        raise(SIGKILL);
}

static void add_event(struct batch *batch, uint64_t id)
{
    char data[400];
    size_t len = data_of(id, data);
    struct event *event = batch_add(batch);
    *event = (struct event){.id = id,
                            .number = number_of(id),
                            .state = EVENT_APPENDED,
                            .prev = last_of(number_of(id), id - 1),
                            .kind = EVENT_TEXT,
                            .type = STR("message"),
                            .time_us = (int64_t)id};
    event->channel = str_from(name_of(event->number));
    event->data = batch_copy(batch, (struct str){data, len});
}

static bool append(struct store *store, struct shared *shared, uint64_t turn)
{
    struct batch *batch = batch_new();
    uint64_t id = atomic_load(&shared->attempted);
    for (int i = 0; i < PER_BATCH; i++)
        add_event(batch, ++id);
    uint32_t number = 0;
    if (turn % 11 == 3) {
        number = 1 + (uint32_t)(turn % CHANNELS);
        *batch_add(batch) = (struct event){.id = last_of(number, id),
                                           .number = number,
                                           .state = EVENT_TRIM,
                                           .channel = str_from(name_of(number))};
        atomic_store(&shared->trim_attempted[number], last_of(number, id));
    }
    atomic_store(&shared->attempted, id);
    bool done = store->ops->append(store, &batch, 1) == 0;
    batch_unref(batch);
    if (!done)
        return false;
    atomic_store(&shared->acked, id);
    if (number)
        atomic_store(&shared->trim_acked[number], last_of(number, id));
    return true;
}

static bool trim(struct store *store, struct shared *shared, uint64_t turn)
{
    uint32_t number = 1 + (uint32_t)(turn / 4 % CHANNELS);
    uint64_t acked = atomic_load(&shared->acked);
    uint64_t upto = last_of(number, turn % 3 ? acked - 200 : acked);
    if (upto <= atomic_load(&shared->trim_attempted[number]))
        return true;
    struct store_trim trim = {number, str_from(name_of(number)), last_of(number, acked), upto};
    atomic_store(&shared->trim_attempted[number], upto);
    if (store->ops->trim(store, &trim, 1))
        return false;
    atomic_store(&shared->trim_acked[number], upto);
    return true;
}

static bool work(struct place *place, struct shared *shared)
{
    struct store *store = place->store;
    for (int i = 0; i < 40; i++) {
        uint64_t turn = atomic_fetch_add(&shared->turns, 1);
        if (!append(store, shared, turn) || (turn % 4 == 1 && !trim(store, shared, turn)))
            return false;
        if (turn % 5)
            continue;
        clock_fake_advance(&place->clock, turn % 2 ? INT64_C(120000000) : place->config.roll_us);
        if (store->ops->upkeep(store))
            return false;
    }
    return true;
}

static void child(struct place *place, struct shared *shared)
{
    place->hook = (struct chain_hook){die_at_step, shared};
    if (place_try_open(place) || !work(place, shared))
        _exit(1);
    place_close(place);
    _exit(0);
}

/* ---- the parent ----------------------------------------------------------------------------- */

/* Checks the events of a channel: all above its trimmed id that were safe, and no others than those
 * under way. */
static void check_channel(struct place *place, struct shared *shared, uint32_t number)
{
    struct selection all = {0};
    struct store_query query = {.selection = &all,
                                .numbers = &number,
                                .numbers_count = 1,
                                .upto = EVENT_ID_MAX,
                                .limit = UINT32_MAX,
                                .bytes = SIZE_MAX,
                                .rows = UINT64_MAX};
    struct batch *batch;
    uint64_t through, acked = atomic_load(&shared->acked);
    assert_int_equal(place->store->ops->read(place->store, &query, &batch, &through), 0);
    uint64_t next = batch->count ? batch->events[0].id : acked + 1;
    assert_true(next > atomic_load(&shared->trim_acked[number]));
    for (uint64_t id = atomic_load(&shared->trim_attempted[number]) + 1; id < next && id <= acked;
         id++)
        assert_true(id <= FIRST || number_of(id) != number);
    uint64_t prev = last_of(number, next - 1);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        char data[400];
        size_t len = data_of(event->id, data);
        assert_int_equal(number_of(event->id), number);
        assert_int_equal(event->prev, prev);
        assert_true(str_eq(event->data, (struct str){data, len}));
        assert_true(str_eq(event->channel, str_from(name_of(number))));
        prev = event->id;
    }
    if (batch->count) {
        assert_true(prev >= last_of(number, acked));
        assert_true(prev <= atomic_load(&shared->attempted));
    }
    batch_unref(batch);
}

static void check_loaded(struct place *place, struct shared *shared)
{
    uint64_t acked = atomic_load(&shared->acked);
    assert_non_null(sqlite_chain(place->store)->sums.db); /* or they were dropped */
    assert_true(place->newest.id >= (acked > FIRST ? acked : 0));
    assert_true(place->newest.id <= atomic_load(&shared->attempted));
    for (uint32_t n = 1; n <= CHANNELS; n++) {
        const struct store_channel *channel = place_find(place, name_of(n));
        if (!channel) {
            assert_int_equal(last_of(n, acked), 0);
            continue;
        }
        assert_int_equal(channel->number, n);
        assert_int_equal(channel->last, last_of(n, place->newest.id));
        assert_true(channel->trimmed >= atomic_load(&shared->trim_acked[n]));
        assert_true(channel->trimmed <= atomic_load(&shared->trim_attempted[n]));
        assert_int_equal(channel->count, place_count(place, n));
    }
}

/* Opens the folder as the child left it and checks it. Entries that were under way and survived
 * count as safe from now on, as they would for the log. */
static void check_all_is_there(struct place *place, struct shared *shared)
{
    place->hook = (struct chain_hook){0};
    place_open(place);
    check_loaded(place, shared);
    for (uint32_t n = 1; n <= CHANNELS; n++) {
        check_channel(place, shared, n);
        const struct store_channel *channel = place_find(place, name_of(n));
        uint64_t trimmed = channel ? channel->trimmed : 0;
        atomic_store(&shared->trim_acked[n], trimmed);
        atomic_store(&shared->trim_attempted[n], trimmed);
    }
    uint64_t safe = place->newest.id ? place->newest.id : FIRST;
    atomic_store(&shared->acked, safe);
    atomic_store(&shared->attempted, safe);
    place_close(place);
    assert_int_equal(place_files(place, "new"), 0);
}

static struct shared *share(void)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    *shared = (struct shared){.acked = FIRST, .attempted = FIRST};
    return shared;
}

static pid_t run_child(struct place *place, struct shared *shared)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(place, shared);
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_store_killed_at_any_step_loses_nothing(void **state)
{
    (void)state;
    struct place place;
    struct shared *shared = share();
    place_init(&place);
    int killed = 0;
    for (unsigned long step = 1; step <= 90; step += STRIDE) {
        shared->step = step;
        shared->steps = 0;
        int status = end_of(run_child(&place, shared));
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        killed += WIFSIGNALED(status);
        check_all_is_there(&place, shared);
    }
    assert_true(killed > 60 / STRIDE);
    place_deinit(&place);
    munmap(shared, sizeof(*shared));
}

static void a_store_killed_at_any_moment_loses_nothing(void **state)
{
    (void)state;
    struct place place;
    struct shared *shared = share();
    place_init(&place);
    shared->step = 0;
    uint64_t random = 12345;
    for (int round = 0; round < 20 / STRIDE; round++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        uint64_t turns = atomic_load(&shared->turns) + 1 + (random >> 40) % 38;
        pid_t pid = run_child(&place, shared);
        /* Wait for the child's work, not for time: until it has come so far, then for a little
         * more. */
        while (atomic_load(&shared->turns) < turns && waitpid(pid, NULL, WNOHANG) == 0)
            sched_yield();
        for (uint64_t spin = (random >> 33) % 20000; spin; spin--)
            sched_yield();
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        check_all_is_there(&place, shared);
    }
    place_deinit(&place);
    munmap(shared, sizeof(*shared));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_killed_at_any_step_loses_nothing),
        cmocka_unit_test(a_store_killed_at_any_moment_loses_nothing),
    };
    say_set_level(SAY_WARN);
    faults_install(); /* the disk of the tests, whose syncs do not wait */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
