/* A table is a tree of pages. An inner page has pairs of a child and the greatest id in it, so it
 * says which ids belong to a page that cannot be read itself:
 *
 *                 | .. 1000 | .. 1020 | .. 1040 | others |          an inner page
 *                      |         |         |         |
 *                   1..1000  1001..1020   ...       ...             pages of rows
 *
 * With the page of 1001..1020 damaged, 1001..1020 are skipped and 1021 is the next id that can be
 * read. An inner page that is damaged itself takes all ids below it with it. SQLite has no
 * statement that tells so much; the pages are read through its own file, so that nobody opens the
 * database a second time, which would drop locks. Only the inner pages are read: a sector that
 * fails may hold a read up for seconds.
 *
 * Pages that are in a write-ahead log alone are not seen. Events are appended at the right end of
 * the tree, so the pages in the file are right about all ids but the newest, for which the tree has
 * no bound then. For these, and if the root is damaged, the end is searched for by trying: by steps
 * that double, and then by halves. The search may skip sound rows between two damaged pages. */
#include "log/store/sqlite/skip.h"

/* The page size of this program's files; inner pages of tables; the greatest depth of a tree that
 * is not damaged. */
enum { PAGE = 4096, VARINT_MAX = 9, INNER = 5, CELLS_AT = 12, DEPTH_MAX = 20, PAGES_MAX = 64 };

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- the tree -------------------------------------------------------------------------------- */

static uint32_t big_endian(const unsigned char *at, int bytes)
{
    uint32_t value = 0;
    while (bytes--)
        value = value << 8 | *at++;
    return value;
}

/* An integer of SQLite's of one to nine bytes (sqlite.org/fileformat2.html, section 1.6). */
static uint64_t varint(const unsigned char *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) {
        value = value << 7 | (at[i] & 0x7f);
        if (at[i] < 0x80)
            return value;
    }
    return value << 8 | at[8];
}

struct cell {
    uint32_t child;
    uint64_t upto;
};

/* False if the cell has an id outside of the page's range, which shows damage. */
static bool read_cell(const unsigned char *page, uint32_t index, const struct skip *range,
                      struct cell *ret_cell)
{
    uint32_t pointer = CELLS_AT + index * 2;
    uint32_t at = pointer + 2 <= PAGE ? big_endian(page + pointer, 2) : PAGE;
    if (at < CELLS_AT || at + 4 >= PAGE)
        return false;
    *ret_cell = (struct cell){big_endian(page + at, 4), varint(page + at + 4)};
    return ret_cell->upto > range->after && ret_cell->upto <= range->upto;
}

/* Finds the child page for the id, and narrows the range to it. False if the page is no inner page.
 */
static bool descend(const unsigned char *page, uint64_t id, struct skip *range, uint32_t *ret_child)
{
    struct skip narrowed = *range;
    uint32_t low = 0, high = big_endian(page + 3, 2);
    uint32_t child = big_endian(page + 8, 4);
    if (page[0] != INNER)
        return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct cell cell;
        if (!read_cell(page, middle, range, &cell))
            return false;
        if (cell.upto < id) {
            narrowed.after = larger(narrowed.after, cell.upto);
            low = middle + 1;
        } else {
            narrowed.upto = cell.upto;
            child = cell.child;
            high = middle;
        }
    }
    *range = narrowed;
    *ret_child = child;
    return child > 1;
}

static uint32_t root_of(sqlite3 *db)
{
    int64_t root = 0;
    int result = db_number(
        db, "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = 'event'", &root);
    return result ? 0 : (uint32_t)root;
}

static bool read_page(sqlite3_file *file, uint32_t number, unsigned char *page)
{
    sqlite3_int64 at = (sqlite3_int64)(number - 1) * PAGE;
    return file->pMethods->xRead(file, page, PAGE, at) == SQLITE_OK;
}

static bool is_of_our_size(sqlite3_file *file)
{
    unsigned char size[2];
    return file->pMethods->xRead(file, size, sizeof(size), 16) == SQLITE_OK &&
           big_endian(size, 2) == PAGE;
}

/* The range of ids of the page for the id, or of the lowest readable page above it. */
static struct skip find_page(struct reader *reader, uint64_t id)
{
    struct skip range = {0, UINT64_MAX};
    unsigned char page[PAGE + VARINT_MAX] = {0};
    sqlite3_file *file = NULL;
    uint32_t child = root_of(reader->db);
    if (!child || sqlite3_file_control(reader->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) ||
        !is_of_our_size(file))
        return range;
    for (int depth = 0; depth < DEPTH_MAX && read_page(file, child, page); depth++)
        if (!descend(page, id, &range, &child))
            break;
    return range;
}

/* ---- what can be read ------------------------------------------------------------------------ */

/* Whether the page that the id belongs to can be read. */
static bool is_sound(struct reader *reader, uint64_t id)
{
    sqlite3_stmt *row;
    if (reader_statement(reader, READER_ROW, &row))
        return false;
    db_bind_id(row, 1, id);
    int result = db_row(row);
    sqlite3_reset(row);
    return result >= 0;
}

/* Looks for the first row in low < id <= high in that direction: 1, 0 if there is none, or a
 * negative errno if it cannot be read. */
static int look(struct reader *reader, uint64_t low, uint64_t high, bool down)
{
    sqlite3_stmt *rows;
    int result = reader_statement(reader, down ? READER_SCAN_DOWN : READER_SCAN_UP, &rows);
    if (result)
        return result;
    db_bind_id(rows, 1, low);
    db_bind_id(rows, 2, high);
    result = db_row(rows);
    sqlite3_reset(rows);
    return result;
}

static bool is_readable(struct reader *reader, uint64_t low, uint64_t high, bool down)
{
    return look(reader, low, high, down) >= 0;
}

/* Whether a row with these ids is in a page, readable or not. `down` begins at the end of the page
 * that does not lead to the next page. */
static bool has_row(struct reader *reader, uint64_t low, uint64_t high, bool down)
{
    return look(reader, low, high, down) != 0;
}

static bool is_readable_from(struct reader *reader, uint64_t low, uint64_t high, uint64_t width,
                             bool down)
{
    return down ? is_readable(reader, low, high - width, true)
                : is_readable(reader, low + width, high, false);
}

/* Finds by trying how many ids from the edge on cannot be read. */
static uint64_t try_width(struct reader *reader, uint64_t low, uint64_t high, bool down)
{
    uint64_t bad = 0, good = 1, all = high - low;
    while (good < all && !is_readable_from(reader, low, high, good, down)) {
        bad = good;
        good *= 2;
    }
    good = smaller(good, all);
    while (good - bad > 1) {
        uint64_t middle = bad + (good - bad) / 2;
        if (is_readable_from(reader, low, high, middle, down))
            good = middle;
        else
            bad = middle;
    }
    return good;
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* Whether the tree says where the page ends. In a sealed file it does for the last page, too. */
static bool is_bounded(const struct reader *reader, const struct skip *range)
{
    return range->upto < UINT64_MAX || (range->after && reader->sealed);
}

static struct skip clip(const struct reader *reader, struct skip range)
{
    range.after = larger(range.after, reader->segment->first - 1);
    range.upto = smaller(range.upto, atomic_load(&reader->segment->newest));
    return range;
}

/* A readable page may have an unreadable row: then find the end of that by trying. */
struct skip skip_up(struct reader *reader, uint64_t low, uint64_t high)
{
    uint64_t id = low + 1;
    for (int i = 0; i < PAGES_MAX && id <= high; i++) {
        struct skip range = find_page(reader, id);
        if (!is_bounded(reader, &range))
            break;
        if (!is_sound(reader, id))
            return clip(reader, range);
        if (has_row(reader, low, smaller(range.upto, high), true))
            break;
        id = range.upto + 1;
    }
    return (struct skip){low, low + try_width(reader, low, high, false)};
}

struct skip skip_down(struct reader *reader, uint64_t low, uint64_t high)
{
    uint64_t id = high;
    for (int i = 0; i < PAGES_MAX && id > low; i++) {
        struct skip range = find_page(reader, id);
        if (!is_bounded(reader, &range))
            break;
        if (!is_sound(reader, id))
            return clip(reader, range);
        if (has_row(reader, larger(range.after, low), high, false))
            break;
        id = range.after;
    }
    return (struct skip){high - try_width(reader, low, high, true), high};
}

uint64_t skip_place(struct reader *reader, uint64_t id)
{
    if (is_sound(reader, id))
        return id;
    struct skip range = find_page(reader, id);
    return is_bounded(reader, &range) ? clip(reader, range).upto : id;
}
