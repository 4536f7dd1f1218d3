/* The sums say how many events and bytes all sealed files together have of each channel. So an
 * opening reads one row for each channel, and no sealed file. A row was counted at a trimmed id: it
 * counts the channel's events above that id, in the files that are in the sums. This file keeps the
 * rows true:
 *
 *   a file is sealed        The file is added, with others, in one transaction. After a crash
 *                           before that, the opening reads it like any file outside the sums.
 *   a channel is trimmed    Its row is brought up to the new trimmed id: the trimmed events are
 *                           counted in the files and subtracted. A crash before that leaves a row
 *                           whose trimmed id is too low; the opening brings it up the same way.
 *   a file is rewritten     Events above the trimmed ids stay, so no row changes, only the stamp of
 *                           the file. The trimmed events must have been subtracted before.
 *   a file is unlinked      The same, and then the file leaves the sums before it goes.
 *   a channel is forgotten  All its events are trimmed: its row goes, before state.db drops the
 *                           channel.
 *
 * Trims are in state.db before rows are brought up, so a row's trimmed id is never above that of
 * the channel. If it is, or if a file is missing or has another stamp, a part of the folder was
 * exchanged: all sums are dropped, and the opening reads the files. The same happens when the disk
 * fails here. Upkeep adds the files again later; a folder without sums is upgraded in the same way.
 *
 * A row that was changed on disk without an error would be believed for ever, so upkeep counts the
 * channels again from time to time (recount.c). */
#include "log/store/sqlite/summing.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/tally.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S INT64_C(1000000000)
/* Time in a turn of upkeep for adding files to the sums. */
#define ADD_NS (NS_PER_S / 4)
/* After the sums were dropped, wait so long before they are begun again. */
#define RETRY_NS (60 * NS_PER_S)

/* Files are added once ADD_FILES of them wait, or once their channels are one in ADD_SHARE of all:
 * adding a file costs a page for nearly each of its channels. */
enum { ADD_FILES = 8, ADD_SHARE = 8, ADD_TRIES = 3, LOWERED_LOOKED_FOR = 256 };

static int64_t now_ns(const struct chain *chain)
{
    return clock_now_ns(chain->config.clock);
}

/* ---- dropping -------------------------------------------------------------------------------- */

static void forget_files(struct chain *chain)
{
    pthread_mutex_lock(&chain->list_lock);
    for (size_t i = 0; i < chain->count; i++)
        chain->list[i]->summed = false;
    pthread_mutex_unlock(&chain->list_lock);
}

void summing_drop(struct chain *chain, const char *reason, int error)
{
    struct chain_sums *own = &chain->sums;
    say(SAY_WARN, "sums_dropped", "reason=%s error=%d", reason, -error);
    own->stuck = sums_discard(own->db, own->path) != 0;
    own->db = NULL;
    own->noted_count = 0;
    own->channels = 0;
    own->retry_after_ns = now_ns(chain) + RETRY_NS;
    forget_files(chain);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The channel's trimmed id is below that of the row. Harmless if the row is of a forgotten channel
 * that had the number before, and no events lie between the two ids. A start can only afford to
 * check some such channels; upkeep will count all of them. */
static int bring_down(struct chain *chain, struct sums_row *row, uint64_t trimmed)
{
    struct tally back = {0};
    int result = chain->sums.lowered++ < LOWERED_LOOKED_FOR
                     ? tally_files(chain, row->number, trimmed, row->trimmed, &back)
                     : 0;
    if (result || back.count)
        return result ? result : -ESTALE;
    row->trimmed = trimmed;
    return 1;
}

/* Returns 1 if the row has changed. */
static int bring_up(struct chain *chain, struct sums_row *row)
{
    struct tally gone = {0};
    uint64_t trimmed = trimmed_ids_get(&chain->trimmed_ids, row->number);
    if (trimmed == row->trimmed)
        return 0;
    if (trimmed < row->trimmed)
        return bring_down(chain, row, trimmed);
    if (trimmed < row->last) {
        int result = tally_files(chain, row->number, row->trimmed, trimmed, &gone);
        if (result)
            return result;
    } else {
        gone = (struct tally){row->count, row->bytes};
    }
    if (gone.count > row->count || gone.bytes > row->bytes)
        return -ESTALE;
    row->trimmed = trimmed;
    row->count -= gone.count;
    row->bytes -= gone.bytes;
    return 1;
}

int summing_bring_up(struct chain *chain, struct sums_row *row)
{
    int result = bring_up(chain, row);
    if (result == 1)
        summing_note(chain, row->number);
    return result < 0 ? result : 0;
}

/* Once all its events are trimmed, a channel needs no row: state.db has its entry. */
static int settle_row(struct chain *chain, uint32_t number)
{
    struct sums_row row;
    int result = sums_get(chain->sums.db, number, &row);
    if (result == 1)
        result = bring_up(chain, &row);
    if (result == 1)
        result = row.trimmed >= row.last ? sums_drop(chain->sums.db, number)
                                         : sums_put(chain->sums.db, &row);
    return result;
}

void summing_note(struct chain *chain, uint32_t number)
{
    struct chain_sums *own = &chain->sums;
    if (!own->db)
        return;
    if (own->noted_count == own->noted_cap) {
        size_t cap = own->noted_cap ? own->noted_cap * 2 : 256;
        uint32_t *room = mem_try_realloc(own->noted, cap * sizeof(*room));
        if (!room) {
            summing_drop(chain, "memory", -ENOMEM);
            return;
        }
        own->noted = room;
        own->noted_cap = cap;
    }
    own->noted[own->noted_count++] = number;
}

static int settle_noted(struct chain *chain)
{
    struct chain_sums *own = &chain->sums;
    int result = sums_begin(own->db);
    if (result)
        return result;
    for (size_t i = 0; !result && i < own->noted_count; i++)
        result = settle_row(chain, own->noted[i]);
    result = sums_end(own->db, result);
    chain_step(chain, "settled");
    return result;
}

int summing_settle(struct chain *chain)
{
    struct chain_sums *own = &chain->sums;
    int result = own->noted_count ? settle_noted(chain) : 0;
    if (result)
        summing_drop(chain, "trim", result);
    own->noted_count = 0;
    if (own->stuck)
        own->stuck = sums_discard(NULL, own->path) != 0;
    return own->stuck ? -EIO : 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int newest_keyed(struct reader *reader, uint64_t *ret_id)
{
    int64_t id = 0;
    int result = db_number(
        reader->db, "SELECT id FROM event WHERE key IS NOT NULL ORDER BY id DESC LIMIT 1", &id);
    *ret_id = (uint64_t)id;
    return result == -ENOENT ? 0 : result;
}

static int put_file(struct chain *chain, const struct segment *segment)
{
    const struct segment_filter *filter = &segment->filter;
    struct sums_file file = {
        .first = segment->first,
        .stamp = segment->stamp,
        .oldest = atomic_load(&segment->oldest),
        .newest = atomic_load(&segment->newest),
        .oldest_time_us = atomic_load(&segment->oldest_time_us),
        .newest_time_us = atomic_load(&segment->newest_time_us),
        .keyed = segment->keyed,
        .channels = segment->channels,
        .filter = {(const char *)filter->bits, filter->bits ? (filter->mask + 1) / 8 : 0},
        .links = links_bytes(&segment->links),
    };
    return sums_put_file(chain->sums.db, &file);
}

/* The row of the same number was counted from another trimmed id, or is of a channel forgotten
 * since. */
static int make_way(struct chain *chain, const struct sums_row *added)
{
    struct sums_row row;
    int result = sums_get(chain->sums.db, added->number, &row);
    if (result != 1)
        return result;
    return str_eq(row.name, added->name) ? settle_row(chain, added->number)
                                         : sums_drop(chain->sums.db, added->number);
}

static int add_channel(struct chain *chain, struct reader *reader, sqlite3_stmt *row)
{
    struct sums_row added = {.number = (uint32_t)db_id(row, CHANNEL_ROW_number),
                             .name = db_bytes(row, CHANNEL_ROW_name)};
    int result = 1;
    added.last = db_id(row, CHANNEL_ROW_last);
    for (int i = 0; result == 1 && i < ADD_TRIES; i++) {
        struct tally live = {0};
        added.trimmed = trimmed_ids_get(&chain->trimmed_ids, added.number);
        if (added.number > chain->sums.highest)
            chain->sums.highest = added.number;
        if (added.trimmed >= added.last)
            return 0;
        result = i ? make_way(chain, &added) : 0;
        result = result
                     ? result
                     : tally_channel(reader, row, added.number, added.trimmed, UINT64_MAX, &live);
        added.count = live.count;
        added.bytes = live.bytes;
        result = result ? result : sums_add(chain->sums.db, &added);
    }
    return result == 1 ? -ESTALE : result;
}

static int add_channels(struct chain *chain, struct segment *segment, struct reader *reader)
{
    sqlite3_stmt *row = NULL;
    uint32_t channels = 0;
    int result = newest_keyed(reader, &segment->keyed);
    result = result ? result : reader_statement(reader, READER_CHANNELS, &row);
    if (result)
        return result;
    for (; (result = db_row(row)) == 1; channels++)
        if ((result = add_channel(chain, reader, row)))
            break;
    if (channels > chain->sums.channels)
        chain->sums.channels = channels;
    return result;
}

static int add_file(struct chain *chain, struct segment *segment)
{
    struct reader *reader;
    int result = reader_take(chain->readers, segment, &reader);
    if (result)
        return result;
    result = add_channels(chain, segment, reader);
    result = result ? result : put_file(chain, segment);
    reader_give(chain->readers, reader, result < 0);
    segment->summed = result == 0;
    return result;
}

static bool is_to_be_added(const struct segment *segment)
{
    return segment->sealed && !segment->summed;
}

/* Adds up rows over all files, in the order of the chain. */
static int add_files(struct chain *chain)
{
    int64_t until = now_ns(chain) + ADD_NS;
    int result = sums_begin(chain->sums.db);
    if (result)
        return result;
    struct segment *segment = chain_at(chain, 0);
    while (segment && !result && now_ns(chain) <= until) {
        if (is_to_be_added(segment))
            result = add_file(chain, segment);
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
    result = sums_end(chain->sums.db, result);
    chain_step(chain, "added");
    return result ? result : sums_checkpoint(chain->sums.db);
}

static bool is_worth_adding(struct chain *chain)
{
    uint64_t files = 0, channels = 0;
    pthread_mutex_lock(&chain->list_lock);
    for (size_t i = 0; i < chain->count; i++) {
        if (!is_to_be_added(chain->list[i]))
            continue;
        files++;
        channels += chain->list[i]->channels;
    }
    pthread_mutex_unlock(&chain->list_lock);
    return files && (files >= ADD_FILES || channels >= chain->sums.channels / ADD_SHARE);
}

static void begin_anew(struct chain *chain)
{
    struct chain_sums *own = &chain->sums;
    if (own->stuck || now_ns(chain) < own->retry_after_ns)
        return;
    int result = sums_open(own->path, &own->db);
    if (!result)
        return;
    say(SAY_WARN, "sums_not_begun", "error=%d", -result);
    own->retry_after_ns = now_ns(chain) + RETRY_NS;
}

void summing_add(struct chain *chain)
{
    if (!chain->sums.db)
        begin_anew(chain);
    if (!chain->sums.db || !is_worth_adding(chain))
        return;
    int result = add_files(chain);
    if (result)
        summing_drop(chain, "file", result);
}

int summing_leave(struct chain *chain, struct segment *segment)
{
    struct sums *db = chain->sums.db;
    int result = summing_settle(chain);
    if (result || !segment->summed || !db)
        return result;
    result = sums_begin(db);
    if (!result)
        result = sums_end(db, sums_drop_file(db, segment->first));
    segment->summed = false;
    if (result)
        summing_drop(chain, "unlink", result);
    chain_step(chain, "left");
    return chain->sums.stuck ? -EIO : 0;
}

void summing_replaced(struct chain *chain, struct segment *segment)
{
    struct sums *db = chain->sums.db;
    if (!segment->summed || !db)
        return;
    int result = sums_begin(db);
    if (!result)
        result = sums_end(db, put_file(chain, segment));
    if (result)
        summing_drop(chain, "rewrite", result);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int match_file(void *context, const struct sums_file *file)
{
    struct chain *chain = context;
    struct segment *segment = chain_at(chain, file->first);
    int result = -ESTALE;
    if (segment && segment->first == file->first)
        result = segment_load_summed(segment, file);
    segment_unref(segment);
    return result;
}

int summing_match(struct chain *chain)
{
    struct chain_sums *own = &chain->sums;
    int result = sums_open(own->path, &own->db);
    if (result) { /* an old row, read at the next start, must not contradict the files */
        own->stuck = sums_discard(NULL, own->path) != 0;
        return own->stuck ? result : 0;
    }
    result = sums_each_file(own->db, match_file, chain);
    if (result == -ENOMEM)
        return result;
    if (result)
        summing_drop(chain, "other_files", result);
    return own->stuck ? -EIO : 0;
}
