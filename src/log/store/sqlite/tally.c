#include "log/store/sqlite/tally.h"

static int tally_rows(struct reader *reader, uint32_t number, uint64_t low, uint64_t high,
                      struct tally *tally)
{
    sqlite3_stmt *rows;
    int result = reader_statement(reader, READER_LINE_SIZES, &rows);
    if (result)
        return result;
    sqlite3_bind_int64(rows, 1, number);
    db_bind_id(rows, 2, low);
    while ((result = db_row(rows)) == 1 && db_id(rows, 0) <= high) {
        tally->count++;
        tally->bytes += db_bytes(rows, 1).len;
    }
    sqlite3_reset(rows);
    return result < 0 ? result : 0;
}

int tally_channel(struct reader *reader, sqlite3_stmt *row, uint32_t number, uint64_t low,
                  uint64_t high, struct tally *tally)
{
    uint64_t first = db_id(row, CHANNEL_ROW_first), last = db_id(row, CHANNEL_ROW_last);
    if (low >= last || high < first)
        return 0;
    if (low >= first || high < last)
        return tally_rows(reader, number, low, high, tally);
    tally->count += db_id(row, CHANNEL_ROW_count);
    tally->bytes += db_id(row, CHANNEL_ROW_bytes);
    return 0;
}

static int tally_in(struct chain *chain, struct segment *segment, uint32_t number, uint64_t low,
                    uint64_t high, struct tally *tally)
{
    struct reader *reader;
    sqlite3_stmt *row;
    int result = reader_take(chain->readers, segment, &reader);
    if (result)
        return result;
    result = reader_statement(reader, READER_CHANNEL, &row);
    if (!result) {
        sqlite3_bind_int64(row, 1, number);
        result = db_row(row);
        if (result == 1)
            result = tally_channel(reader, row, number, low, high, tally);
    }
    reader_give(chain->readers, reader, result < 0);
    return result;
}

int tally_files(struct chain *chain, uint32_t number, uint64_t low, uint64_t high,
                struct tally *tally)
{
    int result = 0;
    struct segment *segment = chain_at(chain, low + 1);
    while (segment && segment->first <= high && !result) {
        if (segment->summed && segment_enter(segment)) {
            if (segment_may_have(segment, number))
                result = tally_in(chain, segment, number, low, high, tally);
            segment_leave(segment);
        }
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    return result;
}
