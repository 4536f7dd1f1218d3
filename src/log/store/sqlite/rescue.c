/* The rows of a damaged file of events are copied as they are. SQLite notices damage by the
 * structure of a page alone. So each row is also checked against what freshet writes: the id lies
 * in the range of the file, the kind exists, texts are UTF-8, JSON is JSON, and the checksum fits.
 * A row that fails is not copied.
 *
 * A row names its channel by a number, and the names stand in another table of the file. A name
 * that cannot be read there may be found in sums.db or state.db: a number is given to another
 * channel only when no file refers to it any more.
 *
 * The log and the webhooks share state.db. The tables of the log are made anew and filled. The
 * tables of the webhooks are copied with their schema, either all of them or none, because an
 * opening expects all of them as soon as their format is noted. */
#include "log/store/sqlite/rescue.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "log/store/sqlite/folder.h"
#include "log/store/sqlite/links.h"
#include "log/store/sqlite/rowcheck.h"
#include "log/store/sqlite/salvage.h"
#include "log/store/sqlite/segment.h"
#include "log/store/sqlite/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The number of lost channels that are reported by name. */
#define TOLD_MAX 20

/* ---- names ----------------------------------------------------------------------------------- */

enum { NAME_PLACES = 2 };

/* Names of channels in other files of the folder. */
struct names {
    bool is_open;
    sqlite3 *db[NAME_PLACES];
    sqlite3_stmt *find[NAME_PLACES]; /* NULL if the file is not there or cannot be read */
};

static void names_open(struct names *names, const char *dir)
{
    static const char *const places[NAME_PLACES][2] = {
        {"sums.db", "SELECT name FROM channel WHERE number = ?1 AND typeof(name) = 'text'"},
        {"state.db", "SELECT name FROM trim WHERE number = ?1 AND typeof(name) = 'text'"},
    };
    names->is_open = true;
    for (size_t i = 0; i < NAME_PLACES; i++) {
        char *path = folder_join(dir, places[i][0]);
        if (access(path, F_OK) == 0 && salvage_open(path, &names->db[i]) == 0)
            (void)db_prepare(names->db[i], places[i][1], &names->find[i]);
        free(path);
    }
}

static void names_close(struct names *names)
{
    for (size_t i = 0; i < NAME_PLACES; i++) {
        sqlite3_finalize(names->find[i]);
        sqlite3_close(names->db[i]);
    }
}

/* Finds the name that belongs to a number: 1 with a row to be reset, or 0 when there is none. */
static int names_find(const struct names *names, uint32_t number, sqlite3_stmt **ret_row)
{
    for (size_t i = 0; i < NAME_PLACES; i++) {
        if (!names->find[i])
            continue;
        db_bind_id(names->find[i], 1, number);
        *ret_row = names->find[i];
        if (db_row(names->find[i]) == 1)
            return 1;
    }
    return 0;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* The event being read, and the places of its columns in the row. */
struct row {
    sqlite3_stmt *of;
    int at[ROWCHECK_COLUMNS]; /* files of different versions have their columns in different orders
                               */
};

struct taking {
    struct rescue *rescue;
    sqlite3 *to;
    sqlite3_stmt *find_name;
    sqlite3_stmt *count; /* NULL unless nothing is copied */
    struct names names;
    uint32_t unnamed; /* the channel that was asked for last and has no name */
    uint32_t named;   /* the channel that was asked for last and has a name: */
    char name[NAME_MAX_BYTES];
    size_t name_len;
    struct row row;
};

/* A missing column gets a number beyond all columns, which SQLite reads as NULL. */
static void find_columns(struct row *row, sqlite3_stmt *of)
{
    int count = sqlite3_column_count(of);
    row->of = of;
    for (int column = 0; column < ROWCHECK_COLUMNS; column++) {
        const char *name = rowcheck_name((enum rowcheck_column)column);
        row->at[column] = SALVAGE_FIRST;
        while (row->at[column] < count &&
               strcmp(sqlite3_column_name(of, row->at[column]), name) != 0)
            row->at[column]++;
    }
}

static int type_of(const struct row *row, enum rowcheck_column column)
{
    return sqlite3_column_type(row->of, row->at[column]);
}

static int64_t integer_of(const struct row *row, enum rowcheck_column column)
{
    return sqlite3_column_int64(row->of, row->at[column]);
}

static struct str bytes_of(const struct row *row, enum rowcheck_column column)
{
    return db_bytes(row->of, row->at[column]);
}

static bool is_text(const struct row *row, enum rowcheck_column column)
{
    return type_of(row, column) == SQLITE_TEXT && utf8_valid(bytes_of(row, column));
}

static bool is_text_or_none(const struct row *row, enum rowcheck_column column)
{
    return type_of(row, column) == SQLITE_NULL || is_text(row, column);
}

static bool has_sound_data(const struct row *row)
{
    switch (integer_of(row, ROWCHECK_kind) & 0xff) {
    case EVENT_JSON:
        return type_of(row, ROWCHECK_data) == SQLITE_TEXT &&
               !json_check(bytes_of(row, ROWCHECK_data), JSON_DEPTH_LIMIT, NULL);
    case EVENT_TEXT:
        return is_text(row, ROWCHECK_data);
    case EVENT_BINARY:
        return type_of(row, ROWCHECK_data) == SQLITE_BLOB;
    default:
        return false;
    }
}

static bool is_sound(const struct row *row)
{
    for (int column = ROWCHECK_id; column <= ROWCHECK_kind; column++)
        if (type_of(row, (enum rowcheck_column)column) != SQLITE_INTEGER)
            return false;
    return integer_of(row, ROWCHECK_channel) > 0 &&
           integer_of(row, ROWCHECK_channel) <= UINT32_MAX && integer_of(row, ROWCHECK_prev) >= 0 &&
           integer_of(row, ROWCHECK_prev) < integer_of(row, ROWCHECK_id) &&
           integer_of(row, ROWCHECK_kind) >= 0 &&
           integer_of(row, ROWCHECK_kind) <= WRITER_KIND_MAX && is_text(row, ROWCHECK_type) &&
           is_text_or_none(row, ROWCHECK_content_type) && is_text_or_none(row, ROWCHECK_sender) &&
           has_sound_data(row);
}

/* Adds a name that is known elsewhere to the new file. */
static bool add_name(struct taking *taking, uint32_t number)
{
    sqlite3_stmt *insert = NULL, *row;
    if (!taking->names.is_open)
        names_open(&taking->names, taking->rescue->dir);
    if (!names_find(&taking->names, number, &row))
        return false;
    int result =
        db_prepare(taking->to, "INSERT INTO channel(number, name) VALUES(?1, ?2)", &insert);
    if (!result) {
        db_bind_id(insert, 1, number);
        sqlite3_bind_value(insert, 2, sqlite3_column_value(row, 0));
        result = db_run(insert);
        sqlite3_finalize(insert);
    }
    sqlite3_reset(row);
    return result == 0;
}

/* Looks for the channel's name in the new file: 1, or 0 when there is none. */
static int look_for_name(struct taking *taking, uint32_t number)
{
    db_bind_id(taking->find_name, 1, number);
    int result = db_row(taking->find_name);
    struct str name = result == 1 ? db_bytes(taking->find_name, 0) : STR_NONE;
    if (name.len > sizeof(taking->name))
        result = 0;
    if (result == 1 && name.len)
        memcpy(taking->name, name.at, name.len);
    taking->name_len = name.len;
    sqlite3_reset(taking->find_name);
    return result;
}

static bool has_name(struct taking *taking, uint32_t number)
{
    if (number == taking->named || number == taking->unnamed)
        return number == taking->named;
    taking->named = 0;
    if (look_for_name(taking, number) != 1 &&
        (!add_name(taking, number) || look_for_name(taking, number) != 1)) {
        taking->unnamed = number;
        return false;
    }
    taking->named = number;
    return true;
}

static bool takes_event(void *context, sqlite3_stmt *of)
{
    struct taking *taking = context;
    struct rescue *rescue = taking->rescue;
    const struct row *row = &taking->row;
    if (row->of != of)
        find_columns(&taking->row, of);
    uint64_t id = (uint64_t)integer_of(row, ROWCHECK_id);
    if (id < rescue->first || id > rescue->last)
        return false;
    if (is_sound(row) && has_name(taking, (uint32_t)integer_of(row, ROWCHECK_channel)) &&
        rowcheck_is_as_written(of, row->at, (struct str){taking->name, taking->name_len}))
        return true;
    if (!rescue->refused_low || id < rescue->refused_low)
        rescue->refused_low = id;
    if (id > rescue->refused_high)
        rescue->refused_high = id;
    return false;
}

/* In a dry run the events that would be kept are only counted. */
static int count_event(void *context, sqlite3_stmt *of)
{
    struct taking *taking = context;
    (void)of;
    db_bind_id(taking->count, 1, taking->named);
    return db_run(taking->count);
}

static bool takes_channel(void *context, sqlite3_stmt *row)
{
    (void)context;
    struct str name = db_bytes(row, SALVAGE_FIRST + 1);
    return sqlite3_column_type(row, SALVAGE_FIRST + 1) == SQLITE_TEXT && name.len &&
           utf8_valid(name);
}

/* The newest events may have been in the lost journal. */
static void lose_end(struct rescue *rescue, const struct salvaged *events)
{
    uint64_t newest = events->whole && events->low ? (uint64_t)events->low : rescue->first - 1;
    if (!rescue->lost_first || newest < rescue->lost_first)
        rescue->lost_first = newest + 1;
    rescue->lost_last = rescue->last;
}

/* Finds the range of ids that may be lost, from the ends of both passes and the refused rows. */
static void judge_loss(struct rescue *rescue, const struct salvaged *events)
{
    if (!events->whole) {
        rescue->lost_first = events->low ? (uint64_t)events->low + 1 : rescue->first;
        rescue->lost_last = events->high < INT64_MAX ? (uint64_t)events->high - 1 : rescue->last;
    }
    /* A page that was replaced by another page loses its rows without an error. */
    if (events->whole && rescue->expected > rescue->kept && !rescue->refused_low) {
        rescue->lost_first = rescue->first;
        rescue->lost_last = rescue->last;
    }
    if (rescue->refused_low && (!rescue->lost_first || rescue->refused_low < rescue->lost_first))
        rescue->lost_first = rescue->refused_low;
    if (rescue->refused_high > rescue->lost_last)
        rescue->lost_last = rescue->refused_high;
    if (rescue->lacks_journal)
        lose_end(rescue, events);
    if (rescue->lost_first > rescue->lost_last)
        rescue->lost_first = rescue->lost_last = 0;
}

/* ---- a file of events ------------------------------------------------------------------------ */

/* Only a sealed file has counts of its channels' events. */
static int compare_counts(struct rescue *rescue, sqlite3 *to)
{
    sqlite3_stmt *row = NULL;
    int64_t expected = 0;
    int told = 0;
    int result = db_number(to, "SELECT ifnull(sum(count), 0) FROM channel", &expected);
    rescue->expected = expected > 0 ? (uint64_t)expected : 0;
    result = result ? result
                    : db_prepare(to,
                                 "SELECT name, count - ifnull(found, 0) FROM channel"
                                 " LEFT JOIN kept ON channel = number"
                                 " WHERE count > ifnull(found, 0) ORDER BY 2 DESC",
                                 &row);
    if (result)
        return result;
    for (; (result = db_row(row)) == 1; told++)
        if (told < TOLD_MAX)
            buf_addf(&rescue->channels, "%s%.*s (%lld)", told ? ", " : "",
                     STR_FMT(db_bytes(row, 0)), (long long)sqlite3_column_int64(row, 1));
    if (told > TOLD_MAX)
        buf_addf(&rescue->channels, " and %d more", told - TOLD_MAX);
    sqlite3_finalize(row);
    return result;
}

/* In a dry run the rows of events stay where they are: there may be gigabytes of them. */
static int take_events(struct rescue *rescue, sqlite3 *from, sqlite3 *to, struct salvaged *events)
{
    struct taking taking = {.rescue = rescue, .to = to};
    struct salvage salvage = {.from = from, .takes = takes_event, .context = &taking};
    int result = db_prepare(to, "SELECT name FROM channel WHERE number = ?1", &taking.find_name);
    if (!result && rescue->dry_run)
        result = db_prepare(to,
                            "INSERT INTO kept VALUES(?1, 1)"
                            " ON CONFLICT(channel) DO UPDATE SET found = found + 1",
                            &taking.count);
    salvage.took = rescue->dry_run ? count_event : NULL;
    salvage.to = rescue->dry_run ? NULL : to;
    result = result ? result : salvage_table(&salvage, "event", events);
    sqlite3_finalize(taking.find_name);
    sqlite3_finalize(taking.count);
    names_close(&taking.names);
    return result;
}

static int copy_events(struct rescue *rescue, sqlite3 *from, sqlite3 *to)
{
    struct salvage salvage = {.from = from, .to = to, .takes = takes_channel};
    struct salvaged channels, events = {.high = INT64_MAX}, trims;
    int result = salvage_table(&salvage, "channel", &channels);
    result = result ? result : take_events(rescue, from, to, &events);
    salvage.takes = NULL;
    result = result ? result : salvage_table(&salvage, "trim", &trims);
    if (result)
        return result;
    rescue->kept = events.rows;
    rescue->has_all_deletions = trims.whole && !rescue->lacks_journal;
    result = compare_counts(rescue, to);
    judge_loss(rescue, &events);
    return result ? result
                  : db_exec(to, "UPDATE channel SET count = NULL, bytes = NULL, first = NULL,"
                                " last = NULL");
}

/* Keeps the file's links to its neighbours, as far as they can be read. */
static int copy_links(sqlite3 *from, sqlite3 *to)
{
    struct links links;
    if (links_read(from, &links))
        links = (struct links){.log = 0};
    links.own = (struct link){.first = 0};
    links.rescued = 1;
    return links_write(to, &links);
}

/* The table `kept` says how many events of each channel are kept. */
#define KEPT_COPIED                                                                                \
    "CREATE TEMP VIEW kept AS SELECT channel, count(*) AS found FROM event GROUP BY channel"
#define KEPT_COUNTED "CREATE TABLE kept(channel INTEGER PRIMARY KEY, found INTEGER)"

/* Without a journal: an unfinished copy is thrown away. */
static int fill_events(struct rescue *rescue, sqlite3 *from, sqlite3 *to)
{
    int result = db_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    result = result ? result : segment_make_schema(to);
    result = result ? result : db_exec(to, rescue->dry_run ? KEPT_COUNTED : KEPT_COPIED);
    result = result ? result : db_exec(to, "BEGIN");
    result = result ? result : copy_events(rescue, from, to);
    result = result ? result : copy_links(from, to);
    return result ? result : db_exec(to, "COMMIT");
}

/* A file that cannot be opened at all is lost whole. */
static void lose_all(struct rescue *rescue)
{
    rescue->lost_first = rescue->first;
    rescue->lost_last = rescue->last;
}

static int open_target(const char *path, sqlite3 **ret_db)
{
    if (!path)
        return db_open(":memory:", DB_WRITE, ret_db);
    int result = db_unlink(path); /* an earlier attempt may have been interrupted */
    result = result ? result : db_create_file(path);
    return result ? result : db_open(path, DB_WRITE, ret_db);
}

int rescue_events(const char *from, const char *to, struct rescue *rescue)
{
    sqlite3 *damaged = NULL, *target = NULL;
    rescue->dry_run = !to;
    rescue->lacks_journal = salvage_lacks_journal(from);
    if (salvage_open(from, &damaged)) {
        lose_all(rescue);
        return to ? db_unlink(to) : 0;
    }
    int64_t trims = 0;
    int result = open_target(to, &target);
    result = result ? result : fill_events(rescue, damaged, target);
    result = result ? result : db_number(target, "SELECT count(*) FROM trim", &trims);
    sqlite3_close(damaged);
    sqlite3_close(target);
    if (to && (result || (!rescue->kept && !trims)))
        (void)unlink(to);
    else if (to)
        result = db_sync_file(to);
    return result;
}

uint64_t rescue_newest(const char *path)
{
    sqlite3 *db;
    int64_t id = 0;
    if (salvage_open(path, &db))
        return 0;
    (void)db_number(db, "SELECT ifnull(max(id), 0) FROM event", &id);
    sqlite3_close(db);
    return id > 0 ? (uint64_t)id : 0;
}

/* ---- state.db -------------------------------------------------------------------------------- */

/* Tables of the chain of files, which an older state.db does not have. They come last, since losing
 * removals only makes an opening report removed files as missing. */
static const char *const own_tables[] = {"setting", "trim", "forgotten", "erase",
                                         "removal", "hole", "pause"};
enum { TRIM_TABLES = 4 };

struct state_rescue {
    sqlite3 *from;
    sqlite3 *to;
    bool dry_run; /* `to` gets the settings alone */
    struct rescued_state *rescued;
};

static int take_table(const struct state_rescue *rescue, const char *table,
                      struct salvaged *ret_salvaged)
{
    struct salvage salvage = {.from = rescue->from, .to = rescue->to};
    if (rescue->dry_run && strcmp(table, "setting") != 0)
        salvage.to = NULL;
    return salvage_table(&salvage, table, ret_salvaged);
}

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof(own_tables) / sizeof(*own_tables); i++)
        if (strcmp(name, own_tables[i]) == 0)
            return true;
    return false;
}

static bool has_holes(sqlite3 *from)
{
    int64_t count = 0;
    int result = db_number(from, "SELECT count(*) FROM sqlite_master WHERE name = 'hole'", &count);
    return result || count;
}

/* Without the complete tables of holes and trims, readers cannot be told exactly what they missed.
 */
static bool may_be_cut(const struct state_rescue *rescue, size_t table)
{
    bool is_hole = strcmp(own_tables[table], "hole") == 0;
    return table >= TRIM_TABLES && (!is_hole || !has_holes(rescue->from));
}

static int copy_own(const struct state_rescue *rescue)
{
    int result = 0;
    struct rescued_state *rescued = rescue->rescued;
    rescued->has_all_trims = true;
    for (size_t i = 0; !result && i < sizeof(own_tables) / sizeof(*own_tables); i++) {
        struct salvaged table;
        result = take_table(rescue, own_tables[i], &table);
        rescued->has_all_trims = rescued->has_all_trims && (table.whole || may_be_cut(rescue, i));
        if (strcmp(own_tables[i], "trim") == 0)
            rescued->trims = table.rows;
    }
    return result;
}

/* The schema of other modules' tables: names, each followed by its statement, ended by a zero byte.
 * -EIO if some of it cannot be read. */
static int read_schema(sqlite3 *from, struct buf *schema)
{
    sqlite3_stmt *row = NULL;
    int result = db_prepare(from,
                            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
                            " AND tbl_name NOT IN ('setting', 'trim', 'forgotten', 'erase',"
                            " 'removal', 'hole', 'pause')"
                            " ORDER BY type = 'index', rowid",
                            &row);
    if (result)
        return result;
    while ((result = db_row(row)) == 1) {
        bool is_table = str_eq(db_bytes(row, 0), STR("table"));
        buf_add_str(schema, is_table ? db_bytes(row, 1) : STR(""));
        buf_add_char(schema, '\0');
        buf_add_str(schema, db_bytes(row, 2));
        buf_add_char(schema, '\0');
    }
    sqlite3_finalize(row);
    return result ? result : buf_failed(schema) ? -ENOMEM : 0;
}

static int copy_other(const struct state_rescue *rescue, const char *name, const char *sql)
{
    struct salvaged table = {.whole = true};
    struct rescued_state *rescued = rescue->rescued;
    int result = db_exec(rescue->to, sql);
    if (!result && *name && !is_own(name))
        result = take_table(rescue, name, &table);
    rescued->has_all_webhooks = rescued->has_all_webhooks && table.whole;
    if (strcmp(name, "endpoint") == 0)
        rescued->webhooks = table.rows;
    return result;
}

static int copy_others(const struct state_rescue *rescue)
{
    struct buf schema = {0};
    int64_t version = 0;
    int known =
        db_number(rescue->to, "SELECT value FROM setting WHERE name = 'courier_version'", &version);
    int result = read_schema(rescue->from, &schema);
    bool is_usable = !result && (known == 0 || !schema.len);
    rescue->rescued->has_all_webhooks = is_usable;
    size_t at = 0;
    result = result == -ENOMEM ? result : 0;
    while (is_usable && !result && at < schema.len) {
        const char *name = schema.at + at, *sql = name + strlen(name) + 1;
        at += strlen(name) + strlen(sql) + 2;
        result = copy_other(rescue, name, sql);
    }
    buf_free(&schema);
    return result || is_usable
               ? result
               : db_exec(rescue->to, "DELETE FROM setting WHERE name = 'courier_version'");
}

static int copy_state(const struct state_rescue *rescue)
{
    int result = db_exec(rescue->to, "BEGIN");
    result = result ? result : copy_own(rescue);
    result = result ? result : copy_others(rescue);
    return result ? result : db_exec(rescue->to, "COMMIT");
}

static int make_settings(sqlite3 **ret_db)
{
    int result = db_open(":memory:", DB_WRITE, ret_db);
    return result ? result : db_exec(*ret_db, "CREATE TABLE setting(name TEXT PRIMARY KEY, value)");
}

static int make_state(const char *to, sqlite3 **ret_db)
{
    struct state *state = NULL;
    if (!to)
        return make_settings(ret_db);
    int result = db_unlink(to);
    result = result ? result : state_open(to, &state);
    if (result)
        return result;
    state_close(state);
    return db_open(to, DB_WRITE, ret_db);
}

int rescue_state(const char *from, const char *to, struct rescued_state *ret_rescued)
{
    *ret_rescued = (struct rescued_state){0};
    struct state_rescue rescue = {.dry_run = !to, .rescued = ret_rescued};
    int opened = salvage_open(from, &rescue.from);
    int result = make_state(to, &rescue.to);
    if (!result && !opened)
        result = copy_state(&rescue);
    if (salvage_lacks_journal(from))
        ret_rescued->has_all_trims = ret_rescued->has_all_webhooks = false;
    if (!result && to)
        result = segment_make_single(rescue.to);
    sqlite3_close(rescue.from);
    sqlite3_close(rescue.to);
    return result || !to ? result : db_sync_file(to);
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int add_number(sqlite3_stmt *row, sqlite3_stmt *insert)
{
    for (int i = 0; i < 3; i++)
        sqlite3_bind_value(insert, i + 1, sqlite3_column_value(row, i));
    return db_run(insert);
}

static int gather_numbers(sqlite3 *file, sqlite3_stmt *insert)
{
    int64_t sealed = 0;
    sqlite3_stmt *row = NULL;
    int result = db_number(file, "SELECT value FROM meta WHERE name = 'sealed'", &sealed);
    result = result ? result
                    : db_prepare(file,
                                 sealed ? "SELECT number, name, last FROM channel"
                                        : "SELECT number, name, max(id) FROM event JOIN channel"
                                          " ON number = channel GROUP BY number",
                                 &row);
    if (result)
        return result;
    while ((result = db_row(row)) == 1)
        if ((result = add_number(row, insert)))
            break;
    sqlite3_finalize(row);
    return result;
}

static int gather_all_numbers(sqlite3 *numbers, char *const *paths, size_t count)
{
    sqlite3_stmt *insert = NULL;
    int result = db_exec(numbers, "CREATE TABLE one(number INTEGER PRIMARY KEY, name, last);"
                                  "CREATE INDEX by_name ON one(name, last)");
    result = result ? result
                    : db_prepare(numbers,
                                 "INSERT INTO one VALUES(?1, ?2, ?3) ON CONFLICT(number)"
                                 " DO UPDATE SET last = max(last, excluded.last)",
                                 &insert);
    if (result)
        return result;
    for (size_t i = 0; !result && i < count; i++) {
        sqlite3 *file;
        result = salvage_open(paths[i], &file);
        if (result)
            break;
        result = gather_numbers(file, insert);
        sqlite3_close(file);
    }
    sqlite3_finalize(insert);
    return result;
}

static int forget_older(struct state *state, sqlite3 *numbers)
{
    sqlite3_stmt *row = NULL;
    int result = db_prepare(numbers,
                            "SELECT number, last FROM one WHERE last <"
                            " (SELECT max(last) FROM one AS other WHERE other.name = one.name)",
                            &row);
    if (result)
        return result;
    while ((result = db_row(row)) == 1) {
        uint32_t number = (uint32_t)db_id(row, 0);
        uint64_t last = db_id(row, 1);
        if ((result = state_forget(state, NULL, 0, &number, &last, 1)))
            break;
    }
    sqlite3_finalize(row);
    return result;
}

int rescue_numbers(struct state *state, char *const *paths, size_t count)
{
    sqlite3 *numbers;
    int result = db_open(":memory:", DB_WRITE, &numbers);
    if (result)
        return result;
    result = gather_all_numbers(numbers, paths, count);
    result = result ? result : forget_older(state, numbers);
    sqlite3_close(numbers);
    return result;
}
