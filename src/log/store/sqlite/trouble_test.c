#include "log/store/sqlite/pattern.h"

#include "base/say.h"
#include "log/store/sqlite/trouble.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* A folder with two sealed files and one that is appended to, closed. */
static void fill(struct place *place)
{
    place_init(place);
    if (pattern_copy(place->dir))
        return;
    place_open(place);
    place_put(place, 100, 50, 1, "a", 500);
    place_roll(place);
    place_put(place, 200, 50, 2, "b", 500);
    place_roll(place);
    place_put(place, 300, 50, 1, "a", 500);
    place_close(place);
    pattern_keep(place->dir);
}

static const char *path_in(const struct place *place, const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", place->dir, name);
    return path;
}

static const char *const event_files[] = {"log/0000000000000100.db", "log/0000000000000200.db",
                                          "log/0000000000000300.db"};

/* Opens the folder, which must fail, and returns the trouble. */
static const char *told(struct place *place, struct trouble *trouble)
{
    static char text[2048];
    struct buf out = {0};
    *trouble = (struct trouble){.known_webhooks = 5};
    place->config.trouble = trouble;
    assert_true(place_try_open(place) < 0);
    place->store = NULL;
    trouble_add(&out, trouble, place->config.dir);
    snprintf(text, sizeof(text), "%.*s", STR_FMT(buf_str(&out)));
    buf_free(&out);
    assert_null(strstr(text, "Unknown error"));
    return text;
}

static void check_told(struct place *place, enum trouble_kind kind, const char *file,
                       const char *cause)
{
    struct trouble trouble;
    const char *text = told(place, &trouble);
    if (trouble.kind != kind || !strstr(text, file) || !strstr(text, cause))
        fail_msg("kind %d, wanted %d: %s", (int)trouble.kind, (int)kind, text);
}

static void write_at(const char *path, off_t at, const char *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, strlen(bytes), at), strlen(bytes));
    close(fd);
}

/* ---- errnos ---------------------------------------------------------------------------------- */

static void every_errno_has_a_cause_that_can_be_read(void **state)
{
    (void)state;
    for (int error = 1; error < 132; error++) {
        if (error == 41 || error == 58) /* are none */
            continue;
        struct trouble trouble = {0};
        struct buf out = {0};
        trouble_look(&trouble, "/proc/self", -error);
        assert_int_not_equal(trouble.kind, TROUBLE_NONE);
        trouble_add(&out, &trouble, "/proc/self");
        buf_add_char(&out, '\0');
        assert_null(strstr(out.at, "Unknown error"));
        assert_non_null(strstr(out.at, "/proc/self "));
        assert_non_null(strstr(out.at, ". "));
        buf_free(&out);
    }
}

static void the_first_file_that_is_noted_is_kept(void **state)
{
    (void)state;
    struct trouble trouble = {0};
    assert_int_equal(trouble_note(&trouble, "/a", 0), 0);
    assert_int_equal(trouble_note(&trouble, "/b", -ENOSPC), -ENOSPC);
    assert_int_equal(trouble_note(&trouble, "/c", -EIO), -EIO);
    assert_int_equal(trouble_note(NULL, "/d", -EIO), -EIO);
    trouble_look(&trouble, "/e", -EIO);
    assert_string_equal(trouble.path, "/b");
    assert_int_equal(trouble.kind, TROUBLE_NO_SPACE);
}

static void advice_names_the_folder(void **state)
{
    (void)state;
    struct trouble trouble = {.kind = TROUBLE_DAMAGED, .path = "/d/x.db", .detail = "torn"};
    struct buf out = {0};
    trouble_add(&out, &trouble, "/d");
    buf_add_char(&out, '\0');
    assert_string_equal(out.at, "/d/x.db is damaged: torn. \"freshet repair /d\" sets it aside and "
                                "says what is lost");
    buf_free(&out);
}

/* ---- the folder ------------------------------------------------------------------------------ */

static void a_folder_in_use_names_the_process(void **state)
{
    (void)state;
    struct place place, second;
    char pid[32];
    place_init(&place);
    place_open(&place);
    second = place;
    second.store = NULL;
    snprintf(pid, sizeof(pid), "process %lld", (long long)getpid());
    check_told(&second, TROUBLE_IN_USE, place.dir, pid);
    place_deinit(&place);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    char file[96];
    snprintf(file, sizeof(file), "%s/file", place.dir);
    write_at(file, 0, "x");
    const struct {
        const char *dir;
        enum trouble_kind kind;
    } cases[] = {{"/proc/nowhere/data", TROUBLE_MISSING},
                 {"/proc/self/data", TROUBLE_MISSING},
                 {file, TROUBLE_NO_FOLDER}};
    for (size_t i = 0; i < 3; i++) {
        place.config.dir = cases[i].dir;
        check_told(&place, cases[i].kind, cases[i].dir, "folder");
    }
    place.config.dir = place.dir;
    place_deinit(&place);
}

static void a_file_that_stands_in_place_of_a_folder_is_named_itself(void **state)
{
    (void)state;
    static const char *const below[] = {"", "/", "/data", "/data/"};
    struct place place;
    char file[96], dir[128];
    place_init(&place);
    snprintf(file, sizeof(file), "%s/file", place.dir);
    write_at(file, 0, "x");
    for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
        struct trouble trouble = {0};
        struct buf told = {0};
        snprintf(dir, sizeof(dir), "%s%s/lock", file, below[i]);
        trouble_note(&trouble, dir, -ENOTDIR);
        trouble_look(&trouble, dir, -ENOTDIR);
        assert_int_equal(trouble.kind, TROUBLE_NO_FOLDER);
        assert_string_equal(trouble.path, file);
        trouble_add(&told, &trouble, dir);
        assert_non_null(memmem(told.at, told.len, "/file is not a folder. Name another", 35));
        buf_free(&told);
    }
    place_deinit(&place);
}

static void an_entry_of_another_kind_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"state.db", "sums.db", "log/0000000000000200.db"};
    for (size_t i = 0; i < 3; i++) {
        struct place place;
        fill(&place);
        const char *path = path_in(&place, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        check_told(&place, TROUBLE_NO_PLAIN_FILE, names[i], "is not a file");
        place_deinit(&place);
    }
}

static void a_log_that_is_no_folder_is_named(void **state)
{
    (void)state;
    struct place place;
    place_init(&place);
    write_at(path_in(&place, "log"), 0, "x");
    check_told(&place, TROUBLE_NO_FOLDER, "/log", "is not a folder");
    place_deinit(&place);
}

/* Root may use everything, so a child process becomes another user. */
static void in_child(struct place *place, void (*check)(struct place *place))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (getuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(77);
        check(place);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail_msg("the child ended with %d", status);
}

static const char *forbidden; /* the words that the child looks for */

static void see_no_access(struct place *place)
{
    struct trouble trouble;
    const char *text = told(place, &trouble);
    bool right = trouble.kind == TROUBLE_NO_ACCESS && strstr(text, forbidden);
    if (!right)
        fprintf(stderr, "kind %d: %s\n", (int)trouble.kind, text);
    _exit(right ? 0 : 1);
}

static void give_away(const struct place *place)
{
    char command[160];
    snprintf(command, sizeof(command), "chown -R 65534:65534 %s", place->dir);
    assert_int_equal(getuid() == 0 ? system(command) : 0, 0);
}

static void a_file_that_the_user_may_not_use_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        mode_t mode;
        const char *told;
    } cases[] = {{"", 0, "/lock"},
                 {".", 0500, ""},
                 {"lock", 0, "/lock"},
                 {"lock", 0400, "/lock"},
                 {"log", 0, "/log"},
                 {"state.db", 0, "/state.db"},
                 {"state.db", 0400, "/state.db"},
                 {"log/0000000000000100.db", 0, "/log/0000000000000100.db"},
                 {"log/0000000000000300.db", 0, "/log/0000000000000300.db"},
                 {"log/0000000000000300.db", 0400, "/log/0000000000000300.db"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct place place;
        fill(&place);
        unlink(path_in(&place, "sums.db")); /* or the sealed files are not opened */
        give_away(&place);
        char told_name[160];
        snprintf(told_name, sizeof(told_name), "%s%s may not", place.dir, cases[i].told);
        forbidden = told_name;
        if (cases[i].mode == 0500)
            unlink(path_in(&place, "lock")); /* or the folder need not be written to */
        assert_int_equal(chmod(path_in(&place, cases[i].name), cases[i].mode), 0);
        in_child(&place, see_no_access);
        assert_int_equal(chmod(path_in(&place, cases[i].name), 0700), 0);
        place_deinit(&place);
    }
}

static void a_missing_folder_that_the_user_may_not_make_comes_with_what_to_do(void **state)
{
    (void)state;
    struct place place;
    char dir[160];
    place_init(&place);
    give_away(&place);
    snprintf(dir, sizeof(dir), "%s/data", place.dir);
    place.config.dir = dir;
    forbidden = "/data cannot be made: user ";
    assert_int_equal(chmod(place.dir, 0500), 0);
    in_child(&place, see_no_access);
    assert_int_equal(chmod(place.dir, 0700), 0);
    place.config.dir = place.dir;
    place_deinit(&place);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void a_damaged_file_is_named_whichever_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct place place;
        fill(&place);
        write_at(path_in(&place, event_files[i]), 0, "garbage");
        check_told(&place, TROUBLE_DAMAGED, event_files[i], "freshet repair");
        place_deinit(&place);
    }
}

static void a_file_without_its_end_is_named(void **state)
{
    (void)state;
    static const off_t lengths[] = {0, 50, 4096, 20000};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 4; j++) {
            struct place place;
            fill(&place);
            assert_int_equal(truncate(path_in(&place, event_files[i]), lengths[j]), 0);
            check_told(&place, TROUBLE_DAMAGED, event_files[i],
                       lengths[j] ? "cut off" : "it is empty");
            place_deinit(&place);
        }
    }
}

static void a_database_of_others_is_no_file_of_the_log(void **state)
{
    (void)state;
    struct place place;
    fill(&place);
    unlink(path_in(&place, event_files[1]));
    file_execute(path_in(&place, event_files[1]), "CREATE TABLE poem(line)");
    check_told(&place, TROUBLE_DAMAGED, event_files[1], "no such table");
    place_deinit(&place);
}

static void a_newer_format_is_told_by_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *file, *sql, *numbers;
    } cases[] = {
        {"log/0000000000000300.db", "UPDATE meta SET value = 77 WHERE name = 'version'",
         "it has format 77, this one knows up to 1"},
        {"log/0000000000000100.db", "UPDATE meta SET value = 78 WHERE name = 'version'",
         "it has format 78, this one knows up to 1"},
        {"state.db", "UPDATE setting SET value = 79 WHERE name = 'version'",
         "it has format 79, this one knows up to 1"},
    };
    for (size_t i = 0; i < 3; i++) {
        struct place place;
        fill(&place);
        unlink(path_in(&place, "sums.db"));
        file_execute(path_in(&place, cases[i].file), cases[i].sql);
        check_told(&place, TROUBLE_NEWER, cases[i].file, cases[i].numbers);
        place_deinit(&place);
    }
}

static void newer_webhooks_are_told_too(void **state)
{
    (void)state;
    struct place place;
    struct trouble trouble = {.known_webhooks = 5};
    fill(&place);
    file_execute(path_in(&place, "state.db"), "INSERT INTO setting VALUES('courier_version', 6)");
    trouble_look(&trouble, path_in(&place, "state.db"), -ENOTSUP);
    assert_int_equal(trouble.kind, TROUBLE_NEWER);
    assert_int_equal(trouble.format, 6);
    assert_int_equal(trouble.known, 5);
    place_deinit(&place);
}

static void a_damaged_state_is_named(void **state)
{
    (void)state;
    static const char *const bytes[] = {"garbage", "SQLite format 3"};
    for (size_t i = 0; i < 2; i++) {
        struct place place;
        fill(&place);
        if (i)
            assert_int_equal(truncate(path_in(&place, "state.db"), 0), 0);
        write_at(path_in(&place, "state.db"), 0, bytes[i]);
        check_told(&place, TROUBLE_DAMAGED, "state.db", "freshet repair");
        place_deinit(&place);
    }
}

static void damaged_sums_are_no_trouble(void **state)
{
    (void)state;
    struct place place;
    fill(&place);
    write_at(path_in(&place, "sums.db"), 0, "garbage");
    place_open(&place);
    assert_int_equal(place_count(&place, 1), 100);
    place_deinit(&place);
}

static void a_file_that_another_program_has_locked_is_named(void **state)
{
    (void)state;
    struct place place;
    struct trouble trouble = {0};
    sqlite3 *db;
    fill(&place);
    const char *path = path_in(&place, "state.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    trouble_look(&trouble, path, -EIO); /* an opening would wait for ten seconds first */
    assert_int_equal(trouble.kind, TROUBLE_LOCKED);
    sqlite3_close(db);
    place_deinit(&place);
}

static void too_few_descriptors_are_told_as_that(void **state)
{
    (void)state;
    struct place place;
    struct rlimit before, few;
    fill(&place);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(STDERR_FILENO);
    close(lowest);
    /* The first few openings fail at the lock, at state.db, at sums.db, in the log. */
    for (unsigned more = 0; more < 6; more++) {
        few = before;
        few.rlim_cur = (rlim_t)lowest + more;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        struct trouble trouble = {0};
        place.config.trouble = &trouble;
        int result = place_try_open(&place);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(result < 0);
        assert_int_equal(trouble.kind, TROUBLE_NO_DESCRIPTORS);
        place.store = NULL;
    }
    place_deinit(&place);
}

/* ---- the survey ------------------------------------------------------------------------------ */

static void a_survey_finds_nothing_in_a_folder_that_is_right_or_not_there(void **state)
{
    (void)state;
    struct place place;
    struct trouble trouble = {.known_webhooks = 5};
    fill(&place);
    assert_int_equal(trouble_survey(&trouble, place.dir), TROUBLE_NONE);
    place_open(&place);
    assert_int_equal(trouble_survey(&trouble, place.dir), TROUBLE_NONE);
    assert_int_equal(trouble_survey(&trouble, path_in(&place, "none")), TROUBLE_NONE);
    assert_int_equal(trouble_survey(&trouble, path_in(&place, "none/none")), TROUBLE_MISSING);
    assert_int_equal(trouble_survey(&trouble, "nowhere"), TROUBLE_NONE);
    assert_int_equal(trouble_survey(&trouble, path_in(&place, "none//")), TROUBLE_NONE);
    place_deinit(&place);
}

static void a_survey_names_what_a_server_could_not_open(void **state)
{
    (void)state;
    struct place place;
    struct trouble trouble = {.known_webhooks = 5};
    fill(&place);
    assert_int_equal(trouble_survey(&trouble, path_in(&place, "state.db")), TROUBLE_NO_FOLDER);
    file_execute(path_in(&place, "state.db"), "INSERT INTO setting VALUES('courier_version', 6)");
    assert_int_equal(trouble_survey(&trouble, place.dir), TROUBLE_NEWER);
    file_execute(path_in(&place, "state.db"), "DELETE FROM setting WHERE name = 'courier_version'");
    write_at(path_in(&place, event_files[0]), 0, "garbage");
    assert_int_equal(trouble_survey(&trouble, place.dir), TROUBLE_DAMAGED);
    assert_non_null(strstr(trouble.path, event_files[0]));
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_errno_has_a_cause_that_can_be_read),
        cmocka_unit_test(the_first_file_that_is_noted_is_kept),
        cmocka_unit_test(advice_names_the_folder),
        cmocka_unit_test(a_folder_in_use_names_the_process),
        cmocka_unit_test(a_folder_that_cannot_be_made_is_named),
        cmocka_unit_test(an_entry_of_another_kind_is_named),
        cmocka_unit_test(a_file_that_stands_in_place_of_a_folder_is_named_itself),
        cmocka_unit_test(a_log_that_is_no_folder_is_named),
        cmocka_unit_test(a_file_that_the_user_may_not_use_is_named),
        cmocka_unit_test(a_missing_folder_that_the_user_may_not_make_comes_with_what_to_do),
        cmocka_unit_test(a_damaged_file_is_named_whichever_it_is),
        cmocka_unit_test(a_file_without_its_end_is_named),
        cmocka_unit_test(a_database_of_others_is_no_file_of_the_log),
        cmocka_unit_test(a_newer_format_is_told_by_its_number),
        cmocka_unit_test(newer_webhooks_are_told_too),
        cmocka_unit_test(a_damaged_state_is_named),
        cmocka_unit_test(damaged_sums_are_no_trouble),
        cmocka_unit_test(a_file_that_another_program_has_locked_is_named),
        cmocka_unit_test(too_few_descriptors_are_told_as_that),
        cmocka_unit_test(a_survey_finds_nothing_in_a_folder_that_is_right_or_not_there),
        cmocka_unit_test(a_survey_names_what_a_server_could_not_open),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, pattern_remove);
}
