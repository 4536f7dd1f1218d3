#include "log/store/sqlite/testing.h"

#include "base/say.h"
#include "log/store/sqlite/faults.h"
#include "log/store/sqlite/skip.h"

#include <fcntl.h>

enum { MANY = 20000, FIRST = 10000, PAGE = 4096, TABLE_INNER = 5, TABLE_LEAF = 13 };

/* A sealed file with so many pages of rows that its tree has inner pages under the root, and an
 * unsealed one. */
static struct place model;

static int make_model(void **state)
{
    (void)state;
    place_init(&model);
    place_open(&model);
    place_put(&model, FIRST, MANY, 1, "a", 200);
    place_roll(&model);
    place_put(&model, FIRST + MANY, MANY / 10, 1, "a", 200);
    place_close(&model);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    place_deinit(&model);
    return 0;
}

static void path_of(const struct place *place, uint64_t first, char path[128])
{
    snprintf(path, 128, "%s/log/%016llu.db", place->dir, (unsigned long long)first);
}

static int open_file(const struct place *place, uint64_t first)
{
    char path[128];
    path_of(place, first, path);
    return open(path, O_RDWR);
}

/* The offset of the `nth` page of this kind, without the root. */
static off_t find_page(int fd, unsigned char kind, int nth)
{
    unsigned char found;
    for (off_t at = 6 * (off_t)PAGE; pread(fd, &found, 1, at) == 1; at += PAGE)
        if (found == kind && !nth--)
            return at;
    fail();
    return 0;
}

static void write_at(int fd, off_t at, size_t len)
{
    static const char bytes[8] = "\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_int_equal(pwrite(fd, bytes, len, at), len);
}

static void spoil(const struct place *place, uint64_t first, unsigned char kind, int nth)
{
    int fd = open_file(place, first);
    write_at(fd, find_page(fd, kind, nth), 8);
    close(fd);
}

/* Spoils the columns of a row in the midst of a page of rows, but not its place nor its id. */
static void spoil_row(const struct place *place, uint64_t first, int nth)
{
    enum { POINTER = 8 + 2 * 3, COLUMNS = 2 + 3 };
    unsigned char pointer[2];
    int fd = open_file(place, first);
    off_t page = find_page(fd, TABLE_LEAF, nth);
    assert_int_equal(pread(fd, pointer, 2, page + POINTER), 2);
    write_at(fd, page + (pointer[0] << 8 | pointer[1]) + COLUMNS, 3);
    close(fd);
}

static void copy_model(struct place *place)
{
    char command[256];
    place_init(place);
    snprintf(command, sizeof(command), "cp -r %s/. %s", model.dir, place->dir);
    assert_int_equal(system(command), 0);
}

/* Whether all rows with after < id <= upto are refused, and their neighbours are not. */
static void check_range(struct reader *reader, struct skip range)
{
    sqlite3_stmt *row;
    assert_true(range.after < range.upto);
    assert_int_equal(reader_statement(reader, READER_EVENT, &row), 0);
    uint64_t beside = range.after < reader->segment->first ? range.after + 1 : range.after;
    for (uint64_t id = beside; id <= range.upto + 1; id++) {
        bool is_inside = id > range.after && id <= range.upto;
        db_bind_id(row, 1, id);
        assert_int_equal(db_row(row) < 0, is_inside);
        sqlite3_reset(row);
    }
}

static struct reader *take(struct place *place, uint64_t first)
{
    struct chain *chain = sqlite_chain(place->store);
    struct segment *segment = chain_at(chain, first);
    struct reader *reader;
    assert_int_equal(segment->first, first);
    assert_int_equal(reader_take(chain->readers, segment, &reader), 0);
    segment_unref(segment);
    return reader;
}

/* Searches the range from each of its ids, in both directions. */
static void check_all_sides(struct place *place, uint64_t first, uint64_t last, uint64_t inside)
{
    struct reader *reader = take(place, first);
    struct skip up = skip_up(reader, inside - 1, last);
    check_range(reader, up);
    assert_true(up.after < inside && inside <= up.upto);
    const struct skip others[] = {
        skip_up(reader, up.after, last),           skip_up(reader, up.upto - 1, last),
        skip_up(reader, inside - 1, inside),       skip_down(reader, up.after, up.upto),
        skip_down(reader, up.after, up.after + 1), skip_down(reader, inside - 1, inside),
        skip_down(reader, first - 1, up.upto),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_int_equal(others[i].after, up.after);
        assert_int_equal(others[i].upto, up.upto);
    }
    assert_int_equal(skip_place(reader, inside), up.upto);
    assert_int_equal(skip_place(reader, up.upto + 1), up.upto + 1);
    reader_give(sqlite_chain(place->store)->readers, reader, true);
}

/* The first id that is refused. */
static uint64_t first_refused(struct place *place, uint64_t first, uint64_t from, uint64_t last)
{
    struct reader *reader = take(place, first);
    sqlite3_stmt *row;
    uint64_t id = from;
    assert_int_equal(reader_statement(reader, READER_EVENT, &row), 0);
    for (; id <= last; id++) {
        db_bind_id(row, 1, id);
        int result = db_row(row);
        sqlite3_reset(row);
        if (result < 0)
            break;
    }
    reader_give(sqlite_chain(place->store)->readers, reader, true);
    assert_true(id <= last);
    return id;
}

static void the_range_is_that_of_the_page_from_wherever_it_is_met(void **state)
{
    (void)state;
    static const struct {
        unsigned char kind;
        int nth;
    } cases[] = {{TABLE_LEAF, 3}, {TABLE_LEAF, 400}, {TABLE_LEAF, 1000}, {TABLE_INNER, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct place place;
        copy_model(&place);
        spoil(&place, FIRST, cases[i].kind, cases[i].nth);
        place_open(&place);
        uint64_t inside = first_refused(&place, FIRST, FIRST, FIRST + MANY - 1);
        check_all_sides(&place, FIRST, FIRST + MANY - 1, inside + 3);
        place_deinit(&place);
    }
}

static void a_row_in_a_sound_page_is_passed_alone(void **state)
{
    (void)state;
    struct place place;
    copy_model(&place);
    spoil(&place, FIRST, TABLE_LEAF, 395);
    spoil_row(&place, FIRST, 400);
    spoil(&place, FIRST, TABLE_LEAF, 405);
    place_open(&place);
    struct reader *reader = take(&place, FIRST);
    uint64_t last = FIRST + MANY - 1, page = first_refused(&place, FIRST, FIRST, last);
    uint64_t behind = skip_up(reader, page - 1, last).upto;
    uint64_t row = first_refused(&place, FIRST, behind + 1, last);
    const struct skip ranges[] = {skip_up(reader, row - 1, last), skip_up(reader, row - 1, row),
                                  skip_down(reader, FIRST - 1, row),
                                  skip_down(reader, row - 1, row)};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        assert_int_equal(ranges[i].after, row - 1);
        assert_int_equal(ranges[i].upto, row);
    }
    reader_give(sqlite_chain(place.store)->readers, reader, true);
    place_deinit(&place);
}

static void a_file_that_is_appended_to_has_its_ranges_too(void **state)
{
    (void)state;
    struct place place;
    copy_model(&place);
    place_open(&place);
    spoil(&place, FIRST + MANY, TABLE_LEAF, 30);
    place_put(&place, FIRST + 2 * MANY, 100, 1, "a", 200);
    uint64_t last = FIRST + 2 * MANY + 99;
    uint64_t inside = first_refused(&place, FIRST + MANY, FIRST + MANY, last);
    check_all_sides(&place, FIRST + MANY, last, inside + 3);
    place_deinit(&place);
}

/* Without the tree the end is searched for. */
static void rows_behind_the_last_page_of_a_file_are_tried(void **state)
{
    (void)state;
    struct place place;
    copy_model(&place);
    place_open(&place);
    uint64_t last = FIRST + MANY + MANY / 10 - 1;
    struct reader *reader = take(&place, FIRST + MANY);
    struct skip range = skip_up(reader, last - 1, last);
    assert_int_equal(range.after, last - 1);
    assert_int_equal(range.upto, last);
    range = skip_down(reader, last - 1, last);
    assert_int_equal(range.after, last - 1);
    assert_int_equal(range.upto, last);
    reader_give(sqlite_chain(place.store)->readers, reader, false);
    place_deinit(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_range_is_that_of_the_page_from_wherever_it_is_met),
        cmocka_unit_test(a_row_in_a_sound_page_is_passed_alone),
        cmocka_unit_test(a_file_that_is_appended_to_has_its_ranges_too),
        cmocka_unit_test(rows_behind_the_last_page_of_a_file_are_tried),
    };
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* damage is made here on purpose */
    faults_install(); /* the disk of the tests, whose syncs do not wait */
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
