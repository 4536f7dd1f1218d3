#include "log/store/sqlite/resume.h"

#include "log/store/sqlite/holes.h"
#include "log/store/sqlite/summing.h"
#include "log/store/sqlite/trouble.h"
#include "log/store/sqlite/wal.h"

#include <errno.h>

static int load_marks(struct chain *chain, sqlite3 *db)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db,
                            "SELECT trim.channel, name, upto FROM trim JOIN channel"
                            " ON number = trim.channel ORDER BY trim.rowid",
                            &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        uint64_t upto = db_id(statement, 2);
        struct store_trim trim = {(uint32_t)db_id(statement, 0), db_bytes(statement, 1), upto,
                                  upto};
        if ((result = chain_add_trims(chain, &trim, 1)))
            break;
    }
    sqlite3_finalize(statement);
    return result;
}

/* The trims of a file that is not sealed may not be in state.db yet. */
static int load_rolled(struct chain *chain, struct segment *segment)
{
    sqlite3 *db = NULL;
    int result = writer_open(segment, &segment->writer);
    result = result ? result : writer_mend(segment->writer, &db);
    /* Sync: the rows that are read here will be shown, so they must not be lost afterwards. */
    result = result ? result : wal_settle(db);
    return result ? result : load_marks(chain, db);
}

static int confine(struct segment *segment, uint64_t end)
{
    sqlite3 *db = NULL;
    int result = segment->writer ? writer_mend(segment->writer, &db) : 0;
    return result ? result : segment_confine(segment, end, db);
}

/* Removes events that do not belong to their file. If the sums counted the file, they are dropped.
 */
static int confine_files(struct chain *chain)
{
    bool was_sealed = false;
    for (size_t i = 0; i < chain->count; i++) {
        struct segment *segment = chain->list[i];
        uint64_t end = i + 1 < chain->count ? chain->list[i + 1]->first : 0;
        if (segment_is_confined(segment, end))
            continue;
        was_sealed = was_sealed || segment->sealed;
        int result = trouble_note(chain->config.trouble, segment->path, confine(segment, end));
        if (result)
            return result;
    }
    if (!was_sealed)
        return 0;
    summing_drop(chain, "foreign_events", 0);
    return chain->sums.stuck ? -EIO : chain_load_sealed(chain);
}

static int load_file(struct chain *chain, struct segment *segment)
{
    int result = segment->sealed ? 0 : load_rolled(chain, segment);
    segment->trimmed = true; /* assume so until upkeep has counted */
    if (!result && atomic_load(&segment->newest)) {
        atomic_store(&chain->newest, atomic_load(&segment->newest));
        atomic_store(&chain->newest_time_us, atomic_load(&segment->newest_time_us));
    }
    return result;
}

/* Removes a file without events, whose name the next file may need. Its trims go to state.db first.
 * No file names it as the one before, so the removal need not be noted, which a full disk might
 * prevent. */
static int drop_empty(struct chain *chain, struct segment *segment)
{
    int result = state_trim(chain->state, chain->trims, chain->trims_count, true);
    result = result ? result : segment_unlink(segment);
    if (!result)
        chain_remove(chain, segment);
    return result;
}

/* The time at which the active file of an earlier run was begun, converted to the monotonic clock
 * of this run. A file with a time in the future counts as new. */
static int64_t since_of(struct chain *chain, const struct segment *segment)
{
    int64_t age = clock_wall_us(chain->config.clock) - atomic_load(&segment->oldest_time_us);
    if (age < 0)
        age = 0;
    if (age > chain->config.roll_us)
        age = chain->config.roll_us;
    return clock_now_ns(chain->config.clock) / 1000 - age;
}

/* The newest file is appended to again unless it is sealed. */
static int resume_last(struct chain *chain)
{
    struct segment *last = chain->count ? chain->list[chain->count - 1] : NULL;
    if (!last || last->sealed || last->finished)
        return 0;
    if (!atomic_load(&last->newest))
        return drop_empty(chain, last);
    chain->active = last;
    chain->active_since_us = since_of(chain, last);
    chain->writer = last->writer;
    last->writer = NULL;
    return 0;
}

/* Never reuse ids of lost events. */
static void raise_newest(struct chain *chain)
{
    uint64_t lost = holes_upto(chain);
    if (lost > atomic_load(&chain->newest))
        atomic_store(&chain->newest, lost);
}

static int load_files(struct chain *chain)
{
    int result = 0;
    for (size_t i = 0; !result && i < chain->count; i++) {
        struct segment *segment = chain->list[i];
        chain_tell_progress(chain, i);
        if (!segment->summed)
            result = trouble_note(chain->config.trouble, segment->path, segment_load(segment));
    }
    result = result ? result : holes_check(chain);
    for (size_t i = 0; !result && i < chain->count; i++)
        result = trouble_note(chain->config.trouble, chain->list[i]->path,
                              load_file(chain, chain->list[i]));
    raise_newest(chain);
    return result;
}

/* Notes the last file, to which the next one links. */
static void know_last(struct chain *chain)
{
    if (!chain->active && chain->count)
        chain->before = segment_link(chain->list[chain->count - 1]);
}

int resume_files(struct chain *chain)
{
    int result = load_files(chain);
    result = result ? result : confine_files(chain);
    /* Sync the folder: SQLite may have made a write-ahead log, see begin_file(). */
    result = result ? result : db_sync_folder(chain->folder);
    result = result ? result : resume_last(chain);
    if (!result)
        know_last(chain);
    return result;
}
