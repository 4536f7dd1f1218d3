#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- an operation on the disk fails --------------------------------------------------------- */

/* Fails the nth disk operation of an append and those after it. The append must fail, show nothing,
 * and leave the next append and the next opening working. If all operations fail, its fate may be
 * unknown. Returns whether there was an nth operation. */
static bool fail_nth_of_append(unsigned long nth, unsigned long fail_for, int code, int want)
{
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 3000);
    struct batch *batch = place_batch(200, 10, 2, "b", 3000);
    faults_set(nth, fail_for, code);
    int result = place.store->ops->append(place.store, &batch, 1);
    bool hit = faults.count >= nth;
    faults_set(0, 0, 0);
    if (result) {
        assert_true(result == want || (fail_for > 1 && result == STORE_E_FATE_UNKNOWN));
        assert_int_equal(place_count(&place, 2), 0);
        assert_int_equal(place_count(&place, 1), 10);
        assert_int_equal(place.store->ops->append(place.store, &batch, 1), 0);
    } else {
        assert_false(hit);
    }
    batch_unref(batch);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(place_count(&place, 1), 10);
        assert_int_equal(place_count(&place, 2), 10);
        place_close(&place);
        place_open(&place);
    }
    assert_int_equal(place_find(&place, "b")->count, 10);
    place_deinit(&place);
    return hit;
}

static void an_append_that_fails_anywhere_changes_nothing_and_may_be_tried_again(void **state)
{
    (void)state;
    unsigned long nth = 1;
    while (fail_nth_of_append(nth, 1, SQLITE_IOERR_WRITE, -EIO))
        nth += STRIDE;
    assert_true(nth > 10); /* there is something to fail */
    for (nth = 1; fail_nth_of_append(nth, 1, SQLITE_FULL, -ENOSPC);)
        nth += 5UL * STRIDE;
    for (nth = 1; fail_nth_of_append(nth, 1000, SQLITE_IOERR_FSYNC, -EIO);)
        nth += 7UL * STRIDE;
}

/* ---- and then the process is killed --------------------------------------------------------- */

/* Opens the folder as kill -9 would leave it now, and counts the events of channel 2. */
static size_t count_after_crash(const struct place *place)
{
    struct place crashed = *place;
    char command[256];
    snprintf(crashed.dir, sizeof(crashed.dir), "%.40s-crashed", place->dir);
    crashed.config.dir = crashed.dir;
    snprintf(command, sizeof(command), "cp -r %s %s", place->dir, crashed.dir);
    assert_int_equal(system(command), 0);
    place_open(&crashed);
    assert_int_equal(place_count(&crashed, 1), 10);
    size_t count = place_count(&crashed, 2);
    place_deinit(&crashed);
    return count;
}

static bool fail_nth_and_crash(unsigned long nth, unsigned long fail_for, unsigned *unknown)
{
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 100);
    struct batch *batch = place_batch(200, 5, 2, "b", 100);
    faults_set(nth, fail_for, SQLITE_IOERR_FSYNC);
    int result = place.store->ops->append(place.store, &batch, 1);
    bool hit = faults.count >= nth;
    faults_set(0, 0, 0);
    size_t count = count_after_crash(&place);
    assert_true(result == STORE_E_FATE_UNKNOWN || count == (result ? 0 : 5));
    *unknown += result == STORE_E_FATE_UNKNOWN && count;
    place_roll(&place);
    assert_int_equal(place_files(&place, ".db"), 1);
    assert_true(result != STORE_E_FATE_UNKNOWN || place_files(&place, ".db-wal") == 1);
    batch_unref(batch);
    place_put(&place, 300, 5, 3, "c", 10);
    assert_int_equal(count_after_crash(&place), result ? 0 : 5);
    place_deinit(&place);
    return hit;
}

static void an_append_that_failed_does_not_come_back_after_a_crash(void **state)
{
    (void)state;
    unsigned long nth = 1;
    unsigned unknown = 0;
    while (fail_nth_and_crash(nth, 1, &unknown))
        nth++;
    assert_int_equal(unknown, 0);
}

static void an_append_that_may_come_back_is_told_as_that_and_its_file_is_not_rolled(void **state)
{
    (void)state;
    unsigned long nth = 1;
    unsigned unknown = 0;
    while (fail_nth_and_crash(nth, 1000, &unknown))
        nth++;
    assert_int_equal(unknown, 1); /* in the case that the sync failed */
}

/* Appends with an allocation failure before the writer is called. */
static int append_without_memory(struct place *place)
{
    struct batch *batch = place_batch(300, 1, 3, "c", 10);
    *batch_add(batch) =
        (struct event){.id = 300, .number = 3, .state = EVENT_TRIM, .channel = STR("c")};
    mem_fail_nth(1);
    int result = place->store->ops->append(place->store, &batch, 1);
    mem_fail_nth(0);
    batch_unref(batch);
    return result;
}

/* A producer who repeats an append of unknown fate takes a final refusal for an answer about both.
 */
static void
a_refusal_for_lack_of_something_is_not_final_while_an_earlier_append_may_come_back(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place.config.reserve_bytes = 64 << 10;
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 100);
    struct batch *batch = place_batch(200, 5, 2, "b", 100);
    assert_true(reserve_give(&sqlite_chain(place.store)->reserve));
    assert_int_equal(place.store->ops->append(place.store, &batch, 1), -ENOSPC);
    reserve_make(&sqlite_chain(place.store)->reserve);
    int result = -EIO;
    for (unsigned long nth = 1; result != STORE_E_FATE_UNKNOWN; nth++) {
        faults_set(nth, 1000, SQLITE_IOERR_FSYNC);
        result = place.store->ops->append(place.store, &batch, 1);
        assert_int_not_equal(result, 0);
    }
    faults_set(1, 1000, SQLITE_IOERR_FSYNC);
    assert_true(reserve_give(&sqlite_chain(place.store)->reserve));
    assert_int_equal(place.store->ops->append(place.store, &batch, 1), STORE_E_FATE_UNKNOWN);
    assert_int_equal(append_without_memory(&place), STORE_E_FATE_UNKNOWN);
    faults_set(0, 0, 0);
    assert_int_equal(place.store->ops->append(place.store, &batch, 1), -ENOSPC);
    assert_int_equal(append_without_memory(&place), -ENOMEM);
    assert_int_equal(count_after_crash(&place), 0);
    batch_unref(batch);
    place_deinit(&place);
}

/* ---- the first append, which begins a file -------------------------------------------------- */

/* Fails the nth operation of the append that begins the second file, and kills the process. */
static bool fail_nth_of_second_file_and_crash(unsigned long nth, unsigned long fail_for)
{
    struct place place;
    place_init(&place);
    place_open(&place);
    place_put(&place, 100, 10, 1, "a", 100);
    place_roll(&place);
    struct batch *batch = place_batch(200, 5, 2, "b", 100);
    faults_set(nth, fail_for, SQLITE_IOERR_FSYNC);
    int result = place.store->ops->append(place.store, &batch, 1);
    bool hit = faults.count >= nth;
    faults_set(0, 0, 0);
    batch_unref(batch);
    if (result != STORE_E_FATE_UNKNOWN)
        assert_int_equal(count_after_crash(&place), result ? 0 : 5);
    place_put(&place, 300, 5, 3, "c", 10);
    assert_int_equal(count_after_crash(&place), result ? 0 : 5);
    place_deinit(&place);
    return hit;
}

static void a_first_append_to_a_file_that_failed_does_not_come_back_after_a_crash(void **state)
{
    (void)state;
    for (unsigned long nth = 1; fail_nth_of_second_file_and_crash(nth, 1);)
        nth += STRIDE;
    for (unsigned long nth = 1; fail_nth_of_second_file_and_crash(nth, 1000);)
        nth += STRIDE;
}

static bool fail_nth_of_first_append(unsigned long nth)
{
    struct place place;
    place_init(&place);
    place_open(&place);
    struct batch *batch = place_batch(200, 5, 2, "b", 100);
    faults_set(nth, 1, SQLITE_FULL);
    int result = place.store->ops->append(place.store, &batch, 1);
    bool hit = faults.count >= nth;
    faults_set(0, 0, 0);
    if (result)
        assert_int_equal(place.store->ops->append(place.store, &batch, 1), 0);
    batch_unref(batch);
    assert_int_equal(place_count(&place, 2), 5);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_count(&place, 2), 5);
    place_deinit(&place);
    return hit;
}

static void a_file_that_cannot_be_begun_is_begun_by_the_next_append(void **state)
{
    (void)state;
    unsigned long nth = 1;
    while (fail_nth_of_first_append(nth))
        nth += STRIDE;
    assert_true(nth > 10);
}

static void without_memory_an_append_changes_nothing(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    struct batch *batch = place_batch(200, 300, 2, "b", 10);
    *batch_add(batch) =
        (struct event){.id = 100, .number = 9, .state = EVENT_TRIM, .channel = STR("z")};
    int result = -ENOMEM;
    for (unsigned long nth = 1; result; nth += STRIDE) {
        mem_fail_nth(nth);
        result = place.store->ops->append(place.store, &batch, 1);
        mem_fail_nth(0);
        assert_true(result == 0 || result == -ENOMEM);
        assert_int_equal(place_count(&place, 2), result ? 0 : 300);
    }
    batch_unref(batch);
    place_deinit(&place);
}

/* ---- a disk that is really full ------------------------------------------------------------- */

/* Appends until the disk is full; returns the number of events. */
static uint64_t fill(struct place *place, uint64_t first)
{
    uint64_t id = first;
    for (int result = 0; !result;) {
        result = place_append(place, place_batch(id, 20, 1, "a", 500));
        assert_true(result == 0 || result == -ENOSPC);
        id += result ? 0 : 20;
        assert_true(id - first < 1000000);
    }
    return id - first;
}

static void check_full_disk(struct place *place)
{
    uint64_t before = fill(place, 1000);
    assert_true(before > 0);
    assert_int_equal(place_count(place, 1), before);
    assert_int_equal(fill(place, 1000 + before), 0); /* still full */
    assert_int_equal(place_count(place, 1), before);
}

/* Runs in a child, so that its limit and its ignored signal end with it. */
static void limited_child(struct place *place)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 300000;
    setrlimit(RLIMIT_FSIZE, &limit);
    place_open(place);
    check_full_disk(place);
    uint64_t before = place_count(place, 1);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    place_put(place, 1000 + before, 100, 1, "a", 500);
    assert_int_equal(place_count(place, 1), before + 100);
    place_close(place);
    place_open(place);
    assert_int_equal(place_count(place, 1), before + 100);
    place_close(place);
}

static void a_file_size_limit_means_no_space_until_it_is_raised(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        limited_child(&place);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    place_deinit(&place);
}

static void a_full_disk_can_be_trimmed_and_then_appended_to(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place.config.roll_bytes = 1 << 20;
    if (mount("tmpfs", place.dir, "tmpfs", 0, "size=6m,mode=0700")) {
        place_deinit(&place);
        skip();
    }
    place_open(&place);
    uint64_t count = fill(&place, 1000);
    assert_int_equal(place_count(&place, 1), count);
    /* The disk has no room for another file either: the error is reported, and the file without
     * events is removed all the same. */
    place_trim(&place, 1, "a", 1000 + count - 1, 1000 + count - 1);
    assert_int_equal(place.store->ops->upkeep(place.store), -ENOSPC);
    assert_int_equal(place_files(&place, "db"), 0);
    place_upkeep(&place);
    place_put(&place, 1000 + count, 100, 1, "a", 500);
    assert_int_equal(place_count(&place, 1), 100);
    place_close(&place);
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 100);
    assert_int_equal(place_find(&place, "a")->trimmed, 1000 + count - 1);
    place_close(&place);
    assert_int_equal(umount(place.dir), 0);
    place_deinit(&place);
}

/* ---- the write-ahead log -------------------------------------------------------------------- */

static void small_commits_do_not_let_the_log_of_changes_outgrow_the_file(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    place_open(&place);
    for (uint64_t id = 1; id <= 6000; id++)
        place_put(&place, id, 1, 1, "a", 100);
    assert_true(place.store->ops->bytes(place.store) < 24 << 20);
    assert_int_equal(place_count(&place, 1), 6000);
    /* For holes_note_tail(). */
    assert_in_range(writer_moved(sqlite_chain(place.store)->writer), 3000, 5999);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_append_that_fails_anywhere_changes_nothing_and_may_be_tried_again),
        cmocka_unit_test(an_append_that_failed_does_not_come_back_after_a_crash),
        cmocka_unit_test(an_append_that_may_come_back_is_told_as_that_and_its_file_is_not_rolled),
        cmocka_unit_test(
            a_refusal_for_lack_of_something_is_not_final_while_an_earlier_append_may_come_back),
        cmocka_unit_test(a_first_append_to_a_file_that_failed_does_not_come_back_after_a_crash),
        cmocka_unit_test(a_file_that_cannot_be_begun_is_begun_by_the_next_append),
        cmocka_unit_test(without_memory_an_append_changes_nothing),
        cmocka_unit_test(a_file_size_limit_means_no_space_until_it_is_raised),
        cmocka_unit_test(a_full_disk_can_be_trimmed_and_then_appended_to),
        cmocka_unit_test(small_commits_do_not_let_the_log_of_changes_outgrow_the_file),
    };
    say_set_level(SAY_WARN);
    faults_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
