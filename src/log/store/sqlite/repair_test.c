#include "log/store/sqlite/pattern.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"
#include "log/store/sqlite/repair.h"

#include <fcntl.h>

enum { PAGE = 4096 };

static bool has_quotas;

/* Stands in for that of libc. */
int link(const char *from, const char *to)
{
    if (!has_quotas || !strstr(from, "/log/") == !strstr(to, "/log/"))
        return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
    errno = EXDEV;
    return -1;
}

/* A folder that is repaired, and what was said of it. */
struct mended {
    struct place place;
    struct trouble trouble;
    struct buf out;
    int result;
};

static const char *path_in(const struct mended *mended, const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", mended->place.dir, name);
    return path;
}

/* Two sealed files, of 100 and of 1,000 events, and one that is appended to. */
static void fill(struct mended *mended)
{
    struct place *place = &mended->place;
    *mended = (struct mended){.result = 0};
    place_init(place);
    if (pattern_copy(place->dir)) {
        clock_fake_advance(&place->clock, 2 * place->config.roll_us);
        return;
    }
    place_open(place);
    place_put(place, 1000, 100, 1, "a", 500);
    place_roll(place);
    place_put(place, 2000, 500, 2, "b", 500);
    place_put(place, 2500, 500, 1, "a", 500);
    place_roll(place);
    place_put(place, 4000, 300, 3, "c", 500);
    place_close(place);
    pattern_keep(place->dir);
}

static void repair(struct mended *mended, bool dry_run)
{
    const struct repair_config config = {.dir = mended->place.dir,
                                         .dry_run = dry_run,
                                         .clock = &mended->place.clock.clock,
                                         .known_webhooks = 5};
    buf_free(&mended->out);
    mended->result = repair_folder(&config, &mended->trouble, &mended->out);
    buf_add_char(&mended->out, '\0');
}

static void check_said(const struct mended *mended, const char *text)
{
    if (!strstr(mended->out.at, text))
        fail_msg("\"%s\" is not in what was said:\n%s", text, mended->out.at);
}

static void deinit(struct mended *mended)
{
    buf_free(&mended->out);
    place_deinit(&mended->place);
}

static void write_at(const char *path, off_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    close(fd);
}

static void spoil(const struct mended *mended, const char *name)
{
    write_at(path_in(mended, name), 0, "garbage", 7);
}

static void spoil_page(const struct mended *mended, const char *name, off_t number)
{
    static const char zeros[PAGE];
    write_at(path_in(mended, name), number * PAGE, zeros, PAGE);
}

static off_t pages_of(const struct mended *mended, const char *name)
{
    struct stat info;
    assert_int_equal(stat(path_in(mended, name), &info), 0);
    return info.st_size / PAGE;
}

/* The number of entries in the folder with such names. */
static int count_files(const struct mended *mended, const char *names)
{
    char command[256];
    snprintf(command, sizeof(command), "exit $(ls -d %s/%s 2>/dev/null | wc -l)", mended->place.dir,
             names);
    return WEXITSTATUS(system(command));
}

/* All names, times and contents in the folder, as one number. */
static unsigned long digest_of(const struct mended *mended)
{
    char command[256], line[64];
    snprintf(
        command, sizeof(command),
        "cd %s && find . -type f ! -name '*-shm' | sort | xargs ls -il | cat - $(find . -type f"
        " ! -name '*-shm' | sort) | cksum",
        mended->place.dir);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof(line), pipe));
    pclose(pipe);
    return strtoul(line, NULL, 10);
}

static const char first_file[] = "log/0000000000001000.db";
static const char middle_file[] = "log/0000000000002000.db";
static const char last_file[] = "log/0000000000004000.db";

/* ---- files of events ------------------------------------------------------------------------- */

static void a_folder_in_order_is_left_as_it_is(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    unsigned long before = digest_of(&mended);
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    check_said(&mended, "nothing is damaged");
    assert_int_equal(digest_of(&mended), before);
    deinit(&mended);
}

static void a_file_without_a_head_is_set_aside_and_its_range_is_lost(void **state)
{
    (void)state;
    static const char *const files[] = {first_file, middle_file};
    static const uint64_t lasts[] = {1999, 3999};
    static const size_t left_of_a[] = {500, 100};
    for (size_t i = 0; i < 2; i++) {
        struct mended mended;
        fill(&mended);
        spoil(&mended, files[i]);
        repair(&mended, false);
        assert_int_equal(mended.result, REPAIR_LOST);
        check_said(&mended, files[i]);
        check_said(&mended, "readers that have not read beyond");
        assert_int_equal(count_files(&mended, "damaged/*"), 1);
        assert_int_equal(access(path_in(&mended, files[i]), F_OK), -1);
        place_open(&mended.place);
        assert_int_equal(mended.place.newest.lost, lasts[i]);
        assert_int_equal(mended.place.newest.id, 4299);
        assert_int_equal(place_count(&mended.place, 1), left_of_a[i]);
        assert_int_equal(place_count(&mended.place, 3), 300);
        place_close(&mended.place);
        repair(&mended, false);
        assert_int_equal(mended.result, 0);
        deinit(&mended);
    }
}

static void the_readable_rows_of_a_sealed_file_are_kept(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil_page(&mended, middle_file, pages_of(&mended, middle_file) / 3);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    check_said(&mended, " of its 1000 events can be read and are kept");
    check_said(&mended, "channels that lost events: b (");
    place_open(&mended.place);
    size_t left = place_count(&mended.place, 1) + place_count(&mended.place, 2);
    assert_true(left > 1000 && left < 1100);
    assert_true(mended.place.newest.lost > 2000 && mended.place.newest.lost < 2999);
    place_roll(&mended.place); /* the copy is sealed again */
    for (int again = 0; again < 3; again++) {
        assert_int_equal(place_count(&mended.place, 1) + place_count(&mended.place, 2), left);
        place_close(&mended.place);
        repair(&mended, false);
        assert_int_equal(mended.result, 0);
        place_open(&mended.place); /* the next file's link still fits to it */
    }
    deinit(&mended);
}

static void an_index_that_is_damaged_loses_nothing(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    file_execute(
        path_in(&mended, middle_file),
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM"
        " sqlite_master WHERE name = 'trim') WHERE name = 'event_by_channel'");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    check_said(&mended, "no event is lost");
    place_open(&mended.place);
    assert_int_equal(mended.place.newest.lost, 0);
    assert_int_equal(place_count(&mended.place, 1), 600);
    assert_int_equal(place_count(&mended.place, 2), 500);
    deinit(&mended);
}

static void the_last_file_loses_all_up_to_now(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    uint64_t now = (uint64_t)mended.place.clock.wall_us;
    off_t pages = pages_of(&mended, last_file);
    assert_int_equal(truncate(path_in(&mended, last_file), pages / 2 * PAGE), 0);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    place_open(&mended.place);
    size_t left = place_count(&mended.place, 3);
    assert_true(left > 50 && left < 250);
    assert_true(mended.place.newest.lost >= now);
    assert_int_equal(mended.place.newest.id, mended.place.newest.lost); /* no id is given again */
    place_put(&mended.place, mended.place.newest.id + 1, 1, 3, "c", 5);
    assert_int_equal(place_count(&mended.place, 3), left + 1);
    deinit(&mended);
}

static void a_log_whose_only_file_is_lost_begins_anew(void **state)
{
    (void)state;
    struct mended mended = {.result = 0};
    place_init(&mended.place);
    place_open(&mended.place);
    place_put(&mended.place, 1000, 10, 1, "a", 5);
    place_close(&mended.place);
    spoil(&mended, first_file);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    place_open(&mended.place);
    assert_true(mended.place.newest.lost >= 1009);
    assert_int_equal(place_count(&mended.place, 1), 0);
    deinit(&mended);
}

static void rows_that_make_no_sense_are_not_kept(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE event SET kind = 7 WHERE id = 2100",
        "UPDATE event SET kind = 263 WHERE id = 2100",
        "UPDATE event SET kind = 65537 WHERE id = 2100",
        "UPDATE event SET kind = -255 WHERE id = 2100",
        "UPDATE event SET kind = 0 WHERE id = 2100",
        "UPDATE event SET data = x'ff' WHERE id = 2100",
        "UPDATE event SET data = CAST(x'ff' AS TEXT) WHERE id = 2100",
        "UPDATE event SET prev = 3000 WHERE id = 2100",
        "UPDATE event SET channel = 77 WHERE id = 2100",
        "UPDATE event SET type = x'ff' WHERE id = 2100",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        struct mended mended;
        char sql[256];
        fill(&mended);
        /* Make the file's own count wrong as well: otherwise no damage is noticed. */
        snprintf(sql, sizeof(sql), "%s; UPDATE channel SET count = count + 1 WHERE number = 1",
                 changes[i]);
        file_execute(path_in(&mended, middle_file), sql);
        repair(&mended, false);
        assert_int_equal(mended.result, REPAIR_LOST);
        check_said(&mended, "between the ids 0000000000002100 and 0000000000002100");
        place_open(&mended.place);
        assert_int_equal(place_count(&mended.place, 2), 499);
        assert_int_equal(place_count(&mended.place, 1), 600);
        deinit(&mended);
    }
}

static void an_event_that_was_changed_on_the_disk_is_not_kept(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE event SET data = replace(data, 'x', 'y') WHERE id = 2100",
        "UPDATE event SET time = time + 1 WHERE id = 2100",
        "UPDATE event SET sender = 'other' WHERE id = 2100",
        "UPDATE event SET kind = kind + 256 WHERE id = 2100",
        "UPDATE event SET checksum = checksum + 1 WHERE id = 2100",
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        struct mended mended;
        fill(&mended);
        file_execute(path_in(&mended, middle_file), changes[i]);
        repair(&mended, false);
        assert_int_equal(mended.result, REPAIR_LOST);
        check_said(&mended, "its event 0000000000002100 is not as it was written");
        check_said(&mended, "999 of its 1000 events can be read");
        place_open(&mended.place);
        assert_true(mended.place.newest.lost >= 2100);
        assert_int_equal(place_count(&mended.place, 2), 499);
        place_close(&mended.place);
        repair(&mended, false);
        assert_int_equal(mended.result, 0);
        deinit(&mended);
    }
}

static void hops_of_events_are_no_damage(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    file_execute(path_in(&mended, middle_file),
                 "UPDATE event SET kind = kind + 256 * (id % 256), checksum = NULL;"
                 "DELETE FROM channel WHERE number = 2");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    place_open(&mended.place);
    assert_int_equal(place_count(&mended.place, 1), 600);
    assert_int_equal(place_count(&mended.place, 2), 500);
    deinit(&mended);
}

static void names_are_found_elsewhere(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    file_execute(path_in(&mended, middle_file), "DELETE FROM channel WHERE number = 2");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    place_open(&mended.place);
    assert_non_null(place_find(&mended.place, "b"));
    assert_int_equal(place_count(&mended.place, 2), 500);
    deinit(&mended);
}

/* Neither sums.db nor state.db is opened for each of its rows. */
static void a_channel_without_a_name_is_looked_for_once(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    file_execute(path_in(&mended, "sums.db"), "DELETE FROM channel WHERE number < 3");
    file_execute(path_in(&mended, middle_file), "UPDATE event SET channel = 1 + id % 2;"
                                                "DELETE FROM channel WHERE number < 3");
    faults.opens = 0;
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    check_said(&mended, "0 events can be read");
    assert_true(faults.opens < 100); /* the file has 1,000 rows */
    deinit(&mended);
}

static void a_folder_in_place_of_a_file_is_set_aside_too(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    assert_int_equal(unlink(path_in(&mended, middle_file)), 0);
    assert_int_equal(mkdir(path_in(&mended, middle_file), 0700), 0);
    /* Half a copy, of a rewrite that was ended, must not take its place. */
    FILE *half = fopen(path_in(&mended, "log/0000000000002000.db.new"), "w");
    fputs("half", half);
    fclose(half);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    assert_int_equal(count_files(&mended, "damaged/*"), 1);
    place_open(&mended.place);
    assert_int_equal(mended.place.newest.lost, 3999);
    deinit(&mended);
}

static void deletions_in_a_damaged_file_are_kept(void **state)
{
    (void)state;
    struct mended mended;
    struct place *place = &mended.place;
    fill(&mended);
    place_open(place);
    place_delete(place, 1, "a", 2999);
    place_put(place, 4300, 10, 1, "a", 5);
    place->store->ops->close(place->store);
    place->store = NULL;
    off_t pages = pages_of(&mended, last_file);
    assert_int_equal(truncate(path_in(&mended, last_file), (pages - 1) * PAGE), 0);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    place_open(place);
    assert_int_equal(place_find(place, "a")->trimmed, 2999);
    deinit(&mended);
}

/* ---- odd things in place of files ------------------------------------------------------------ */

static void make_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_socket(const char *path)
{
    assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
}

static void make_link_to_device(const char *path)
{
    assert_int_equal(symlink("/dev/zero", path), 0);
}

static void make_link_to_terminal(const char *path)
{
    assert_int_equal(symlink("/dev/tty", path), 0);
}

static void make_loop(const char *path)
{
    assert_int_equal(symlink(path, path), 0);
}

static void (*const odd[])(const char *path) = {make_fifo, make_socket, make_link_to_device,
                                                make_link_to_terminal};
enum { ODD = sizeof(odd) / sizeof(*odd) };

/* Opening such a file may wait for ever: the alarm then ends the test. */
static void nothing_hangs_at_what_is_no_file(void **state)
{
    (void)state;
    static const char *const names[] = {"log/0000000000001000.db",
                                        "log/0000000000004000.db",
                                        "state.db",
                                        "sums.db",
                                        "log/0000000000004000.db-wal",
                                        "state.db-wal",
                                        "log/0000000000004000.db-journal",
                                        "log/0000000000004000.db-shm",
                                        "sums.db-wal"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct mended mended;
        struct trouble trouble = {.known_webhooks = 5};
        fill(&mended);
        unlink(path_in(&mended, names[i]));
        odd[i % ODD](path_in(&mended, names[i]));
        mended.place.config.trouble = &trouble;
        alarm(60);
        if (place_try_open(&mended.place) == 0) {
            assert_true(strncmp(names[i], "sums.db", 7) == 0); /* sums.db is made anew */
            place_close(&mended.place);
        } else {
            mended.place.store = NULL;
            assert_true(trouble.kind == TROUBLE_NO_PLAIN_FILE || trouble.kind == TROUBLE_DAMAGED);
            repair(&mended, true);
            repair(&mended, false);
            assert_int_equal(mended.result, strstr(names[i], "-shm") ? 0 : REPAIR_LOST);
            place_open(&mended.place);
        }
        alarm(0);
        deinit(&mended);
    }
}

/* Files that are not needed at once. */
static void an_opening_passes_over_odd_things_that_it_can_do_without(void **state)
{
    (void)state;
    static const char *const names[] = {"reserve", "log/spare.db", "log/spare.new", "log/other",
                                        "log/0000000000009000.db.new"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) * 2; i++) {
        struct mended mended;
        fill(&mended);
        mended.place.config.reserve_bytes = 1 << 20;
        unlink(path_in(&mended, names[i / 2]));
        odd[i % 2](path_in(&mended, names[i / 2]));
        alarm(60);
        place_open(&mended.place);
        place_roll(&mended.place);
        struct batch *batch = place_batch(5000, 1, 1, "a", 10);
        (void)place_append(&mended.place, batch);
        place_put(&mended.place, 5001, 1, 1, "a", 10);
        alarm(0);
        deinit(&mended);
    }
}

/* A lock that cannot be taken is an error, and no wait. */
static void an_odd_lock_hangs_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < ODD; i++) {
        struct mended mended;
        fill(&mended);
        unlink(path_in(&mended, "lock"));
        odd[i](path_in(&mended, "lock"));
        alarm(60);
        repair(&mended, false);
        alarm(0);
        assert_true(mended.result <= 0);
        deinit(&mended);
    }
}

/* The content of a write-ahead log that is gone is unknown. */
static void an_odd_journal_may_have_had_the_newest_events(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    uint64_t now = (uint64_t)mended.place.clock.wall_us;
    make_fifo(path_in(&mended, "log/0000000000004000.db-wal"));
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    check_said(&mended, "between the ids 0000000000004300 and ");
    place_open(&mended.place);
    assert_true(mended.place.newest.lost >= now);
    assert_int_equal(place_count(&mended.place, 3), 300);
    deinit(&mended);
}

static void a_loop_of_links_is_set_aside(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    unlink(path_in(&mended, middle_file));
    make_loop(path_in(&mended, middle_file));
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    place_open(&mended.place);
    assert_int_equal(place_count(&mended.place, 3), 300);
    deinit(&mended);
}

/* ---- state.db and sums.db -------------------------------------------------------------------- */

static void damaged_sums_lose_nothing(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil(&mended, "sums.db");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    check_said(&mended, "makes it anew");
    assert_int_equal(count_files(&mended, "sums.db"), 0);
    assert_int_equal(count_files(&mended, "damaged/sums.db-*"), 1);
    place_open(&mended.place);
    assert_int_equal(mended.place.newest.lost, 0);
    assert_int_equal(place_count(&mended.place, 1), 600);
    deinit(&mended);
}

/* The owner of a folder must not lead root, who repairs it, to another place. */
static void nothing_is_set_aside_behind_a_link(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil(&mended, "sums.db");
    assert_int_equal(symlink("log", path_in(&mended, "damaged")), 0);
    repair(&mended, false);
    assert_int_equal(mended.result, -ENOTDIR);
    assert_int_equal(mended.trouble.kind, TROUBLE_NO_FOLDER);
    assert_int_equal(count_files(&mended, "log/sums*"), 0);
    assert_int_equal(count_files(&mended, "sums.db"), 1);
    deinit(&mended);
}

/* Whatever is damaged: the folder is named, nothing is said to have been set aside, and a dry run
 * says the same. */
static void a_link_in_the_place_of_the_folder_is_named(void **state)
{
    (void)state;
    static const char *const files[] = {"sums.db", "state.db", first_file};
    for (size_t i = 0; i < 2 * sizeof(files) / sizeof(*files); i++) {
        struct mended mended;
        fill(&mended);
        spoil(&mended, files[i / 2]);
        assert_int_equal(symlink("log", path_in(&mended, "damaged")), 0);
        repair(&mended, i % 2);
        assert_int_equal(mended.result, -ENOTDIR);
        assert_int_equal(mended.trouble.kind, TROUBLE_NO_FOLDER);
        assert_string_equal(mended.trouble.path, path_in(&mended, "damaged"));
        assert_null(strstr(mended.out.at, "set aside"));
        assert_int_equal(count_files(&mended, "log/*-*Z"), 0);
        deinit(&mended);
    }
}

/* Quotas of projects: no name of a file may lead from log/ to another folder. */
static void a_log_under_a_quota_of_its_own_has_its_damaged_files_beside_it(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil(&mended, first_file);
    spoil(&mended, "sums.db");
    has_quotas = true;
    repair(&mended, false);
    has_quotas = false;
    assert_int_equal(mended.result, REPAIR_LOST);
    assert_int_equal(count_files(&mended, "log/damaged/0000000000001000.db-*"), 1);
    assert_int_equal(count_files(&mended, "damaged/sums.db-*"), 1);
    check_said(&mended, "set aside as log/damaged/0000000000001000.db-");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    deinit(&mended);
}

static void a_lost_state_is_made_anew_and_told(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    place_open(&mended.place);
    place_trim(&mended.place, 1, "a", 2999, 1050);
    place_close(&mended.place);
    spoil(&mended, "state.db");
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    check_said(&mended, "trimmed (0 are known)");
    check_said(&mended, "webhooks");
    place_open(&mended.place);
    assert_int_equal(mended.place.newest.lost, 4299);
    assert_int_equal(place_count(&mended.place, 1), 600); /* trimmed events are back */
    place_close(&mended.place);
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    deinit(&mended);
}

/* A state with many trims, and tables as webhooks have them, one without rowids. */
static void fill_state(struct mended *mended)
{
    fill(mended);
    file_execute(
        path_in(mended, "state.db"),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO trim SELECT 'channel/' || i || '/' || hex(zeroblob(40)), i + 100, 50, 50"
        " FROM n;"
        "INSERT INTO setting VALUES('courier_version', 5);"
        "CREATE TABLE endpoint(id TEXT PRIMARY KEY, url TEXT);"
        "CREATE TABLE lane(endpoint, slot, PRIMARY KEY(endpoint, slot)) WITHOUT ROWID;"
        "CREATE INDEX endpoint_url ON endpoint(url);"
        "INSERT INTO endpoint VALUES('wh_1', 'http://x'), ('wh_2', 'http://y');"
        "INSERT INTO lane VALUES(1, 2)");
}

static int64_t number_in(const struct mended *mended, const char *name, const char *sql)
{
    return file_number(path_in(mended, name), sql);
}

static void the_readable_rows_of_the_state_are_kept(void **state)
{
    (void)state;
    struct mended mended;
    fill_state(&mended);
    off_t middle = pages_of(&mended, "state.db") / 2;
    for (off_t i = 0; i < 4; i++) /* at least a page of the table is among them */
        spoil_page(&mended, "state.db", middle + i);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    assert_int_equal(count_files(&mended, "damaged/state.db-*"), 1);
    assert_int_equal(
        number_in(&mended, "state.db", "SELECT value FROM setting WHERE name = 'lost'"), 4299);
    assert_true(number_in(&mended, "state.db", "SELECT count(*) FROM trim") > 500);
    assert_int_equal(number_in(&mended, "state.db", "SELECT count(*) FROM endpoint"), 2);
    assert_int_equal(number_in(&mended, "state.db", "SELECT count(*) FROM lane"), 1);
    assert_int_equal(number_in(&mended, "state.db",
                               "SELECT count(*) FROM sqlite_master WHERE name = 'endpoint_url'"),
                     1);
    assert_int_equal(
        number_in(&mended, "state.db", "SELECT value FROM setting WHERE name = 'courier_version'"),
        5);
    deinit(&mended);
}

static void a_state_whose_index_is_damaged_loses_nothing(void **state)
{
    (void)state;
    struct mended mended;
    fill_state(&mended);
    file_execute(
        path_in(&mended, "state.db"),
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM"
        " sqlite_master WHERE name = 'erase') WHERE name = 'trim_number'");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    check_said(&mended, "all of it can be read and is kept");
    assert_int_equal(number_in(&mended, "state.db", "SELECT count(*) FROM trim"), 2000);
    deinit(&mended);
}

static void holes_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    struct mended mended;
    fill_state(&mended);
    file_execute(path_in(&mended, "state.db"), "INSERT INTO hole(upto, after) VALUES(1700, 1200)");
    spoil_page(
        &mended, "state.db",
        number_in(&mended, "state.db", "SELECT rootpage FROM sqlite_master WHERE name = 'hole'") -
            1);
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    assert_int_equal(number_in(&mended, "state.db", "SELECT count(*) FROM trim"), 2000);
    assert_int_equal(
        number_in(&mended, "state.db", "SELECT value FROM setting WHERE name = 'lost'"), 4299);
    deinit(&mended);
}

static void a_state_that_never_had_holes_has_lost_none(void **state)
{
    (void)state;
    struct mended mended;
    fill_state(&mended);
    file_execute(
        path_in(&mended, "state.db"),
        "DROP TABLE hole; DROP TABLE removal;"
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM"
        " sqlite_master WHERE name = 'erase') WHERE name = 'trim_number'");
    repair(&mended, false);
    assert_int_equal(mended.result, 0);
    check_said(&mended, "all of it can be read and is kept");
    deinit(&mended);
}

static void a_name_with_two_numbers_keeps_the_newer(void **state)
{
    (void)state;
    struct mended mended;
    struct place *place = &mended.place;
    fill(&mended);
    place_open(place);
    uint32_t number = 2;
    assert_int_equal(place->store->ops->forget(place->store, NULL, 0, &number, 1), 0);
    place_put(place, 5000, 10, 9, "b", 5);
    place_close(place);
    spoil(&mended, "state.db");
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    place_open(place);
    assert_int_equal(place_find(place, "b")->number, 9);
    assert_int_equal(place_find(place, "b")->count, 10);
    assert_int_equal(place_count(place, 2), 0);
    deinit(&mended);
}

/* ---- limits of a repair ---------------------------------------------------------------------- */

static void a_dry_run_says_the_same_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const files[] = {first_file, middle_file, last_file, "state.db", "sums.db"};
    for (size_t i = 0; i < 5; i++) {
        struct mended mended;
        fill(&mended);
        if (i == 1)
            spoil_page(&mended, middle_file, 50);
        else
            spoil(&mended, files[i]);
        unsigned long before = digest_of(&mended);
        repair(&mended, true);
        int result = mended.result;
        assert_int_equal(digest_of(&mended), before);
        check_said(&mended, "would be set aside");
        repair(&mended, false);
        assert_int_equal(mended.result, result);
        assert_null(strstr(mended.out.at, "would"));
        deinit(&mended);
    }
}

/* A file may be larger than the memory. */
static void a_dry_run_holds_no_file_in_memory(void **state)
{
    (void)state;
    struct mended mended = {.result = 0};
    place_init(&mended.place);
    place_open(&mended.place);
    for (uint64_t i = 0; i < 10; i++)
        place_put(&mended.place, 1000 + i * 1000, 1000, 1 + (uint32_t)i % 2, i % 2 ? "b" : "a",
                  2000);
    place_roll(&mended.place);
    place_close(&mended.place);
    spoil_page(&mended, first_file, pages_of(&mended, first_file) / 2);
    (void)sqlite3_memory_highwater(1);
    repair(&mended, true);
    assert_int_equal(mended.result, REPAIR_LOST);
    check_said(&mended, " of its 10000 events can be read and would be kept");
    check_said(&mended, "channels that lost events: ");
    assert_true(sqlite3_memory_highwater(0) < 10 << 20); /* the file has 20 MB */
    deinit(&mended);
}

static void a_folder_in_use_is_not_touched(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil(&mended, "sums.db");
    place_open(&mended.place);
    repair(&mended, false);
    assert_int_equal(mended.result, -EBUSY);
    assert_int_equal(mended.trouble.kind, TROUBLE_IN_USE);
    assert_int_equal(mended.trouble.pid, getpid());
    deinit(&mended);
}

static void a_newer_format_ends_the_repair_before_any_change(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil(&mended, first_file);
    file_execute(path_in(&mended, last_file), "UPDATE meta SET value = 9 WHERE name = 'version'");
    unsigned long before = digest_of(&mended);
    repair(&mended, false);
    assert_true(mended.result < 0);
    assert_int_equal(mended.trouble.kind, TROUBLE_NEWER);
    assert_int_equal(mended.trouble.format, 9);
    assert_int_equal(digest_of(&mended), before);
    deinit(&mended);
}

static void a_path_that_is_no_folder_is_an_error(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    char dir[64];
    snprintf(dir, sizeof(dir), "%s", mended.place.dir);
    snprintf(mended.place.dir, sizeof(mended.place.dir), "/proc/nowhere");
    repair(&mended, false);
    assert_true(mended.result < 0);
    assert_int_equal(mended.trouble.kind, TROUBLE_MISSING);
    snprintf(mended.place.dir, sizeof(mended.place.dir), "/proc/version");
    repair(&mended, false);
    assert_true(mended.result < 0);
    assert_int_equal(mended.trouble.kind, TROUBLE_NO_FOLDER);
    snprintf(mended.place.dir, sizeof(mended.place.dir), "%s", dir);
    deinit(&mended);
}

static void an_attempt_that_was_ended_may_be_made_again(void **state)
{
    (void)state;
    struct mended mended;
    fill(&mended);
    spoil_page(&mended, middle_file, 50);
    spoil(&mended, "state.db");
    static const char *const left[] = {"log/0000000000002000.db.new", "state.db.new",
                                       "log/0000000000002000.db.new-wal", "state.db.new-wal"};
    for (size_t i = 0; i < 4; i++) {
        FILE *file = fopen(path_in(&mended, left[i]), "w");
        fputs("half", file);
        fclose(file);
    }
    repair(&mended, false);
    assert_int_equal(mended.result, REPAIR_LOST);
    assert_int_equal(count_files(&mended, "state.db.new*"), 0);
    place_open(&mended.place);
    assert_true(place_count(&mended.place, 1) > 500);
    deinit(&mended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_in_order_is_left_as_it_is),
        cmocka_unit_test(a_file_without_a_head_is_set_aside_and_its_range_is_lost),
        cmocka_unit_test(the_readable_rows_of_a_sealed_file_are_kept),
        cmocka_unit_test(an_index_that_is_damaged_loses_nothing),
        cmocka_unit_test(the_last_file_loses_all_up_to_now),
        cmocka_unit_test(a_log_whose_only_file_is_lost_begins_anew),
        cmocka_unit_test(rows_that_make_no_sense_are_not_kept),
        cmocka_unit_test(an_event_that_was_changed_on_the_disk_is_not_kept),
        cmocka_unit_test(hops_of_events_are_no_damage),
        cmocka_unit_test(names_are_found_elsewhere),
        cmocka_unit_test(a_channel_without_a_name_is_looked_for_once),
        cmocka_unit_test(a_folder_in_place_of_a_file_is_set_aside_too),
        cmocka_unit_test(deletions_in_a_damaged_file_are_kept),
        cmocka_unit_test(nothing_hangs_at_what_is_no_file),
        cmocka_unit_test(an_opening_passes_over_odd_things_that_it_can_do_without),
        cmocka_unit_test(an_odd_lock_hangs_nothing),
        cmocka_unit_test(an_odd_journal_may_have_had_the_newest_events),
        cmocka_unit_test(a_loop_of_links_is_set_aside),
        cmocka_unit_test(damaged_sums_lose_nothing),
        cmocka_unit_test(nothing_is_set_aside_behind_a_link),
        cmocka_unit_test(a_link_in_the_place_of_the_folder_is_named),
        cmocka_unit_test(a_log_under_a_quota_of_its_own_has_its_damaged_files_beside_it),
        cmocka_unit_test(a_lost_state_is_made_anew_and_told),
        cmocka_unit_test(the_readable_rows_of_the_state_are_kept),
        cmocka_unit_test(a_state_whose_index_is_damaged_loses_nothing),
        cmocka_unit_test(holes_that_cannot_be_read_are_told),
        cmocka_unit_test(a_state_that_never_had_holes_has_lost_none),
        cmocka_unit_test(a_name_with_two_numbers_keeps_the_newer),
        cmocka_unit_test(a_dry_run_says_the_same_and_changes_nothing),
        cmocka_unit_test(a_dry_run_holds_no_file_in_memory),
        cmocka_unit_test(a_folder_in_use_is_not_touched),
        cmocka_unit_test(a_newer_format_ends_the_repair_before_any_change),
        cmocka_unit_test(a_path_that_is_no_folder_is_an_error),
        cmocka_unit_test(an_attempt_that_was_ended_may_be_made_again),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1));
    faults_install(); /* the disk of the tests, whose syncs do not wait */
    return cmocka_run_group_tests(tests, NULL, pattern_remove);
}
