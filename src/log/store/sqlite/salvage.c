/* SQLite refuses a page that cannot be right, and ends the statement that came upon it. A table is
 * a tree of pages in the order of its rowids. So the rows before that page can be read upwards from
 * the beginning, and the rows behind it downwards from the end. Both are copied. Between them there
 * is at least one damaged page, and all rows there are given up. */
#include "log/store/sqlite/salvage.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* A pass through a table: upwards from its beginning, or downwards from its end. */
struct pass {
    const struct salvage *salvage;
    struct salvaged *salvaged;
    sqlite3_stmt *rows;
    sqlite3_stmt *insert; /* NULL if nothing is written */
    bool down;
    int error; /* of what is written to */
};

static int finish_sql(struct buf *sql)
{
    buf_add_char(sql, '\0');
    return buf_failed(sql) ? -ENOMEM : 0;
}

/* A name from a schema, which may have any character. */
static void add_name(struct buf *sql, const char *name)
{
    buf_add_char(sql, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_add_char(sql, '"');
        buf_add_char(sql, *name);
    }
    buf_add_char(sql, '"');
}

/* Columns are matched by name: the two tables may have them in different order. */
static int prepare_insert(struct pass *pass, const char *table)
{
    struct buf sql = {0};
    int columns = sqlite3_column_count(pass->rows);
    buf_add_lit(&sql, "INSERT OR IGNORE INTO ");
    add_name(&sql, table);
    for (int i = SALVAGE_FIRST; i < columns; i++) {
        buf_add_char(&sql, i == SALVAGE_FIRST ? '(' : ',');
        add_name(&sql, sqlite3_column_name(pass->rows, i));
    }
    for (int i = SALVAGE_FIRST; i < columns; i++)
        buf_addf(&sql, "%s?%d", i == SALVAGE_FIRST ? ") VALUES(" : ",", i);
    buf_add_char(&sql, ')');
    int result = finish_sql(&sql);
    result = result ? result : db_prepare(pass->salvage->to, sql.at, &pass->insert);
    buf_free(&sql);
    return result;
}

/* Prepares the rows; `rows` is NULL if SQLite cannot find the table. A table without rowids is read
 * upwards only. */
static int prepare_rows(struct pass *pass, const char *table)
{
    static const char *const orders[] = {" ORDER BY rowid", " ORDER BY rowid DESC", ""};
    static const char *const firsts[] = {"SELECT rowid, * FROM ", "SELECT rowid, * FROM ",
                                         "SELECT 0, * FROM "};
    for (int i = pass->down ? 1 : 0; !pass->rows && i < 3; i += 2) {
        struct buf sql = {0};
        buf_add_str(&sql, str_from(firsts[i]));
        add_name(&sql, table);
        buf_add_str(&sql, str_from(orders[i]));
        int result = finish_sql(&sql);
        result = result ? result : db_prepare(pass->salvage->from, sql.at, &pass->rows);
        buf_free(&sql);
        if (result == -ENOMEM)
            return result;
    }
    return 0;
}

static int insert_row(const struct pass *pass)
{
    int columns = sqlite3_column_count(pass->rows);
    for (int i = SALVAGE_FIRST; i < columns; i++)
        sqlite3_bind_value(pass->insert, i, sqlite3_column_value(pass->rows, i));
    return db_run(pass->insert);
}

static int copy_row(struct pass *pass)
{
    const struct salvage *salvage = pass->salvage;
    pass->error = pass->insert ? insert_row(pass) : 0;
    if (!pass->error && salvage->took)
        pass->error = salvage->took(salvage->context, pass->rows);
    return pass->error;
}

static bool is_in_order(const struct pass *pass, int64_t rowid)
{
    return rowid > pass->salvaged->low && rowid < pass->salvaged->high;
}

/* Returns 1 when the pass meets the rows of the other pass. Rows that are out of order show a page
 * that belongs elsewhere. */
static int take_row(struct pass *pass)
{
    const struct salvage *salvage = pass->salvage;
    struct salvaged *salvaged = pass->salvaged;
    int64_t rowid = sqlite3_column_int64(pass->rows, 0);
    if (pass->down && rowid == salvaged->low && rowid)
        return 1;
    if (salvage->takes && !salvage->takes(salvage->context, pass->rows))
        return 0;
    if (rowid && !is_in_order(pass, rowid))
        return -EBADMSG;
    *(pass->down ? &salvaged->high : &salvaged->low) = rowid;
    salvaged->rows++;
    return copy_row(pass);
}

/* The end of the rows, or of what can be read of them. */
static int read_rows(struct pass *pass)
{
    int result;
    while ((result = db_row(pass->rows)) == 1) {
        result = take_row(pass);
        if (result)
            break;
    }
    if (result >= 0)
        pass->salvaged->whole = true;
    return result == 1 ? 0 : result;
}

/* An error in reading ends this pass only; an error in writing ends everything. */
static int judge(const struct pass *pass, int result)
{
    return result == -ENOMEM ? result : pass->error;
}

static int run_pass(const struct salvage *salvage, const char *table, bool down,
                    struct salvaged *salvaged)
{
    struct pass pass = {.salvage = salvage, .salvaged = salvaged, .down = down};
    int result = prepare_rows(&pass, table);
    if (!result && pass.rows && salvage->to)
        result = prepare_insert(&pass, table);
    if (!result && pass.rows) {
        result = read_rows(&pass);
        result = result ? judge(&pass, result) : 0;
    }
    sqlite3_finalize(pass.rows);
    sqlite3_finalize(pass.insert);
    return result;
}

int salvage_table(const struct salvage *salvage, const char *table, struct salvaged *ret_salvaged)
{
    *ret_salvaged = (struct salvaged){.high = INT64_MAX};
    int result = run_pass(salvage, table, false, ret_salvaged);
    return result || ret_salvaged->whole ? result : run_pass(salvage, table, true, ret_salvaged);
}

enum side { SIDE_NONE, SIDE_FILE, SIDE_ODD };

static enum side side_of(const char *path, const char *end)
{
    char name[4096];
    snprintf(name, sizeof(name), "%s%s", path, end);
    if (!db_is_plain(name))
        return SIDE_ODD;
    return access(name, F_OK) == 0 ? SIDE_FILE : SIDE_NONE;
}

bool salvage_lacks_journal(const char *path)
{
    enum side wal = side_of(path, "-wal");
    return wal == SIDE_ODD || side_of(path, "-journal") == SIDE_ODD ||
           (wal == SIDE_FILE && side_of(path, "-shm") == SIDE_ODD);
}

static bool has_journal(const char *path)
{
    return side_of(path, "-wal") == SIDE_FILE || side_of(path, "-journal") == SIDE_FILE;
}

/* With a writable schema SQLite reads a truncated file as far as it goes, instead of refusing it.
 */
int salvage_open(const char *path, sqlite3 **ret_db)
{
    bool is_journaled = has_journal(path) && !salvage_lacks_journal(path);
    int result = db_open(path, is_journaled ? DB_WRITE : DB_IMMUTABLE, ret_db);
    if (!result)
        (void)db_exec(*ret_db, "PRAGMA writable_schema = 1; PRAGMA cell_size_check = 1");
    return result;
}
