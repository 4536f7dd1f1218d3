/* Reuse of the numbers of forgotten channels.
 *
 * A number stands for the channel's name in each file that has its events, and in the trims of
 * state.db. A forgotten channel has no visible event, but trimmed events of it may lie in files
 * until these are unlinked or rewritten. If another channel got the number meanwhile, those events
 * would become its own. So a number goes through three steps:
 *
 *   forget     In state.db the row in `trim` goes and a row in `forgotten` comes, which hides the
 *              trimmed events from each opening (chain_upkeep.c, state.c).
 *   sweep      No file has events of that number up to the id in the row: the row goes, and once
 *              that is durable the number is released (this file).
 *   release    The log gives the number to another channel (upkeep.c, channels.c).
 *
 * A crash between the steps leaves a row too many, which the next sweep removes. A number without a
 * name and without a row is free at the next opening (load.c).
 *
 * The trimmed id of a number, its erasures and the filters of files need no sweep: they hold ids,
 * and the ids of the next channel are above all of them. A sweep asks neither the file that is
 * appended to nor one that is not sealed yet: both may hold a DELETE of the channel. */
#include "log/store/sqlite/forgotten.h"

#include "log/store/sqlite/summing.h"

/* Rows that are looked at together; a turn ends after so long. */
enum { SWEEP = 1024 };
#define SWEEP_NS INT64_C(100000000)

struct rows {
    size_t count;
    uint32_t numbers[SWEEP];
    uint64_t upto[SWEEP];
    bool referred[SWEEP];
};

static int gather(void *context, uint32_t number, uint64_t upto)
{
    struct rows *rows = context;
    rows->numbers[rows->count] = number;
    rows->upto[rows->count] = upto;
    rows->referred[rows->count++] = false;
    return 0;
}

/* Whether the sealed file has events of the channel up to that id; events above it belong to a
 * later channel. */
static int has_row(struct reader *reader, uint32_t number, uint64_t upto)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_CHANNEL, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, number);
    result = db_row(statement);
    if (result == 1)
        result = db_id(statement, CHANNEL_ROW_first) <= upto;
    sqlite3_reset(statement);
    return result;
}

static int ask_file(struct chain *chain, struct segment *segment, struct rows *rows)
{
    struct reader *reader;
    int result = reader_take(chain->readers, segment, &reader);
    if (result)
        return result;
    for (size_t i = 0; result >= 0 && i < rows->count; i++) {
        if (rows->referred[i] || segment->first > rows->upto[i] ||
            !segment_may_have(segment, rows->numbers[i]))
            continue;
        result = has_row(reader, rows->numbers[i], rows->upto[i]);
        rows->referred[i] = result != 0;
    }
    reader_give(chain->readers, reader, result < 0);
    return result < 0 ? result : 0;
}

/* A file that began with a DELETE has the id after the newest event in its name. */
static void mark_all(const struct segment *segment, struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        rows->referred[i] = rows->referred[i] || segment->first <= rows->upto[i] + 1;
}

static bool is_asked(const struct segment *segment, const struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        if (!rows->referred[i] && segment->first <= rows->upto[i] + 1)
            return true;
    return false;
}

static int ask_all(struct chain *chain, struct rows *rows)
{
    int result = 0;
    struct segment *segment = chain_at(chain, 0);
    for (; segment && !result; segment = chain_after(chain, segment)) {
        if (!is_asked(segment, rows))
            continue;
        if (!segment->sealed)
            mark_all(segment, rows);
        else if (segment_enter(segment)) {
            result = ask_file(chain, segment, rows);
            segment_leave(segment);
        }
    }
    segment_unref(segment);
    return result;
}

static void keep_free_ones(struct rows *rows)
{
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (!rows->referred[i])
            rows->numbers[count++] = rows->numbers[i];
    rows->count = count;
}

/* Sync the folder first: a file whose unlinking is not durable may come back after a power cut. */
static int release(struct chain *chain, struct rows *rows)
{
    keep_free_ones(rows);
    if (!rows->count)
        return 0;
    int result = summing_settle(chain);
    result = result ? result : db_sync_folder(chain->folder);
    chain_step(chain, "swept");
    result = result ? result : state_unforget(chain->state, rows->numbers, rows->count);
    for (size_t i = 0; !result && chain->config.released && i < rows->count; i++)
        chain->config.released(chain->config.context, rows->numbers[i]);
    return result;
}

int forgotten_sweep(struct forgotten *forgotten, struct chain *chain)
{
    int64_t until = clock_now_ns(chain->config.clock) + SWEEP_NS;
    int result = 0;
    if (forgotten->stuck)
        return 0;
    if (!forgotten->going && forgotten->again)
        *forgotten = (struct forgotten){.going = true};
    while (forgotten->going && !result && clock_now_ns(chain->config.clock) <= until) {
        struct rows rows = {.count = 0};
        result = state_forgotten_after(chain->state, forgotten->after, SWEEP, gather, &rows);
        if (!rows.count) {
            forgotten->going = result != 0;
            break;
        }
        forgotten->after = rows.numbers[rows.count - 1];
        result = result ? result : ask_all(chain, &rows);
        result = result ? result : release(chain, &rows);
    }
    forgotten->again = forgotten->again || result;
    return result;
}
