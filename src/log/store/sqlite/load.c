#include "log/store/sqlite/load.h"

#include "base/mem.h"
#include "base/progress.h"
#include "log/store/sqlite/find.h"
#include "log/store/sqlite/summing.h"
#include "log/store/sqlite/trouble.h"

#include <errno.h>
#include <stdlib.h>

/* Rows of the sums that are read between two looks at the clock. */
enum { PROGRESS_ROWS = 4096 };

/* A channel as it is gathered from the files and from state.db. */
struct gathered {
    struct str name; /* `at == NULL`: no known channel has the number */
    uint64_t last;
    uint64_t count;
    uint64_t bytes;
    uint64_t forgotten; /* the newest id that the channel had when it was forgotten */
};

struct load {
    struct chain *chain;
    const struct store_loader *loader;
    struct gathered *channels; /* by number */
    size_t cap;
    uint32_t highest;
    struct arena names;
    uint64_t sums; /* rows of them */
};

/* ---- gathering ------------------------------------------------------------------------------ */

static struct gathered *gathered_of(struct load *load, uint32_t number)
{
    if (number >= load->cap) {
        size_t cap = load->cap ? load->cap : 256;
        while (cap <= number)
            cap *= 2;
        struct gathered *room = mem_try_realloc(load->channels, cap * sizeof(*room));
        if (!room)
            return NULL;
        memset(room + load->cap, 0, (cap - load->cap) * sizeof(*room));
        load->channels = room;
        load->cap = cap;
    }
    load->highest = number > load->highest ? number : load->highest;
    return &load->channels[number];
}

/* The channel of that number, entered under its name; -ENOMEM. */
static int meet(struct load *load, uint32_t number, struct str name, struct gathered **ret)
{
    *ret = gathered_of(load, number);
    if (!*ret)
        return -ENOMEM;
    if (!(*ret)->name.at)
        (*ret)->name = arena_copy(&load->names, name);
    return (*ret)->name.at ? 0 : -ENOMEM;
}

static void raise_last(struct gathered *gathered, uint64_t last)
{
    if (last > gathered->last)
        gathered->last = last;
}

static int raise_trimmed(struct load *load, uint32_t number, uint64_t upto)
{
    int result = trimmed_ids_room(&load->chain->trimmed_ids, number);
    if (!result)
        trimmed_ids_raise(&load->chain->trimmed_ids, number, upto);
    return result;
}

static int gather_forgotten(void *context, uint32_t number, uint64_t upto)
{
    struct gathered *gathered = gathered_of(context, number);
    if (gathered)
        gathered->forgotten = upto;
    return gathered ? raise_trimmed(context, number, upto) : -ENOMEM;
}

/* Rows of number 0 stand for forgotten channels, and are reported as they are. */
static int gather_row(void *context, const struct state_row *row)
{
    struct load *load = context;
    struct gathered *gathered;
    if (!row->number) {
        struct store_channel channel = {
            .name = row->name, .last = row->last, .trimmed = row->trimmed};
        return load->loader->channel(load->loader->context, &channel);
    }
    int result = meet(load, row->number, row->name, &gathered);
    if (result)
        return result;
    raise_last(gathered, row->last);
    return raise_trimmed(load, row->number, row->trimmed);
}

/* Whether the file's events of that number belong to a channel that was forgotten since. */
static bool is_forgotten(struct load *load, uint32_t number, uint64_t last)
{
    return number < load->cap && load->channels[number].forgotten >= last;
}

static int gather_indexed(struct load *load, struct index *index, uint32_t number, struct str name)
{
    struct gathered *gathered;
    uint64_t last = index_tally(index, number, 0).last;
    struct index_tally live =
        index_tally(index, number, trimmed_ids_get(&load->chain->trimmed_ids, number));
    if (!last || is_forgotten(load, number, last))
        return 0;
    int result = meet(load, number, name, &gathered);
    if (result)
        return result;
    raise_last(gathered, last);
    gathered->count += live.count;
    gathered->bytes += live.bytes;
    return 0;
}

static int gather_names(struct load *load, struct index *index, struct reader *reader)
{
    sqlite3_stmt *statement;
    int result = db_prepare(reader->db, "SELECT number, name FROM channel", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1)
        if ((result = gather_indexed(load, index, (uint32_t)db_id(statement, 0),
                                     db_bytes(statement, 1))))
            break;
    sqlite3_finalize(statement);
    return result;
}

/* Counts the events of a channel whose trimmed id lies within a sealed file. */
static int count_above(struct load *load, struct reader *reader, uint32_t number, uint64_t trimmed)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_LINE_SIZES, &statement);
    if (result)
        return result;
    sqlite3_bind_int64(statement, 1, number);
    db_bind_id(statement, 2, trimmed);
    while ((result = db_row(statement)) == 1) {
        load->channels[number].count++;
        load->channels[number].bytes += db_bytes(statement, 1).len;
    }
    return result;
}

static int gather_sealed(struct load *load, struct reader *reader, sqlite3_stmt *row)
{
    struct gathered *gathered;
    uint32_t number = (uint32_t)db_id(row, CHANNEL_ROW_number);
    uint64_t first = db_id(row, CHANNEL_ROW_first), last = db_id(row, CHANNEL_ROW_last);
    uint64_t trimmed = trimmed_ids_get(&load->chain->trimmed_ids, number);
    if (is_forgotten(load, number, last))
        return 0;
    int result = meet(load, number, db_bytes(row, CHANNEL_ROW_name), &gathered);
    if (result)
        return result;
    raise_last(gathered, last);
    if (trimmed >= last)
        return 0;
    if (trimmed >= first)
        return count_above(load, reader, number, trimmed);
    gathered->count += db_id(row, CHANNEL_ROW_count);
    gathered->bytes += db_id(row, CHANNEL_ROW_bytes);
    return 0;
}

static int gather_file(struct load *load, struct reader *reader)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_CHANNELS, &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1)
        if ((result = gather_sealed(load, reader, statement)))
            break;
    return result;
}

/* Calls `look` with a reader for each file in turn. Nobody else is there yet: no gates. */
static int each_file(struct load *load,
                     bool (*is_needed)(const struct load *load, const struct segment *segment),
                     int (*look)(struct load *load, struct segment *segment, struct reader *reader))
{
    int result = 0;
    for (size_t i = 0; !result && i < load->chain->count; i++) {
        struct reader *reader;
        progress_tell(load->chain->config.progress, "files of the log counted", i,
                      load->chain->count);
        if (!is_needed(load, load->chain->list[i]))
            continue;
        result = reader_take(load->chain->readers, load->chain->list[i], &reader);
        if (result)
            return trouble_note(load->chain->config.trouble, load->chain->list[i]->path, result);
        result = look(load, load->chain->list[i], reader);
        reader_give(load->chain->readers, reader, result < 0);
        trouble_note(load->chain->config.trouble, load->chain->list[i]->path, result);
    }
    return result;
}

static int gather(struct load *load, struct segment *segment, struct reader *reader)
{
    return segment->sealed ? gather_file(load, reader) : gather_names(load, segment->index, reader);
}

/* A row of the sums counts all files that are in the sums. */
static int gather_sum(void *context, const struct sums_row *stored)
{
    struct load *load = context;
    struct gathered *gathered;
    struct sums_row row = *stored;
    if (load->sums++ % PROGRESS_ROWS == 0)
        progress_tell(load->chain->config.progress, "channels read", load->sums, 0);
    int result = summing_bring_up(load->chain, &row);
    if (result || is_forgotten(load, row.number, row.last))
        return result;
    result = meet(load, row.number, row.name, &gathered);
    if (result)
        return result;
    raise_last(gathered, row.last);
    gathered->count += row.count;
    gathered->bytes += row.bytes;
    return 0;
}

static int gather_sums(struct load *load)
{
    struct chain_sums *sums = &load->chain->sums;
    int result = sums->db ? sums_each_row(sums->db, 0, UINT64_MAX >> 1, gather_sum, load) : 0;
    sums->channels = load->sums;
    return result;
}

/* Deletions in a file that is not sealed are not in state.db yet, and may be the only trace of a
 * channel. */
static int gather_marks(struct load *load)
{
    struct chain *chain = load->chain;
    int result = 0;
    for (size_t i = 0; !result && i < chain->trims_count; i++) {
        const struct store_trim *trim = &chain->trims[i];
        struct gathered *gathered;
        if (is_forgotten(load, trim->number, trim->trimmed))
            continue;
        result = meet(load, trim->number, trim->name, &gathered);
        if (!result)
            raise_last(gathered, trim->trimmed);
    }
    return result;
}

/* ---- reporting ------------------------------------------------------------------------------ */

static void report_count(const struct load *load)
{
    uint64_t count = 0;
    for (uint32_t number = 1; number <= load->highest; number++)
        count += load->channels[number].name.at != NULL;
    if (load->loader->expect)
        load->loader->expect(load->loader->context, count);
}

static int report_channels(struct load *load)
{
    int result = 0;
    report_count(load);
    for (uint32_t number = 1; !result && number <= load->highest; number++) {
        const struct gathered *gathered = &load->channels[number];
        if (!gathered->name.at)
            continue;
        struct store_channel channel = {
            gathered->name,  number,
            gathered->last,  trimmed_ids_get(&load->chain->trimmed_ids, number),
            gathered->count, gathered->bytes};
        result = load->loader->channel(load->loader->context, &channel);
    }
    return result;
}

/* If no file and no row of state.db has a name for the number, no event has the number either: skip
 * it. */
static void report_unused(struct load *load)
{
    for (uint32_t number = 1; load->loader->unused && number <= load->highest; number++)
        if (!load->channels[number].name.at && !load->channels[number].forgotten)
            load->loader->unused(load->loader->context, number);
}

static int report_key(struct load *load, sqlite3_stmt *row)
{
    struct event_key key = {.content = 0};
    struct str bytes = db_bytes(row, KEY_ROW_key);
    if (bytes.len != sizeof(key.key) + 8)
        return 0;
    memcpy(key.key, bytes.at, sizeof(key.key));
    for (size_t i = sizeof(key.key); i < bytes.len; i++)
        key.content = key.content << 8 | (uint8_t)bytes.at[i];
    return load->loader->key(load->loader->context, &key, db_id(row, KEY_ROW_id),
                             sqlite3_column_int64(row, KEY_ROW_time));
}

static int report_keys_from(struct load *load, struct reader *reader, uint64_t id)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_KEYS, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, id);
    while ((result = db_row(statement)) == 1)
        if ((result = report_key(load, statement)))
            break;
    return result;
}

static bool has_keys(const struct load *load, const struct segment *segment)
{
    return atomic_load(&segment->oldest) && (!segment->summed || segment->keyed) &&
           atomic_load(&segment->newest_time_us) >= load->loader->keys_since_us;
}

static int report_keys(struct load *load, struct segment *segment, struct reader *reader)
{
    int64_t since = load->loader->keys_since_us;
    uint64_t from = atomic_load(&segment->oldest), before;
    if (atomic_load(&segment->oldest_time_us) < since) {
        int result = find_time_in(reader, since - 1, from, atomic_load(&segment->newest), &before);
        if (result)
            return result;
        from = before + 1;
    }
    return report_keys_from(load, reader, from);
}

static bool is_not_summed(const struct load *load, const struct segment *segment)
{
    (void)load;
    return !segment->summed;
}

static int gather_all(struct load *load)
{
    struct state *state = load->chain->state;
    int result = state_forgotten(state, gather_forgotten, load);
    result = result ? result : state_rows(state, gather_row, load);
    result = result ? result : gather_marks(load);
    result = result ? result : gather_sums(load);
    return result ? result : each_file(load, is_not_summed, gather);
}

static void forget_gathered(struct load *load)
{
    free(load->channels);
    arena_free(&load->names);
    load->channels = NULL;
    load->cap = 0;
    load->names = (struct arena){0};
}

/* Do not use sums that cannot be read, or that have a higher trimmed id than state.db. */
static int gather_anew(struct load *load, int error)
{
    forget_gathered(load);
    summing_drop(load->chain, "opening", error);
    int result = load->chain->sums.stuck ? -EIO : chain_load_sealed(load->chain);
    return result ? result : gather_all(load);
}

static int report(struct load *load)
{
    int result = gather_all(load);
    if (result && load->chain->sums.db && result != -ENOMEM)
        result = gather_anew(load, result);
    result = result ? result : report_channels(load);
    if (!result)
        report_unused(load);
    load->chain->sums.highest = load->highest;
    return result ? result : each_file(load, has_keys, report_keys);
}

int load_report(struct chain *chain, const struct store_loader *loader,
                struct store_newest *ret_newest)
{
    struct load load = {.chain = chain, .loader = loader};
    struct state_newest kept = {0};
    *ret_newest = (struct store_newest){0};
    int result = state_newest(chain->state, &kept);
    result = result ? result : state_lost(chain->state, &ret_newest->lost);
    result = result ? result : state_pauses(chain->state, ret_newest);
    result = result ? result : report(&load);
    if (kept.id > atomic_load(&chain->newest)) {
        atomic_store(&chain->newest, kept.id);
        atomic_store(&chain->newest_time_us, kept.time_us);
    }
    ret_newest->id = atomic_load(&chain->newest);
    ret_newest->time_us = atomic_load(&chain->newest_time_us);
    ret_newest->number = load.highest;
    forget_gathered(&load);
    return result;
}
