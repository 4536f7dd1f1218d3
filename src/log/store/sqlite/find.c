#include "log/store/sqlite/find.h"

#include "log/store/sqlite/scan.h"

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
        result = scan_segment(segment, chain->readers, &chain->floors, page);
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
        result = scan_segment(segment, chain->readers, &chain->floors, page);
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

/* The first live row that the statement comes upon, bound to low and high: 1, or 0 for none. */
static int first_live(struct chain *chain, struct reader *reader, enum reader_statement which,
                      uint64_t low, uint64_t high, uint64_t *ret_id, uint32_t *ret_number)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, which, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, low);
    db_bind_id(statement, 2, high);
    while ((result = db_row(statement)) == 1) {
        *ret_id = db_id(statement, 0);
        *ret_number = (uint32_t)db_id(statement, 1);
        if (*ret_id > floors_get(&chain->floors, *ret_number))
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
            result = first_live(chain, reader, READER_SCAN_DOWN, 0, high, ret_id, &number);
        reader_give(chain->readers, reader, result < 0);
    }
    segment_leave(segment);
    return result;
}

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

/* ---- from the newest of a channel ----------------------------------------------------------- */

/* What is still to be counted, going back from file to file. */
struct back {
    struct chain *chain;
    uint32_t number;
    uint64_t low;   /* do not go below */
    uint64_t nth;   /* or */
    uint64_t bytes; /* > 0 to begin with: bytes are counted */
    bool by_bytes;
    uint64_t id;
};

static bool back_in_index(struct back *back, struct index *index)
{
    if (back->by_bytes) {
        back->id = index_beyond(index, back->number, back->low, &back->bytes);
    } else {
        back->id = index_nth(index, back->number, back->low, back->nth);
        if (!back->id)
            back->nth -= index_tally(index, back->number, back->low).count;
    }
    return back->id != 0;
}

/* Passes over a file whose rows all count and do not suffice: 1; 0 when it has to be looked into, 2
 * when the channel is not in it. */
static int pass_file(struct back *back, struct reader *reader)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_CHANNEL, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, back->number);
    result = db_row(statement);
    if (result == 1) {
        uint64_t count = db_id(statement, 2), bytes = db_id(statement, 3);
        bool whole = db_id(statement, 0) > back->low;
        bool passed = whole && (back->by_bytes ? bytes <= back->bytes : count < back->nth);
        if (passed && back->by_bytes)
            back->bytes -= bytes;
        else if (passed)
            back->nth -= count;
        result = passed;
    } else if (result == 0) {
        result = 2;
    }
    sqlite3_reset(statement);
    return result;
}

static int nth_in_file(struct back *back, struct reader *reader)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_LINE_NTH, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, back->number);
    db_bind_id(statement, 2, back->low);
    db_bind_id(statement, 3, back->nth - 1);
    result = db_row(statement);
    if (result == 1)
        back->id = db_id(statement, 0);
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

static int bytes_in_file(struct back *back, struct reader *reader)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_LINE_SIZES, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, back->number);
    db_bind_id(statement, 2, back->low);
    while (!back->id && (result = db_row(statement)) == 1) {
        size_t bytes = db_bytes(statement, 1).len;
        if (bytes > back->bytes)
            back->id = db_id(statement, 0);
        else
            back->bytes -= bytes;
    }
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

/* A file that is looked into is the last: either the event is in it or `low` is. */
static int back_in_file(struct back *back, struct segment *segment)
{
    struct reader *reader;
    if (!segment_may_have(segment, back->number))
        return 0;
    int result = reader_take(back->chain->readers, segment, &reader);
    if (result)
        return result;
    result = pass_file(back, reader);
    if (result == 0) {
        result = back->by_bytes ? bytes_in_file(back, reader) : nth_in_file(back, reader);
        result = result ? result : 1;
    } else if (result > 0) {
        result = 0;
    }
    reader_give(back->chain->readers, reader, result < 0);
    return result;
}

static int back_in(struct back *back, struct segment *segment)
{
    if (!segment_enter(segment))
        return 0;
    int result =
        segment->sealed ? back_in_file(back, segment) : back_in_index(back, segment->index);
    segment_leave(segment);
    return result;
}

int find_nth(struct chain *chain, uint32_t number, uint64_t above, uint64_t nth, uint64_t bytes,
             uint64_t *ret_id)
{
    struct back back = {.chain = chain,
                        .number = number,
                        .nth = nth,
                        .bytes = bytes,
                        .low = larger(above, floors_get(&chain->floors, number)),
                        .by_bytes = bytes > 0};
    int result = bytes || nth ? 0 : 1;
    struct segment *segment = chain_at(chain, UINT64_MAX);
    while (segment && !result) {
        if (atomic_load(&segment->newest) > back.low)
            result = back_in(&back, segment);
        if (segment->first <= back.low)
            break;
        segment = chain_before(chain, segment);
    }
    segment_unref(segment);
    *ret_id = back.id;
    return result < 0 ? result : 0;
}

/* ---- all in a row --------------------------------------------------------------------------- */

struct walk {
    struct chain *chain;
    uint64_t after;
    uint64_t upto;
    bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes);
    void *context;
};

/* 1 when `each` wants no more. */
static int walk_rows(const struct walk *walk, struct reader *reader, uint64_t high)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_WALK, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, walk->after);
    db_bind_id(statement, 2, high);
    while ((result = db_row(statement)) == 1) {
        uint64_t id = db_id(statement, 0);
        uint32_t number = (uint32_t)db_id(statement, 1);
        if (id > floors_get(&walk->chain->floors, number) &&
            !walk->each(walk->context, number, id, db_bytes(statement, 2).len))
            break;
    }
    sqlite3_reset(statement);
    return result;
}

static int walk_segment(const struct walk *walk, struct segment *segment)
{
    struct reader *reader;
    uint64_t high = smaller(walk->upto, atomic_load(&segment->newest));
    if (high <= walk->after || !segment_enter(segment))
        return 0;
    int result = reader_take(walk->chain->readers, segment, &reader);
    if (!result) {
        result = walk_rows(walk, reader, high);
        reader_give(walk->chain->readers, reader, result < 0);
    }
    segment_leave(segment);
    return result;
}

int find_each(struct chain *chain, uint64_t after, uint64_t upto,
              bool (*each)(void *context, uint32_t number, uint64_t id, size_t bytes),
              void *context)
{
    pthread_mutex_lock(&chain->oldest_lock);
    uint64_t oldest = chain->oldest;
    pthread_mutex_unlock(&chain->oldest_lock);
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

static int oldest_in(struct chain *chain, struct segment *segment, uint64_t from, uint64_t *ret_id,
                     uint32_t *ret_number)
{
    struct reader *reader;
    uint64_t high = atomic_load(&segment->newest);
    if (high < from || !segment_enter(segment))
        return 0;
    int result = reader_take(chain->readers, segment, &reader);
    if (!result) {
        result = first_live(chain, reader, READER_SCAN_UP, from ? from - 1 : 0, high, ret_id,
                            ret_number);
        reader_give(chain->readers, reader, result < 0);
    }
    segment_leave(segment);
    return result;
}

static int look_for_oldest(struct chain *chain)
{
    uint64_t newest = atomic_load(&chain->newest), id = 0;
    uint32_t number = 0;
    int result = 0;
    struct segment *segment = chain->oldest <= newest ? chain_at(chain, chain->oldest) : NULL;
    while (segment && !result) {
        result = oldest_in(chain, segment, chain->oldest, &id, &number);
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    if (result < 0)
        return result;
    chain->oldest = result ? id : larger(chain->oldest, newest + 1);
    chain->oldest_number = result ? number : 0;
    return 0;
}

int find_oldest(struct chain *chain, uint64_t *ret_id)
{
    int result = 0;
    pthread_mutex_lock(&chain->oldest_lock);
    if (!chain->oldest_number || floors_get(&chain->floors, chain->oldest_number) >= chain->oldest)
        result = look_for_oldest(chain);
    *ret_id = chain->oldest_number ? chain->oldest : 0;
    pthread_mutex_unlock(&chain->oldest_lock);
    return result;
}
