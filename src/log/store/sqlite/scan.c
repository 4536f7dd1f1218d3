/* A page's share of one file.
 *
 * Few channels are read by lines: the ids of each channel come from the file's index (in memory
 * while the file is not sealed), and are merged. Many channels are read by a scan of all rows.
 *
 * What the disk has changed must not be served, and must not keep readers from what lies behind it:
 *
 *     a row whose checksum is not its own     noted as damaged, and passed over
 *     a row that cannot be found or read      the same
 *     a page of rows that cannot be read      its ids are noted, and a scan goes on behind it
 *                                             (skip.c)
 *     a page of the index that is damaged     the rows are scanned in its place, now and later
 *     an index that lacks a row               the same. An event's `prev` and the file's table of
 *                                             channels say which rows must be listed
 *     a file whose tables cannot be found     all that was asked of it is noted
 *
 * A page that the medium does not give is damaged only after tries over time (damage.c): until then
 * the read fails.
 *
 * Whoever is told of the note (damage.c) tells consumers of the gap before they get this page. */
#include "log/store/sqlite/scan.h"

#include "base/mem.h"
#include "log/store/sqlite/rowsum.h"
#include "log/store/sqlite/skip.h"
#include "log/store/sqlite/writer.h"

#include <errno.h>
#include <stdlib.h>

/* Ids are read ahead from each channel's line, more of them if there are few channels. FILE_ROWS is
 * the cost of a file in which nothing is found, in rows. */
enum { AHEAD_ALL = 4096, AHEAD_MIN = 8, AHEAD_MAX = 256, FILE_ROWS = 32 };

/* Results beside 0, 1 and errnos: the row does not match its checksum; the index lacks a row. */
enum { DAMAGED = 2, UNLISTED };

struct line {
    uint32_t number;
    uint32_t at; /* the next of `ids` */
    uint32_t count;
    bool more;  /* the line may have more ids behind these, between low and high */
    bool begun; /* ids were taken before */
    uint64_t low;
    uint64_t high;
    uint64_t listed; /* the id before the next one, or the bound if there is none */
    uint64_t prev;   /* backwards: `prev` of the event `listed`, 0 if that was not read */
    uint64_t *ids;
};

struct scan {
    struct segment *segment;
    struct reader *reader;
    const struct trimmed_ids *trimmed_ids;
    struct damage *damage;
    struct page *page;
    bool backwards;
    bool index_failed; /* the index cannot be used: for now, or for good */
    uint64_t prev;     /* of the event that was added last, 0 for none */
    uint64_t low;
    uint64_t high;
    struct line *lines;
    size_t lines_count;
    uint32_t ahead;     /* ids that a line reads ahead */
    sqlite3_stmt *rows; /* of a scan in id order */
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- one event ------------------------------------------------------------------------------ */

static int has_type(struct scan *scan, uint64_t id)
{
    const struct selection *selection = scan->page->query->selection;
    sqlite3_stmt *statement;
    if (!selection->types_count)
        return 1;
    int result = reader_statement(scan->reader, READER_TYPE, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, id);
    result = db_row(statement);
    if (result == 1)
        result = selection_has_type(selection, db_bytes(statement, 0));
    else if (!result)
        result = DAMAGED;
    sqlite3_reset(statement);
    return result;
}

static bool read_key(sqlite3_stmt *statement, int column, struct event_key *key)
{
    struct str bytes = db_bytes(statement, column);
    if (bytes.len != 24)
        return false;
    memcpy(key->key, bytes.at, 16);
    key->content = 0;
    for (int i = 16; i < 24; i++)
        key->content = key->content << 8 | (uint8_t)bytes.at[i];
    return true;
}

/* Finds the name of the event's channel, valid until the statement is reset: 1, or 0 if the file
 * has none. */
static int find_name(struct scan *scan, struct event *event, sqlite3_stmt **ret_statement)
{
    *ret_statement = NULL;
    event->channel = page_name(scan->page, event->number);
    if (event->channel.at)
        return 1;
    int result = reader_statement(scan->reader, READER_NAME, ret_statement);
    if (result)
        return result;
    sqlite3_bind_int64(*ret_statement, 1, event->number);
    result = db_row(*ret_statement);
    if (result == 1)
        event->channel = db_bytes(*ret_statement, 0);
    return result;
}

/* Rows of older versions have no checksum, which reads as 0, and are taken as they are. */
static bool is_whole(sqlite3_stmt *row, const struct event *event)
{
    return (uint32_t)sqlite3_column_int64(row, EVENT_ROW_checksum) == rowsum(event) ||
           sqlite3_column_type(row, EVENT_ROW_checksum) == SQLITE_NULL;
}

static int add_row(struct scan *scan, sqlite3_stmt *row, uint64_t id, uint32_t number)
{
    struct event_key key;
    sqlite3_stmt *name;
    struct event event = {
        .id = id,
        .number = (uint32_t)db_id(row, EVENT_ROW_channel),
        .time_us = sqlite3_column_int64(row, EVENT_ROW_time),
        .prev = db_id(row, EVENT_ROW_prev),
        .kind = (uint8_t)sqlite3_column_int(row, EVENT_ROW_kind),
        .hops = writer_hops(sqlite3_column_int(row, EVENT_ROW_kind)),
        .type = db_bytes(row, EVENT_ROW_type),
        .content_type = db_bytes(row, EVENT_ROW_content_type),
        .from = db_bytes(row, EVENT_ROW_sender),
        .data = db_bytes(row, EVENT_ROW_data),
    };
    if (event.number != number)
        return DAMAGED;
    if (read_key(row, EVENT_ROW_key, &key))
        event.key = &key;
    int result = find_name(scan, &event, &name);
    if (result == 1)
        result = is_whole(row, &event) ? page_add(scan->page, &event) : DAMAGED;
    else if (!result || reader_met_damage(scan->reader, scan->segment->first))
        result = DAMAGED;
    sqlite3_reset(name);
    scan->prev = result ? 0 : event.prev;
    return result;
}

static int add(struct scan *scan, uint64_t id, uint32_t number)
{
    sqlite3_stmt *row;
    int result = reader_statement(scan->reader, READER_EVENT, &row);
    if (result)
        return result;
    db_bind_id(row, 1, id);
    result = db_row(row);
    /* Ask only for channels that the file lists. */
    result = result == 1 ? add_row(scan, row, id, number) : result ? result : DAMAGED;
    sqlite3_reset(row);
    return result;
}

static int add_if_wanted(struct scan *scan, uint64_t id, uint32_t number)
{
    int result = has_type(scan, id);
    result = result == 1 ? add(scan, id, number) : result;
    if (result >= 0)
        return result;
    enum db_fault fault = db_fault(scan->reader->db);
    if (fault == DB_UNREADABLE &&
        damage_lasts(scan->damage, scan->segment, skip_place(scan->reader, id)))
        return DAMAGED;
    return fault == DB_CORRUPT ? DAMAGED : result;
}

/* Looks at one row; 1 when the page wants no more. */
static int look(struct scan *scan, uint64_t id, uint32_t number, bool wanted)
{
    if (!page_look(scan->page, id))
        return 1;
    if (!wanted || id <= trimmed_ids_get(scan->trimmed_ids, number))
        return 0;
    int result = add_if_wanted(scan, id, number);
    if (result == DAMAGED)
        damage_note(scan->damage, scan->segment, id - 1, id);
    return result < 0 ? result : page_full(scan->page);
}

/* ---- few channels --------------------------------------------------------------------------- */

/* Gives up the index, which lacks rows or cannot be read. */
static void unlist(struct scan *scan)
{
    atomic_store(&scan->segment->unlisted, true);
    damage_note_index(scan->damage, scan->segment);
}

/* Whether the file has a row of that id and channel. */
static bool has_row(struct scan *scan, uint64_t id, uint32_t number)
{
    sqlite3_stmt *row;
    if (id < scan->segment->first || reader_statement(scan->reader, READER_EVENT, &row))
        return false;
    db_bind_id(row, 1, id);
    bool has = db_row(row) == 1 && (uint32_t)db_id(row, EVENT_ROW_channel) == number;
    sqlite3_reset(row);
    return has;
}

/* The first and last id of a line as the file's table of channels has them, 0 for none. */
struct ends {
    uint64_t first;
    uint64_t last;
};

static int ends_of(struct scan *scan, const struct line *line, struct ends *ret_ends)
{
    sqlite3_stmt *row;
    *ret_ends = (struct ends){0};
    int result = reader_statement(scan->reader, READER_CHANNEL, &row);
    if (result)
        return result;
    sqlite3_bind_int64(row, 1, line->number);
    if (db_row(row) == 1)
        *ret_ends = (struct ends){db_id(row, CHANNEL_ROW_first), db_id(row, CHANNEL_ROW_last)};
    sqlite3_reset(row);
    return 0;
}

/* Upwards a line must end at the channel's last id in the file, downwards at its first. */
static bool lacks_end(struct scan *scan, const struct line *line, uint64_t end)
{
    uint64_t top = scan->backwards ? line->high + 1 : line->low;
    uint64_t listed = line->count ? line->ids[line->count - 1] : top;
    return end > line->low && end <= line->high &&
           (scan->backwards ? end < listed : end > listed) && has_row(scan, end, line->number);
}

/* Downwards, no `prev` shows whether ids are missing above the first one read. */
static bool lacks_last(struct scan *scan, const struct line *line, uint64_t last)
{
    uint64_t listed = line->count ? line->ids[0] : line->low;
    return last > listed && last <= line->high && has_row(scan, last, line->number);
}

/* UNLISTED if the ids that were read end before the channel's last id in the file. */
static int check_ends(struct scan *scan, const struct line *line)
{
    struct ends ends;
    bool begins = scan->backwards && !line->begun, stops = line->count < scan->ahead;
    if (!begins && !stops)
        return 0;
    int result = ends_of(scan, line, &ends);
    if (result)
        return result;
    bool lacks = (stops && lacks_end(scan, line, scan->backwards ? ends.first : ends.last)) ||
                 (begins && lacks_last(scan, line, ends.last));
    return lacks ? UNLISTED : 0;
}

/* UNLISTED if the file has the event that `prev` names between two listed ids. */
static int check_between(struct scan *scan, struct line *line, uint64_t id)
{
    uint64_t prev = scan->backwards ? line->prev : scan->prev;
    bool is_between = scan->backwards ? prev > id : prev > line->listed;
    line->listed = id;
    line->prev = scan->prev;
    return is_between && has_row(scan, prev, line->number) ? UNLISTED : 0;
}

/* Whether the index has failed, so that rows must be scanned instead: for now if the disk failed to
 * read it, for good if it is damaged. */
static bool note_failed_index(struct scan *scan)
{
    enum db_fault fault = db_fault(scan->reader->db);
    if (fault == DB_CORRUPT)
        unlist(scan);
    return fault != DB_SOUND;
}

static int refill_from_file(struct scan *scan, struct line *line)
{
    sqlite3_stmt *statement;
    int result = reader_statement(scan->reader, scan->backwards ? READER_LINE_DOWN : READER_LINE_UP,
                                  &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, line->number);
    db_bind_id(statement, 2, line->low);
    db_bind_id(statement, 3, line->high);
    db_bind_id(statement, 4, scan->ahead);
    while ((result = db_row(statement)) == 1 && line->count < scan->ahead)
        line->ids[line->count++] = db_id(statement, 0);
    scan->index_failed = result < 0 && note_failed_index(scan);
    sqlite3_reset(statement);
    result = result < 0 ? result : check_ends(scan, line);
    line->begun = true;
    return result;
}

static int refill(struct scan *scan, struct line *line)
{
    int result = 0;
    line->at = line->count = 0;
    if (scan->segment->sealed)
        result = refill_from_file(scan, line);
    else
        line->count = (uint32_t)index_ids(scan->segment->index, line->number, line->low, line->high,
                                          scan->backwards, line->ids, scan->ahead);
    line->more = line->count == scan->ahead;
    if (line->more && scan->backwards)
        line->high = line->ids[line->count - 1] - 1;
    else if (line->more)
        line->low = line->ids[line->count - 1];
    return result;
}

/* The line whose next id comes first; NULL at the end. */
static int first_line(struct scan *scan, struct line **ret_line)
{
    *ret_line = NULL;
    for (size_t i = 0; i < scan->lines_count; i++) {
        struct line *line = &scan->lines[i], *best = *ret_line;
        if (line->at == line->count && line->more) {
            int result = refill(scan, line);
            if (result)
                return result;
        }
        if (line->at == line->count)
            continue;
        if (!best || (scan->backwards ? line->ids[line->at] > best->ids[best->at]
                                      : line->ids[line->at] < best->ids[best->at]))
            *ret_line = line;
    }
    return 0;
}

static int merge_lines(struct scan *scan)
{
    struct line *line;
    for (;;) {
        int result = first_line(scan, &line);
        if (result || !line)
            return result;
        uint64_t id = line->ids[line->at++];
        scan->prev = 0;
        result = look(scan, id, line->number, true);
        int between = result < 0 || !scan->segment->sealed ? 0 : check_between(scan, line, id);
        if (result || between)
            return between ? between : result;
    }
}

static void set_up_lines(struct scan *scan, uint64_t *ids)
{
    const struct store_query *query = scan->page->query;
    for (size_t i = 0; i < query->numbers_count; i++) {
        uint32_t number = query->numbers[i];
        uint64_t trimmed = trimmed_ids_get(scan->trimmed_ids, number);
        uint64_t low = trimmed > scan->low ? trimmed : scan->low;
        if (low >= scan->high ||
            (scan->segment->sealed && !segment_may_have(scan->segment, number)))
            continue;
        scan->lines[scan->lines_count] =
            (struct line){.number = number,
                          .more = true,
                          .low = low,
                          .high = scan->high,
                          .listed = low,
                          .ids = ids + scan->lines_count * scan->ahead};
        scan->lines_count++;
    }
}

/* If the file has none of the channels, do not open it. */
static int prepare_lines(struct scan *scan)
{
    const struct store_query *query = scan->page->query;
    size_t count = query->numbers_count + (query->numbers_count == 0);
    size_t ahead = AHEAD_ALL / count, left = page_room(scan->page);
    scan->ahead = (uint32_t)(ahead < AHEAD_MIN ? AHEAD_MIN : ahead > AHEAD_MAX ? AHEAD_MAX : ahead);
    /* A query without types can use every event that is read. */
    if (!query->selection->types_count && left < scan->ahead)
        scan->ahead = (uint32_t)left;
    scan->lines = mem_try_alloc(count * (sizeof(struct line) + scan->ahead * sizeof(uint64_t)));
    if (!scan->lines)
        return -ENOMEM;
    set_up_lines(scan, (uint64_t *)(void *)(scan->lines + count));
    return 0;
}

/* ---- many channels -------------------------------------------------------------------------- */

static int rows_statement(struct scan *scan, uint64_t low, uint64_t high, sqlite3_stmt **ret_rows)
{
    int result = reader_statement(scan->reader, scan->backwards ? READER_SCAN_DOWN : READER_SCAN_UP,
                                  ret_rows);
    if (result)
        return result;
    db_bind_id(*ret_rows, 1, low);
    db_bind_id(*ret_rows, 2, high);
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Queries by numbers come here if the file's index is damaged. */
static bool is_wanted(const struct scan *scan, uint32_t number)
{
    const struct store_query *query = scan->page->query;
    if (!query->numbers)
        return page_has(scan->page, number);
    return bsearch(&number, query->numbers, query->numbers_count, sizeof(number), by_number);
}

/* Whether the file cannot have this channel: then the number in the row is damaged. */
static bool is_unknown(const struct segment *segment, uint32_t number)
{
    return segment->sealed && !segment_may_have(segment, number);
}

/* Reads rows up to the end or to an unreadable page: `*ret_fault` says which. */
static int scan_readable_rows(struct scan *scan, enum db_fault *ret_fault)
{
    sqlite3_stmt *rows;
    int result = rows_statement(scan, scan->low, scan->high, &rows);
    if (result)
        return result;
    while ((result = db_row(rows)) == 1) {
        uint64_t id = db_id(rows, 0);
        uint32_t number = (uint32_t)db_id(rows, 1);
        bool wanted = is_wanted(scan, number);
        if (!wanted && is_unknown(scan->segment, number))
            damage_note(scan->damage, scan->segment, id - 1, id);
        result = look(scan, id, number, wanted);
        if (result)
            break;
    }
    *ret_fault = result < 0 ? db_fault(scan->reader->db) : DB_SOUND;
    sqlite3_reset(rows);
    return result;
}

/* ---- past what is damaged -------------------------------------------------------------------- */

/* Narrows the scan to the ids not looked at yet. */
static void narrow(struct scan *scan)
{
    uint64_t seen = scan->page->seen;
    if (!seen || seen <= scan->low || seen > scan->high)
        return;
    if (scan->backwards)
        scan->high = seen - 1;
    else
        scan->low = seen;
}

/* The unreadable ids at which the scan stopped. */
static struct skip find_damage(struct scan *scan)
{
    return scan->backwards ? skip_down(scan->reader, scan->low, scan->high)
                           : skip_up(scan->reader, scan->low, scan->high);
}

/* Continues behind unreadable rows. Returns 1 when the page wants no more rows. */
static int pass_damage(struct scan *scan, enum db_fault fault)
{
    struct page *page = scan->page;
    narrow(scan);
    /* Rows with ids below the file's name were changed by damage; report them. */
    scan->low = larger(scan->low, scan->segment->first - 1);
    if (scan->low >= scan->high)
        return 0;
    struct skip skip = find_damage(scan);
    if (fault == DB_UNREADABLE && !damage_lasts(scan->damage, scan->segment, skip.upto))
        return -EIO;
    damage_note(scan->damage, scan->segment, skip.after, skip.upto);
    if (scan->backwards)
        page->seen = larger(skip.after, scan->low) + 1;
    else
        page->seen = smaller(skip.upto, scan->high);
    page_spend(page, FILE_ROWS);
    narrow(scan);
    return !page->rows_left;
}

static int scan_rows(struct scan *scan)
{
    for (;;) {
        enum db_fault fault = DB_SOUND;
        int result = scan_readable_rows(scan, &fault);
        if (result >= 0 || fault == DB_SOUND)
            return result;
        result = pass_damage(scan, fault);
        if (result || scan->low >= scan->high)
            return result;
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Reports a file that cannot be opened because its first page is damaged. */
static int pass_file(struct scan *scan)
{
    damage_note(scan->damage, scan->segment, scan->low, scan->high);
    page_spend(scan->page, FILE_ROWS);
    return 0;
}

/* Reads by lines. If the index turns out to be damaged, takes back all that was added: the lines
 * may have skipped rows that the index lacks. */
static int scan_lines(struct scan *scan)
{
    struct page *page = scan->page;
    uint32_t count = page->batch->count;
    size_t bytes = page->bytes;
    uint64_t seen = page->seen;
    int result = merge_lines(scan);
    if (result == UNLISTED)
        unlist(scan);
    else if (result >= 0 || !scan->index_failed)
        return result;
    page->batch->count = count;
    page->bytes = bytes;
    page->seen = seen;
    return scan_rows(scan);
}

static int scan_with_reader(struct scan *scan, struct readers *readers)
{
    bool by_lines = scan->page->query->numbers && !atomic_load(&scan->segment->unlisted);
    int result = reader_take(readers, scan->segment, &scan->reader);
    if (result)
        return result == -EUCLEAN ? pass_file(scan) : result;
    uint64_t rows = scan->page->rows_left;
    result = by_lines ? scan_lines(scan) : scan_rows(scan);
    if (rows == scan->page->rows_left)
        page_spend(scan->page, FILE_ROWS);
    reader_give(readers, scan->reader, result < 0);
    return result;
}

static int scan_gated(struct scan *scan, struct readers *readers)
{
    if (!scan->page->query->numbers)
        return scan_with_reader(scan, readers);
    int result = prepare_lines(scan);
    if (result)
        return result;
    if (scan->lines_count)
        result = scan_with_reader(scan, readers);
    else
        page_spend(scan->page, 1);
    free(scan->lines);
    return result;
}

int scan_segment(struct segment *segment, struct readers *readers,
                 const struct trimmed_ids *trimmed_ids, struct damage *damage, struct page *page)
{
    const struct store_query *query = page->query;
    /* Note the newest id before the connection begins its transaction: everything up to it is
     * committed and visible. */
    uint64_t newest = atomic_load(&segment->newest);
    struct scan scan = {
        .segment = segment,
        .trimmed_ids = trimmed_ids,
        .damage = damage,
        .page = page,
        .backwards = query->backwards,
        .low = query->after,
        .high = query->upto < newest ? query->upto : newest,
    };
    if (scan.low >= scan.high || atomic_load(&segment->oldest) > query->upto)
        return 0;
    if (!segment_enter(segment))
        return 0;
    int result = scan_gated(&scan, readers);
    segment_leave(segment);
    return result;
}
