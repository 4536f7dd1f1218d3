/* `freshet repair` is ended at each of its steps: before every call that synchronises a file of the
 * folder or changes a name. Then either the server starts and tells of each
 * event that is not there any more, or it refuses to start and says that the folder must be
 * repaired; and a second repair always leads to a folder on which it starts.
 *
 * The same is done with power cuts: a repair is recorded (disk.c), and folders are built as a power
 * cut could have left them (replay.h). REPAIR_CUTS says how many. */
#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/repair.h"
#include "replay.h"

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* ---- a damaged folder ------------------------------------------------------------------------ */

static const char middle_file[] = "log/0000000000002000.db";
static const char last_file[] = "log/0000000000004000.db";
static const char last_wal[] = "log/0000000000004000.db-wal";

/* Ids of the events that there were, by channel. */
static const struct {
    uint64_t first, last;
    uint32_t number;
} had[] = {{1000, 1099, 1}, {2000, 2299, 2}, {2300, 2399, 1}, {4000, 4099, 3}, {4100, 4149, 1}};

static void path_of(const char *dir, const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", dir, name);
}

static void run_sql(const char *dir, const char *name, const char *sql)
{
    char path[128];
    sqlite3 *db;
    path_of(dir, name, path);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    if (db_exec(db, sql))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* Two sealed files and one that is appended to, whose events are in its write-ahead log. */
static void fill(struct place *place)
{
    place_open(place);
    place_put(place, 1000, 100, 1, "a", 100);
    place_roll(place);
    place_put(place, 2000, 300, 2, "b", 100);
    place_put(place, 2300, 100, 1, "a", 100);
    place_roll(place);
    place_put(place, 4000, 100, 3, "c", 100);
    place_put(place, 4100, 50, 1, "a", 100);
    _exit(0); /* and nothing is closed */
}

static int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static pid_t fork_child(void)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    return pid;
}

static void spoil_head(const char *dir, const char *name)
{
    char path[128];
    path_of(dir, name, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "garbage", 7, 0), 7);
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

static void spoil_middle(const char *dir)
{
    run_sql(dir, middle_file, "UPDATE event SET data = 'changed' WHERE id = 2100");
}

/* The damage is in the write-ahead log, and without that the file looks sound. */
static void spoil_last(const char *dir)
{
    run_sql(dir, last_file, "UPDATE event SET data = 'changed' WHERE id = 4050");
}

static void spoil_state(const char *dir)
{
    spoil_head(dir, "state.db");
}

static void spoil_everything(const char *dir)
{
    spoil_middle(dir);
    spoil_last(dir);
    spoil_state(dir);
    spoil_head(dir, "sums.db");
}

/* Nothing of it can be read, and nothing takes its place. */
static void spoil_all_of_middle(const char *dir)
{
    spoil_head(dir, middle_file);
}

struct harm {
    const char *name;
    void (*spoil)(const char *dir);
    const char *files[4]; /* set aside by the repair */
};

static const struct harm harms[] = {
    {"last", spoil_last, {last_file, last_wal}},
    {"middle", spoil_middle, {middle_file}},
    {"all of middle", spoil_all_of_middle, {middle_file}},
    {"state", spoil_state, {"state.db"}},
    {"everything", spoil_everything, {last_file, last_wal, "state.db", "sums.db"}},
};

enum { HARMS = sizeof(harms) / sizeof(*harms) };

/* ---- opening it ------------------------------------------------------------------------------ */

static void on_lost(void *context, uint64_t upto)
{
    _Atomic uint64_t *lost = context;
    if (upto > atomic_load(lost))
        atomic_store(lost, upto);
}

/* All that was there is there, or up to where it is lost is told. */
static void check_events(struct place *place, const _Atomic uint64_t *lost)
{
    static uint64_t ids[1000];
    uint64_t missing = 0;
    for (uint32_t number = 1; number <= 3; number++) {
        size_t count = place_ids(place, number, ids, 1000), at = 0;
        for (size_t i = 0; i < sizeof(had) / sizeof(*had); i++)
            for (uint64_t id = had[i].first; id <= had[i].last && had[i].number == number; id++)
                if (at < count && ids[at] == id)
                    at++;
                else
                    missing = id;
        assert_int_equal(at, count); /* and nothing else */
    }
    uint64_t told = atomic_load(lost) > place->newest.lost ? atomic_load(lost) : place->newest.lost;
    if (missing > told)
        fail_msg("the event %llu is lost in silence: lost up to %llu is told",
                 (unsigned long long)missing, (unsigned long long)told);
}

/* Starts a server on the folder; false if it refuses and says to repair. */
static bool starts(struct place *place)
{
    _Atomic uint64_t lost = 0;
    struct trouble trouble = {.known_webhooks = 5};
    place->config.trouble = &trouble;
    place->config.lost = on_lost;
    place->config.context = &lost;
    if (place_try_open(place)) {
        place->store = NULL;
        if (trouble.kind != TROUBLE_UNFINISHED && trouble.kind != TROUBLE_DAMAGED)
            fail_msg("trouble %d with %s: %s", (int)trouble.kind, trouble.path, trouble.detail);
        return false;
    }
    check_events(place, &lost);
    place_close(place);
    return true;
}

static int repair(const char *dir, int64_t wall_us, bool dry_run)
{
    struct clock_fake clock;
    struct trouble trouble;
    struct buf out = {0};
    clock_fake_init(&clock, wall_us);
    const struct repair_config config = {
        .dir = dir, .dry_run = dry_run, .clock = &clock.clock, .known_webhooks = 5};
    int result = repair_folder(&config, &trouble, &out);
    if (result < 0)
        fail_msg("%s: %d %s", trouble.path, (int)trouble.kind, trouble.detail);
    buf_free(&out);
    return result;
}

static struct str read_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &info), 0);
    char *bytes = mem_alloc((size_t)info.st_size + 1);
    assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
    close(fd);
    return (struct str){bytes, (size_t)info.st_size};
}

static void copy_file(const char *from, const char *to)
{
    struct str bytes = read_file(from);
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.at, bytes.len), bytes.len);
    close(fd);
    free((char *)(uintptr_t)bytes.at);
}

static void copy_folder(const char *from, const char *to)
{
    char a[512], b[512];
    DIR *folder = opendir(from);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(a, sizeof(a), "%s/%s", from, entry->d_name);
        snprintf(b, sizeof(b), "%s/%s", to, entry->d_name);
        if (entry->d_type == DT_REG) {
            copy_file(a, b);
        } else if (entry->d_name[0] != '.') {
            assert_int_equal(mkdir(b, 0700), 0);
            copy_folder(a, b);
        }
    }
    closedir(folder);
}

/* Whether a name of the folder of damaged files is that of a file, with a time in it. */
static bool is_of(const char *entry, const char *name)
{
    const char *slash = strchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *wal = strstr(base, "-wal");
    size_t len = wal ? (size_t)(wal - base) : strlen(base);
    return strncmp(entry, base, len) == 0 && entry[len] == '-' &&
           (strstr(entry, "-wal") != NULL) == (wal != NULL) && !strstr(entry, "-shm");
}

/* Whether the folder of damaged files has the bytes that were in the file `name` of `whole`. */
static void check_set_aside(const char *dir, const char *whole, const char *name)
{
    char path[512];
    bool found = false;
    snprintf(path, sizeof(path), "%s/%s", whole, name);
    struct str had_bytes = read_file(path);
    snprintf(path, sizeof(path), "%s/damaged", dir);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; !found && (entry = readdir(folder));) {
        if (!is_of(entry->d_name, name))
            continue;
        snprintf(path, sizeof(path), "%s/damaged/%s", dir, entry->d_name);
        struct str bytes = read_file(path);
        found = str_eq(bytes, had_bytes);
        free((char *)(uintptr_t)bytes.at);
    }
    closedir(folder);
    free((char *)(uintptr_t)had_bytes.at);
    if (!found)
        fail_msg("%s is not in %s/damaged", name, dir);
}

/* Checks a folder in which a repair was ended: a server starts on it or refuses it, and it can be
 * repaired. */
static void check_left(const char *dir, const struct place *damaged, const struct harm *harm)
{
    struct place place;
    int64_t now = damaged->clock.wall_us + 1000000;
    place_init(&place);
    copy_folder(dir, place.dir);
    (void)starts(&place);
    place_deinit(&place);
    place_init(&place);
    copy_folder(dir, place.dir);
    clock_fake_advance(&place.clock, INT64_C(10000000));
    (void)repair(place.dir, now, true);
    (void)repair(place.dir, now + 1, false);
    assert_true(starts(&place));
    assert_int_equal(repair(place.dir, now + 2, false), 0);
    for (size_t i = 0; i < 4 && harm->files[i]; i++)
        check_set_aside(place.dir, damaged->dir, harm->files[i]);
    place_deinit(&place);
}

/* ---- ended by a kill ------------------------------------------------------------------------- */

static void set_disk(const char *dir, const struct disk_setup *wanted)
{
    struct disk_setup setup = *wanted;
    setup.counts_names = true;
    snprintf(setup.folder, sizeof(setup.folder), "%s", dir);
    disk_set_up(&setup);
}

/* False once the repair is through before it dies. */
static bool is_killed_at(const struct place *damaged, const struct harm *harm, uint64_t call,
                         bool has_no_links)
{
    struct place place;
    place_init(&place);
    copy_folder(damaged->dir, place.dir);
    pid_t pid = fork_child();
    if (pid == 0) {
        const struct disk_setup setup = {
            .die_at = call, .has_no_links = has_no_links, .record = -1};
        set_disk(place.dir, &setup);
        _exit(repair(place.dir, damaged->clock.wall_us, false) < 0);
    }
    int status = end_of(pid);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
    if (WIFSIGNALED(status))
        check_left(place.dir, damaged, harm);
    place_deinit(&place);
    return WIFSIGNALED(status);
}

/* Each child of a record has numbers of its own for what it opens. */
enum { OPENS_OF_CHILD = 100000 };

static void run_fill(struct place *place, int record)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        set_disk(place->dir, &(struct disk_setup){.record = record});
        fill(place);
    }
    assert_int_equal(end_of(pid), 0);
    clock_fake_advance(&place->clock, 3 * place->config.roll_us);
}

static unsigned long rounds(void)
{
    const char *text = getenv("REPAIR_ROUNDS");
    return text ? strtoul(text, NULL, 10) : 0;
}

/* Each step of the first harm, in which a file looks sound while it is exchanged, and some of the
 * others. */
static unsigned stride_of(const struct harm *harm, unsigned otherwise)
{
    return rounds() ? 1 : STRIDE * (harm == harms ? 1 : otherwise);
}

static void kill_at_calls(const struct harm *harm, bool has_no_links)
{
    struct place damaged;
    unsigned stride = stride_of(harm, 30);
    uint64_t call = 1 + (uint64_t)has_no_links % stride;
    place_init(&damaged);
    run_fill(&damaged, -1);
    harm->spoil(damaged.dir);
    while (is_killed_at(&damaged, harm, call, has_no_links))
        call += stride;
    print_message("%s: %llu calls\n", harm->name, (unsigned long long)call);
    assert_true(call > 10);
    place_deinit(&damaged);
}

static void a_repair_that_is_killed_at_any_step_loses_nothing_in_silence(void **state)
{
    (void)state;
    for (size_t i = 0; i < HARMS; i++)
        kill_at_calls(&harms[i], false);
}

static void the_same_holds_where_files_have_one_name_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < HARMS; i++)
        kill_at_calls(&harms[i], true);
}

/* ---- ended by a power cut -------------------------------------------------------------------- */

struct record {
    struct place place;
    char path[64];
    int fd;
    char *bytes;
    size_t size;
    size_t repaired_at; /* where the repair begins in it */
};

static void sync_all_in(const char *dir)
{
    char path[512];
    DIR *folder = opendir(dir);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (entry->d_type == DT_REG)
            assert_int_equal(db_sync_file(path), 0);
    }
    closedir(folder);
    assert_int_equal(db_sync_folder(dir), 0);
}

static void run_recorded(struct record *record, unsigned child,
                         void (*run)(const struct record *record, const struct harm *harm),
                         const struct harm *harm)
{
    pid_t pid = fork_child();
    if (pid == 0) {
        set_disk(record->place.dir,
                 &(struct disk_setup){.record = record->fd, .open_base = child * OPENS_OF_CHILD});
        run(record, harm);
        _exit(0);
    }
    assert_int_equal(end_of(pid), 0);
}

/* The damage has been on the disk for long. */
static void run_spoil(const struct record *record, const struct harm *harm)
{
    char log[128];
    harm->spoil(record->place.dir);
    path_of(record->place.dir, "log", log);
    sync_all_in(record->place.dir);
    sync_all_in(log);
}

static void run_repair(const struct record *record, const struct harm *harm)
{
    (void)harm;
    (void)repair(record->place.dir, record->place.clock.wall_us, false);
}

static size_t size_of(const struct record *record)
{
    struct stat info;
    assert_int_equal(fstat(record->fd, &info), 0);
    return (size_t)info.st_size;
}

/* `damaged` gets the folder as it is before the repair. */
static void record_make(struct record *record, const struct harm *harm, struct place *damaged)
{
    *record = (struct record){.path = "/tmp/freshet-record-XXXXXX"};
    place_init(&record->place);
    record->fd = mkostemp(record->path, O_APPEND | O_CLOEXEC);
    assert_true(record->fd >= 0);
    run_fill(&record->place, record->fd);
    run_recorded(record, 1, run_spoil, harm);
    record->repaired_at = size_of(record);
    place_init(damaged);
    copy_folder(record->place.dir, damaged->dir);
    damaged->clock.wall_us = record->place.clock.wall_us;
    run_recorded(record, 2, run_repair, harm);
    record->size = size_of(record);
    record->bytes = mmap(NULL, record->size, PROT_READ, MAP_PRIVATE, record->fd, 0);
    assert_true(record->bytes != MAP_FAILED);
}

static void record_free(struct record *record)
{
    munmap(record->bytes, record->size);
    close(record->fd);
    unlink(record->path);
    place_deinit(&record->place);
}

/* Builds what a cut before the entry at `end` may have left. */
static void build(const struct record *record, size_t end, uint64_t seed, const char *dir)
{
    struct replay *replay = replay_new(seed);
    struct disk_entry entry;
    for (size_t at = 0; at < end; at += sizeof(entry) + entry.len) {
        memcpy(&entry, record->bytes + at, sizeof(entry));
        replay_entry(replay, &entry, record->bytes + at + sizeof(entry));
    }
    replay_folder(replay, record->place.dir, dir);
    replay_free(replay);
}

/* Cuts before some of the entries of the repair. */
static void cut_at_entries(const struct harm *harm, uint64_t seed)
{
    unsigned stride = stride_of(harm, 6) * (rounds() ? 1 : 10);
    struct record record;
    struct disk_entry entry;
    struct place damaged, place;
    size_t n = 0;
    record_make(&record, harm, &damaged);
    for (size_t at = record.repaired_at; at < record.size; at += sizeof(entry) + entry.len) {
        memcpy(&entry, record.bytes + at, sizeof(entry));
        if ((n++ + seed) % stride)
            continue;
        place_init(&place);
        build(&record, at, seed * 1000 + n, place.dir);
        check_left(place.dir, &damaged, harm);
        place_deinit(&place);
    }
    print_message("%s: %zu entries\n", harm->name, n);
    place_deinit(&damaged);
    record_free(&record);
}

static void a_repair_that_a_power_cut_ends_loses_nothing_in_silence(void **state)
{
    (void)state;
    for (size_t i = 0; i < HARMS; i++)
        for (uint64_t seed = 0; seed < (rounds() ? rounds() : 1); seed++)
            cut_at_entries(&harms[i], seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repair_that_is_killed_at_any_step_loses_nothing_in_silence),
        cmocka_unit_test(the_same_holds_where_files_have_one_name_each),
        cmocka_unit_test(a_repair_that_a_power_cut_ends_loses_nothing_in_silence),
    };
    disk_set_up(&(struct disk_setup){.folder = "/tmp/freshet-store-", .record = -1}); /* no syncs */
    say_set_level((enum say_level)(SAY_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
