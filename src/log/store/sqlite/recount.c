/* An opening believes the sums (summing.c), so a row that is damaged, or that comes from an older
 * copy of the folder, would be believed for ever. Upkeep counts all channels anew after each start
 * and then once a day: NUMBERS of them at a time, in all files, and then not for PAUSE times as
 * long as that took. A row that is wrong is mended, and the log is told, whose own count came from
 * it. If a channel has no row at all, its name is not known either: then the sums are dropped. */
#include "log/store/sqlite/recount.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/summing.h"
#include "log/store/sqlite/tally.h"

#include <errno.h>
#include <stdlib.h>

enum { NUMBERS = 1 << 13 };
#define PAUSE INT64_C(50)
#define NS_PER_S INT64_C(1000000000)
#define FIRST_NS (10 * NS_PER_S) /* after the opening, when there is much else to do */
#define ROUND_NS (INT64_C(86400) * NS_PER_S)

struct check_row {
    struct tally stored;
    struct tally found;
    uint64_t trimmed;
    uint64_t last;
    uint64_t found_last;
    bool known;
};

struct check {
    struct chain *chain;
    uint64_t low;
    struct check_row *rows; /* NUMBERS of them */
    uint64_t wrong;
    bool missing; /* a channel with events has no row */
};

static int check_stored(void *context, const struct sums_row *row)
{
    struct check *check = context;
    struct check_row *to = &check->rows[row->number - check->low];
    *to = (struct check_row){.stored = {row->count, row->bytes},
                             .trimmed = row->trimmed,
                             .last = row->last,
                             .known = true};
    return 0;
}

static int check_channel(struct check *check, struct reader *reader, sqlite3_stmt *row)
{
    uint32_t number = (uint32_t)db_id(row, CHANNEL_ROW_number);
    struct check_row *to = &check->rows[number - check->low];
    uint64_t last = db_id(row, CHANNEL_ROW_last);
    uint64_t trimmed =
        to->known ? to->trimmed : trimmed_ids_get(&check->chain->trimmed_ids, number);
    if (trimmed >= last)
        return 0;
    to->found_last = last;
    return tally_channel(reader, row, number, trimmed, UINT64_MAX, &to->found);
}

static int check_rows_in(struct check *check, struct reader *reader)
{
    sqlite3_stmt *row;
    int result = reader_statement(reader, READER_CHANNELS_IN, &row);
    if (result)
        return result;
    db_bind_id(row, 1, check->low);
    db_bind_id(row, 2, check->low + NUMBERS);
    while ((result = db_row(row)) == 1)
        if ((result = check_channel(check, reader, row)))
            break;
    return result;
}

static int check_file(struct check *check, struct segment *segment)
{
    struct reader *reader;
    int result = reader_take(check->chain->readers, segment, &reader);
    if (!result) {
        result = check_rows_in(check, reader);
        reader_give(check->chain->readers, reader, result < 0);
    }
    if (result)
        say(SAY_ERROR, "file_damaged", "path=%s error=%d", segment->path, -result);
    return result;
}

static int check_files(struct check *check)
{
    int result = 0;
    struct segment *segment = chain_at(check->chain, 0);
    while (segment && !result) {
        if (segment->summed)
            result = check_file(check, segment);
        segment = chain_after(check->chain, segment);
    }
    segment_unref(segment);
    return result;
}

/* A channel whose trimmed id was raised meanwhile is left for the next time. */
static bool is_wrong(const struct check *check, const struct check_row *row, uint32_t number)
{
    uint64_t trimmed = trimmed_ids_get(&check->chain->trimmed_ids, number);
    if (!row->known)
        return row->found.count && trimmed < row->found_last;
    return trimmed == row->trimmed &&
           (row->stored.count != row->found.count || row->stored.bytes != row->found.bytes ||
            (row->found_last && row->last != row->found_last));
}

static int mend_row(struct check *check, const struct check_row *row, uint32_t number)
{
    struct chain *chain = check->chain;
    struct sums_row stored;
    check->wrong++;
    check->missing = check->missing || !row->known;
    if (chain->config.recounted)
        chain->config.recounted(chain->config.context, number, row->found_last,
                                (int64_t)(row->found.count - row->stored.count),
                                (int64_t)(row->found.bytes - row->stored.bytes));
    int result = row->known ? sums_get(chain->sums.db, number, &stored) : 0;
    if (result != 1)
        return result;
    stored.last = row->found_last ? row->found_last : stored.last;
    stored.count = row->found.count;
    stored.bytes = row->found.bytes;
    return sums_put(chain->sums.db, &stored);
}

static int mend(struct check *check)
{
    struct sums *db = check->chain->sums.db;
    int result = sums_begin(db);
    if (result)
        return result;
    for (uint32_t i = 0; !result && i < NUMBERS; i++)
        if (is_wrong(check, &check->rows[i], (uint32_t)(check->low + i)))
            result = mend_row(check, &check->rows[i], (uint32_t)(check->low + i));
    return sums_end(db, result);
}

static int check_slice(struct check *check)
{
    int result =
        sums_each_row(check->chain->sums.db, check->low, check->low + NUMBERS, check_stored, check);
    if (!result && check_files(check))
        return 0; /* the file was reported already */
    result = result ? result : mend(check);
    if (check->wrong)
        say(SAY_ERROR, "sums_were_wrong", "channels=%llu from=%llu",
            (unsigned long long)check->wrong, (unsigned long long)check->low);
    return result ? result : check->missing ? -ESTALE : 0;
}

/* When the next count is due: soon after a start, else a day after the last one. */
static void move_on(struct chain *chain, int64_t took_ns)
{
    struct chain_sums *own = &chain->sums;
    own->check_low += NUMBERS;
    bool all = own->check_low > own->highest;
    own->check_low = all ? 0 : own->check_low;
    own->check_after_ns = clock_now_ns(chain->config.clock) + (all ? ROUND_NS : took_ns * PAUSE);
}

void recount_some(struct chain *chain)
{
    struct chain_sums *own = &chain->sums;
    int64_t start = clock_now_ns(chain->config.clock);
    if (!own->check_after_ns)
        own->check_after_ns = start + FIRST_NS;
    if (!own->db || own->noted_count || start < own->check_after_ns)
        return;
    struct check check = {.chain = chain, .low = own->check_low};
    check.rows = mem_try_alloc(NUMBERS * sizeof(*check.rows));
    if (!check.rows)
        return;
    memset(check.rows, 0, NUMBERS * sizeof(*check.rows));
    int result = check_slice(&check);
    free(check.rows);
    move_on(chain, clock_now_ns(chain->config.clock) - start);
    if (result)
        summing_drop(chain, "check", result);
}
