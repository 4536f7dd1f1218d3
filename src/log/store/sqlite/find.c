#include "log/store/sqlite/find.h"

#include "base/say.h"
#include "log/store/sqlite/scan.h"
#include "log/store/sqlite/skip.h"

#include <errno.h>

/* ---- a page --------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int page_forwards(struct chain *chain, struct page *page)
{
    const struct store_query *query = page->query;
    int result = 0;
    struct segment *segment = chain_at(chain, query->after + 1);
    while (segment && segment->first <= query->upto && !result) {
        result = scan_segment(segment, chain->readers, &chain->trimmed_ids, &chain->damage, page);
        segment = chain_after(chain, segment);
        if (result || page->rows_left || !segment || segment->first > query->upto)
            continue;
        page->seen = segment->first - 1;
        result = 1;
    }
    segment_unref(segment);
    return result;
}

static int page_backwards(struct chain *chain, struct page *page)
{
    const struct store_query *query = page->query;
    int result = 0;
    struct segment *segment = chain_at(chain, query->upto);
    while (segment && !result) {
        uint64_t first = segment->first;
        result = scan_segment(segment, chain->readers, &chain->trimmed_ids, &chain->damage, page);
        if (first <= query->after + 1)
            break;
        segment = chain_before(chain, segment);
        if (result || page->rows_left || !segment)
            continue;
        page->seen = smaller(first, query->upto + 1);
        result = 1;
    }
    segment_unref(segment);
    return result;
}

int find_page(struct chain *chain, const struct store_query *query, struct batch **ret_batch,
              uint64_t *ret_through)
{
    struct page page;
    int result = page_init(&page, query);
    if (result)
        return result;
    if (query->after < query->upto && !(query->numbers && !query->numbers_count))
        result = query->backwards ? page_backwards(chain, &page) : page_forwards(chain, &page);
    if (result < 0)
        page_drop(&page);
    else
        page_finish(&page, result == 0, ret_batch, ret_through);
    return result < 0 ? result : 0;
}

/* ---- by time -------------------------------------------------------------------------------- */

/* The first row from `id` on: 1, or 0 when there is none. */
static int row_from(struct reader *reader, uint64_t id, uint64_t *ret_id, int64_t *ret_time)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_TIME, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, id);
    result = db_row(statement);
    if (result == 1) {
        *ret_id = db_id(statement, 0);
        *ret_time = sqlite3_column_int64(statement, 1);
    }
    sqlite3_reset(statement);
    return result;
}

int find_time_in(struct reader *reader, int64_t time_us, uint64_t low, uint64_t high,
                 uint64_t *ret_id)
{
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2, id = 0;
        int64_t time = 0;
        int result = row_from(reader, middle, &id, &time);
        if (result < 0)
            return result;
        if (result && id <= high && time <= time_us)
            low = id;
        else
            high = middle - 1;
    }
    *ret_id = low;
    return 0;
}

/* The number of rows that a search for the newest event before a time looks at. */
enum { TIME_ROWS = 1000 };

/* Finds the first live row of the statement between low and high, or row number `most` whether live
 * or not: 1, or 0 if there are fewer rows and none is live. */
static int first_live(struct chain *chain, struct reader *reader, enum reader_statement which,
                      uint64_t low, uint64_t high, uint64_t most, uint64_t *ret_id,
                      uint32_t *ret_number)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, which, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, low);
    db_bind_id(statement, 2, high);
    for (; most && (result = db_row(statement)) == 1; most--) {
        *ret_id = db_id(statement, 0);
        *ret_number = (uint32_t)db_id(statement, 1);
        if (*ret_id > trimmed_ids_get(&chain->trimmed_ids, *ret_number))
            break;
    }
    sqlite3_reset(statement);
    return result;
}

static int time_in(struct chain *chain, struct segment *segment, int64_t time_us, uint64_t *ret_id)
{
    struct reader *reader;
    uint32_t number;
    uint64_t high, newest = atomic_load(&segment->newest), oldest = atomic_load(&segment->oldest);
    if (!segment_enter(segment))
        return 0;
    int result = reader_take(chain->readers, segment, &reader);
    if (!result) {
        result = find_time_in(reader, time_us, oldest, newest, &high);
        if (!result)
            result =
                first_live(chain, reader, READER_SCAN_DOWN, 0, high, TIME_ROWS, ret_id, &number);
        if (result < 0 && reader_met_damage(reader, segment->first))
            result = 0;
        reader_give(chain->readers, reader, result < 0);
    }
    segment_leave(segment);
    return result == -EUCLEAN ? 0 : result;
}

/* If a file is damaged, an event of an older file is the answer: the caller then gets more events,
 * not fewer. */
int find_time(struct chain *chain, int64_t time_us, uint64_t *ret_id)
{
    int result = 0;
    uint64_t id = 0;
    struct segment *segment = chain_at(chain, UINT64_MAX);
    while (segment && !result) {
        if (atomic_load(&segment->newest) && atomic_load(&segment->oldest_time_us) <= time_us)
            result = time_in(chain, segment, time_us, &id);
        segment = chain_before(chain, segment);
    }
    segment_unref(segment);
    *ret_id = result == 1 ? id : 0;
    return result < 0 ? result : 0;
}

/* ---- where channels are to be cut off -------------------------------------------------------- */

static bool is_found(const struct store_cut *cut)
{
    return cut->count >= cut->want_count && cut->bytes >= cut->want_bytes;
}

/* A channel with damaged rows is trimmed as far as its rows can be read: nobody can say how many
 * events lie beyond. */
static void end_cut(struct store_cut *cut)
{
    cut->want_count = cut->count;
    cut->want_bytes = cut->bytes;
}

static int cut_rows(struct reader *reader, struct store_cut *cut)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_LINE_SIZES, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, cut->number);
    db_bind_id(statement, 2, cut->upto);
    while (!is_found(cut) && (result = db_row(statement)) == 1) {
        cut->upto = db_id(statement, 0);
        cut->bytes += db_bytes(statement, 1).len;
        cut->count++;
    }
    if (result < 0 && reader_met_damage(reader, reader->segment->first)) {
        end_cut(cut);
        result = 0;
    }
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static void cut_index(struct index *index, struct store_cut *cut)
{
    struct index_tally tally = index_first(index, cut->number, cut->upto,
                                           cut->want_count - smaller(cut->count, cut->want_count),
                                           cut->want_bytes - smaller(cut->bytes, cut->want_bytes));
    if (!tally.count)
        return;
    cut->upto = tally.last;
    cut->count += tally.count;
    cut->bytes += tally.bytes;
}

/* Answers all cuts in a file through one connection. */
static int cuts_in_file(struct chain *chain, struct segment *segment, struct store_cut *cuts,
                        size_t count)
{
    struct reader *reader = NULL;
    uint64_t newest = atomic_load(&segment->newest);
    int result = 0;
    for (size_t i = 0; !result && i < count; i++) {
        if (is_found(&cuts[i]) || cuts[i].upto >= newest ||
            !segment_may_have(segment, cuts[i].number))
            continue;
        result = reader ? 0 : reader_take(chain->readers, segment, &reader);
        if (result == -EUCLEAN) {
            end_cut(&cuts[i]);
            result = 0;
            continue;
        }
        result = result ? result : cut_rows(reader, &cuts[i]);
    }
    if (reader)
        reader_give(chain->readers, reader, result < 0);
    return result;
}

static int cuts_in(struct chain *chain, struct segment *segment, struct store_cut *cuts,
                   size_t count)
{
    int result = 0;
    if (!segment_enter(segment))
        return 0;
    if (segment->sealed)
        result = cuts_in_file(chain, segment, cuts, count);
    for (size_t i = 0; !segment->sealed && i < count; i++)
        if (!is_found(&cuts[i]))
            cut_index(segment->index, &cuts[i]);
    segment_leave(segment);
    return result;
}

/* Raises each cut to its channel's trimmed id, since trimmed events do not count. Returns the
 * lowest id at which any cut begins. */
static uint64_t begin_cuts(struct chain *chain, struct store_cut *cuts, size_t count)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        struct store_cut *cut = &cuts[i];
        cut->upto = larger(cut->above, trimmed_ids_get(&chain->trimmed_ids, cut->number));
        cut->count = cut->bytes = 0;
        lowest = smaller(lowest, cut->upto);
    }
    return lowest;
}

static bool all_found(const struct store_cut *cuts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_found(&cuts[i]))
            return false;
    return true;
}

int find_cuts(struct chain *chain, struct store_cut *cuts, size_t count)
{
    int result = 0;
    uint64_t lowest = begin_cuts(chain, cuts, count);
    struct segment *segment = chain_at(chain, lowest);
    while (segment && !result && !all_found(cuts, count)) {
        result = cuts_in(chain, segment, cuts, count);
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    return result;
}

/* ---- all in a row --------------------------------------------------------------------------- */

struct walk {
    struct chain *chain;
    uint64_t after;
    uint64_t upto;
    bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes);
    void *context;
};

/* Returns 1 when `each` wants no more. `after` is moved past the rows that were read. */
static int walk_rows(const struct walk *walk, struct reader *reader, uint64_t *after, uint64_t high)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_WALK, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, *after);
    db_bind_id(statement, 2, high);
    while ((result = db_row(statement)) == 1) {
        uint32_t number = (uint32_t)db_id(statement, WALK_ROW_channel);
        *after = db_id(statement, WALK_ROW_id);
        if (*after > trimmed_ids_get(&walk->chain->trimmed_ids, number) &&
            !walk->each(walk->context, number, *after, db_bytes(statement, WALK_ROW_data).len))
            break;
    }
    sqlite3_reset(statement);
    return result;
}

/* The unreadable ids from `after` on: if only the data of a row is damaged, the row's own id. */
static struct skip find_damage(struct reader *reader, uint64_t after, uint64_t high)
{
    uint64_t id = high;
    int64_t time;
    int found = row_from(reader, after + 1, &id, &time);
    return found < 0 ? skip_up(reader, after, high) : (struct skip){after, smaller(id, high)};
}

/* Skip unreadable rows, or retention would stop at them for good. */
static void tell_passing(const struct segment *segment)
{
    say(SAY_WARN, "retention_passes_damage", "path=%s", segment->path);
}

static int walk_readable(const struct walk *walk, struct reader *reader, uint64_t after,
                         uint64_t high)
{
    int result = 0;
    while (after < high) {
        result = walk_rows(walk, reader, &after, high);
        enum db_fault fault = result < 0 ? db_fault(reader->db) : DB_SOUND;
        if (fault == DB_SOUND)
            return result;
        struct skip skip = find_damage(reader, after, high);
        if (fault == DB_UNREADABLE && !damage_lasts(reader->damage, reader->segment, skip.upto))
            return result;
        tell_passing(reader->segment);
        after = skip.upto;
        result = 0;
    }
    return result;
}

static int walk_segment(const struct walk *walk, struct segment *segment)
{
    struct reader *reader;
    uint64_t high = smaller(walk->upto, atomic_load(&segment->newest));
    /* Step past damaged rows in small steps, beginning among the rows. */
    uint64_t after = larger(walk->after, segment->first - 1);
    if (high <= walk->after || !segment_enter(segment))
        return 0;
    int result = reader_take(walk->chain->readers, segment, &reader);
    if (!result) {
        result = walk_readable(walk, reader, after, high);
        reader_give(walk->chain->readers, reader, result < 0);
    } else if (result == -EUCLEAN) {
        tell_passing(segment);
        result = 0;
    }
    segment_leave(segment);
    return result;
}

int find_each(struct chain *chain, uint64_t after, uint64_t upto,
              bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
              void *context)
{
    uint64_t oldest = atomic_load(&chain->oldest);
    struct walk walk = {chain, oldest ? larger(after, oldest - 1) : after, upto, each, context};
    int result = 0;
    struct segment *segment = chain_at(chain, walk.after + 1);
    while (segment && segment->first <= upto && !result) {
        result = walk_segment(&walk, segment);
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    return result < 0 ? result : 0;
}

/* ---- the oldest ----------------------------------------------------------------------------- */

struct oldest {
    struct chain *chain;
    uint64_t rows_left;
    uint64_t id;     /* of the row looked at last */
    uint32_t number; /* its channel */
};

/* A damaged file must not prevent a start: its unreadable events count as retained. */
static int take_damaged(struct oldest *oldest, uint64_t id)
{
    oldest->id = larger(oldest->id, id);
    oldest->number = 0;
    return 1;
}

/* Returns 1 once a live row is found, or the budget is spent. */
static int oldest_row(struct oldest *oldest, sqlite3_stmt *rows, uint64_t from)
{
    int result;
    while ((result = db_row(rows)) == 1) {
        oldest->id = db_id(rows, 0);
        oldest->number = (uint32_t)db_id(rows, 1);
        if (oldest->id > trimmed_ids_get(&oldest->chain->trimmed_ids, oldest->number))
            break;
        if (!oldest->rows_left--) {
            oldest->number = 0;
            break;
        }
    }
    if (result < 0 && db_fault(sqlite3_db_handle(rows)) != DB_SOUND)
        result = take_damaged(oldest, from);
    sqlite3_reset(rows);
    return result;
}

static int oldest_from(struct oldest *oldest, struct reader *reader, uint64_t low, uint64_t high)
{
    sqlite3_stmt *rows;
    int result = reader_statement(reader, READER_SCAN_UP, &rows);
    if (result)
        return result;
    db_bind_id(rows, 1, low);
    db_bind_id(rows, 2, high);
    return oldest_row(oldest, rows, low + 1);
}

static int oldest_in(struct oldest *oldest, struct segment *segment)
{
    struct readers *readers = oldest->chain->readers;
    struct reader *reader;
    uint64_t from = atomic_load(&oldest->chain->oldest), high = atomic_load(&segment->newest);
    if (high < from || !segment_enter(segment))
        return 0;
    int result = reader_take(readers, segment, &reader);
    if (!result) {
        result = oldest_from(oldest, reader, from ? from - 1 : 0, high);
        reader_give(readers, reader, result < 0);
    } else if (result == -EUCLEAN) {
        result = take_damaged(oldest, larger(from, atomic_load(&segment->oldest)));
    }
    segment_leave(segment);
    return result;
}

/* For an empty log, the writer sets the figure when it appends the first event. */
static void tell_oldest(struct chain *chain, const struct oldest *oldest, uint64_t newest)
{
    atomic_store(&chain->oldest, oldest->id ? oldest->id : newest + 1);
    chain->oldest_number = oldest->number;
    atomic_store(&chain->oldest_id, oldest->id);
}

static int look_for_oldest(struct chain *chain, uint64_t rows)
{
    struct oldest oldest = {.chain = chain, .rows_left = rows};
    uint64_t newest = atomic_load(&chain->newest), from = atomic_load(&chain->oldest);
    int result = 0;
    struct segment *segment = from <= newest ? chain_at(chain, from) : NULL;
    while (segment && !result) {
        result = oldest_in(&oldest, segment);
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    if (result < 0)
        return result;
    if (!result) /* all were dead */
        oldest = (struct oldest){.chain = chain};
    tell_oldest(chain, &oldest, larger(newest, from ? from - 1 : 0));
    return 0;
}

static bool is_oldest_known(struct chain *chain)
{
    uint64_t oldest = atomic_load(&chain->oldest);
    return chain->oldest_number &&
           trimmed_ids_get(&chain->trimmed_ids, chain->oldest_number) < oldest;
}

int find_oldest(struct chain *chain, uint64_t rows)
{
    uint64_t newest;
    int result = 0;
    do {
        newest = atomic_load(&chain->newest);
        if (!is_oldest_known(chain))
            result = look_for_oldest(chain, rows);
    } while (!result && !atomic_load(&chain->oldest_id) && newest != atomic_load(&chain->newest));
    return result;
}
