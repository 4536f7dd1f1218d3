/* Upkeep of the files. Trimmed events are hidden at once and leave the disk later, a file at a
 * time: a file without retained events is unlinked, one that is mostly dead is rewritten. Events
 * removed by DELETE must not linger: their files are rewritten even if little of them was removed.
 * That happens in passes with a pause between them, so that a client that may DELETE cannot keep
 * the disk busy. */
#include "log/store/sqlite/chain_upkeep.h"

#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/find.h"
#include "log/store/sqlite/recount.h"
#include "log/store/sqlite/seal.h"
#include "log/store/sqlite/summing.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S INT64_C(1000000000)
#define ERASE_PAUSE_NS (60 * NS_PER_S)
/* A turn begins no further rewrite after this long, so that sealing does not wait for many. */
#define REWRITE_NS NS_PER_S
/* Wait before retrying what has failed: a retry repeats the whole rewrite. */
#define RETRY_NS (30 * NS_PER_S)
/* A file that cannot be read is given up after so many tries, so that nothing waits for it. Hours
 * later it is tried again, in case the disk had failed and not the file. */
enum { FAILURES_MAX = 5 };
#define GIVEN_UP_NS (3600 * NS_PER_S)
/* After counting a file, wait for this many times as long as the count took. */
enum { COUNT_PAUSE = 100 };
enum { ERASURES_FIRST = 16 };

struct erasure {
    uint32_t number;
    uint64_t upto;
};

void chain_upkeep_init(struct chain_upkeep *upkeep, struct chain *chain)
{
    *upkeep = (struct chain_upkeep){.chain = chain, .forgotten = {.again = true}};
}

/* ---- channels whose events are to leave the disk --------------------------------------------- */

static void drop_erasures(struct chain_upkeep *upkeep)
{
    free(upkeep->erasures);
    upkeep->erasures = NULL;
    upkeep->erasures_count = upkeep->erasures_cap = 0;
    atomic_store_explicit(&upkeep->erasures_bytes, 0, memory_order_relaxed);
}

void chain_upkeep_deinit(struct chain_upkeep *upkeep)
{
    drop_erasures(upkeep);
}

static int by_number(const void *a, const void *b)
{
    const struct erasure *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Merges deletions of the same channel, which may be many before a pass begins. */
static void merge_erasures(struct chain_upkeep *upkeep)
{
    struct erasure *erasures = upkeep->erasures;
    size_t count = 0;
    qsort(erasures, upkeep->erasures_count, sizeof(*erasures), by_number);
    for (size_t i = 0; i < upkeep->erasures_count; i++) {
        if (!count || erasures[count - 1].number != erasures[i].number)
            erasures[count++] = erasures[i];
        else if (erasures[count - 1].upto < erasures[i].upto)
            erasures[count - 1].upto = erasures[i].upto;
    }
    upkeep->erasures_count = count;
}

/* Makes room for an erasure. The table has at most four entries for each channel; beyond that,
 * entries are merged. */
static int erasures_room(struct chain_upkeep *upkeep)
{
    if (upkeep->erasures_count < upkeep->erasures_cap)
        return 0;
    if (upkeep->erasures_count)
        merge_erasures(upkeep);
    if (upkeep->erasures_count < upkeep->erasures_cap / 2)
        return 0;
    size_t cap = upkeep->erasures_cap ? upkeep->erasures_cap * 2 : ERASURES_FIRST;
    struct erasure *room = mem_try_realloc(upkeep->erasures, cap * sizeof(*room));
    if (!room)
        return upkeep->erasures_count < upkeep->erasures_cap ? 0 : -ENOMEM;
    upkeep->erasures = room;
    upkeep->erasures_cap = cap;
    atomic_store_explicit(&upkeep->erasures_bytes, cap * sizeof(*room), memory_order_relaxed);
    return 0;
}

static int64_t now_ns(const struct chain_upkeep *upkeep)
{
    return clock_now_ns(upkeep->chain->config.clock);
}

/* ---- trims ---------------------------------------------------------------------------------- */

/* Notes that files with ids in low..high may have events that were trimmed since they were counted.
 */
static void note_trimmed(struct chain *chain, uint64_t low, uint64_t high)
{
    struct segment *segment = chain_at(chain, low);
    while (segment && segment->first <= high) {
        segment->trimmed = true;
        segment = chain_after(chain, segment);
    }
    segment_unref(segment);
}

static void raise_trimmed(struct chain *chain, uint32_t number, uint64_t upto)
{
    uint64_t before = trimmed_ids_get(&chain->trimmed_ids, number);
    trimmed_ids_raise(&chain->trimmed_ids, number, upto);
    if (upto > before)
        note_trimmed(chain, before + 1, upto);
}

int chain_upkeep_trim(struct chain_upkeep *upkeep, const struct store_trim *trims, size_t count)
{
    struct chain *chain = upkeep->chain;
    int result = 0;
    for (size_t i = 0; !result && i < count; i++)
        result = trimmed_ids_room(&chain->trimmed_ids, trims[i].number);
    result = result ? result : state_trim(chain->state, trims, count, false);
    for (size_t i = 0; !result && i < count; i++) {
        raise_trimmed(chain, trims[i].number, trims[i].trimmed);
        summing_note(chain, trims[i].number);
    }
    if (!result)
        (void)summing_settle(chain); /* the sums are dropped if that fails */
    return result;
}

/* ---- deletions ------------------------------------------------------------------------------ */

static int add_erasure(void *context, uint32_t number, uint64_t upto)
{
    struct chain_upkeep *upkeep = context;
    int result = erasures_room(upkeep);
    if (!result)
        upkeep->erasures[upkeep->erasures_count++] = (struct erasure){number, upto};
    return result;
}

int chain_upkeep_load(struct chain_upkeep *upkeep)
{
    return state_erasures(upkeep->chain->state, add_erasure, upkeep);
}

/* On an error some trims may be noted. The caller repeats all of them, which changes nothing for
 * those. */
static int note_erasures(struct chain_upkeep *upkeep, const struct store_trim *trims, size_t count)
{
    int result = 0;
    for (size_t i = 0; !result && i < count; i++)
        result = add_erasure(upkeep, trims[i].number, trims[i].trimmed);
    return result;
}

/* Stores the deletions that appends have brought. The file that holds them must not be sealed
 * before they are in state.db. */
static int keep_trims(struct chain_upkeep *upkeep)
{
    size_t count;
    struct store_trim *trims = chain_take_trims(upkeep->chain, &count);
    int result = state_trim(upkeep->chain->state, trims, count, true);
    result = result ? result : note_erasures(upkeep, trims, count);
    for (size_t i = 0; !result && i < count; i++) {
        note_trimmed(upkeep->chain, 0, trims[i].trimmed);
        summing_note(upkeep->chain, trims[i].number);
    }
    if (result && chain_add_trims(upkeep->chain, trims, count))
        say(SAY_ERROR, "deletions_not_kept", "count=%zu until=restart", count);
    for (size_t i = 0; i < count; i++)
        free((char *)(uintptr_t)trims[i].name.at);
    free(trims);
    return result;
}

static int forget(struct chain *chain, const struct store_trim *namespaces, size_t namespaces_count,
                  const uint32_t *numbers, uint64_t *upto, size_t count)
{
    int result = 0;
    for (size_t i = 0; !result && i < count; i++) {
        upto[i] = atomic_load(&chain->newest);
        result = trimmed_ids_room(&chain->trimmed_ids, numbers[i]);
    }
    result = result
                 ? result
                 : state_forget(chain->state, namespaces, namespaces_count, numbers, upto, count);
    for (size_t i = 0; !result && i < count; i++) {
        raise_trimmed(chain, numbers[i], upto[i]);
        summing_note(chain, numbers[i]);
    }
    return result;
}

/* Stores pending deletions first: one that is stored after its channel was forgotten would bring
 * the channel back. */
int chain_upkeep_forget(struct chain_upkeep *upkeep, const struct store_trim *namespaces,
                        size_t namespaces_count, const uint32_t *numbers, size_t count)
{
    uint64_t *upto = mem_try_alloc((count + 1) * sizeof(*upto));
    if (!upto)
        return -ENOMEM;
    int result = keep_trims(upkeep);
    result =
        result ? result : forget(upkeep->chain, namespaces, namespaces_count, numbers, upto, count);
    forgotten_changed(&upkeep->forgotten);
    free(upto);
    return result;
}

static int has_in_file(struct chain_upkeep *upkeep, struct segment *segment,
                       const struct erasure *erasure)
{
    struct reader *reader;
    sqlite3_stmt *statement;
    if (!segment_may_have(segment, erasure->number))
        return 0;
    int result = reader_take(upkeep->chain->readers, segment, &reader);
    if (result)
        return result;
    result = reader_statement(reader, READER_CHANNEL, &statement);
    if (!result) {
        sqlite3_bind_int64(statement, 1, erasure->number);
        result = db_row(statement);
        if (result == 1)
            result = db_id(statement, CHANNEL_ROW_first) <= erasure->upto;
    }
    reader_give(upkeep->chain->readers, reader, result < 0);
    return result;
}

/* Whether the segment has events that are to be erased. */
static int has_erased(struct chain_upkeep *upkeep, struct segment *segment)
{
    int result = 0;
    uint64_t id;
    if (!segment_enter(segment))
        return 0;
    for (size_t i = 0; !result && i < upkeep->erasures_count; i++) {
        const struct erasure *erasure = &upkeep->erasures[i];
        if (segment->sealed)
            result = has_in_file(upkeep, segment, erasure);
        else
            result =
                (int)index_ids(segment->index, erasure->number, 0, erasure->upto, false, &id, 1);
    }
    segment_leave(segment);
    return result;
}

/* Whether the error concerns the file itself, rather than a lack of disk or memory. */
static bool is_damage(int result)
{
    return result == -EIO || result == -EUCLEAN;
}

/* Flags the segments that this pass must rewrite, including those whose content cannot be read. */
static int begin_pass(struct chain_upkeep *upkeep)
{
    int result = 0;
    struct segment *segment = chain_at(upkeep->chain, 0);
    while (segment && result >= 0) {
        result = has_erased(upkeep, segment);
        if (is_damage(result))
            result = 1;
        if (result > 0) {
            segment->erase = true;
            segment->retry_after_ns = 0;
        }
        segment = chain_after(upkeep->chain, segment);
    }
    segment_unref(segment);
    if (result < 0)
        return result;
    drop_erasures(upkeep);
    upkeep->erasing = true;
    upkeep->erase_after_ns = now_ns(upkeep) + ERASE_PAUSE_NS;
    return 0;
}

static int begin_pass_if_due(struct chain_upkeep *upkeep)
{
    bool due =
        upkeep->erasures_count && !upkeep->erasing && now_ns(upkeep) >= upkeep->erase_after_ns;
    return due ? begin_pass(upkeep) : 0;
}

static bool is_given_up(const struct segment *segment)
{
    return segment->failures >= FAILURES_MAX;
}

/* Counts the files that are still to be rewritten in this pass, and those that were given up. */
static void count_left(struct chain_upkeep *upkeep, uint64_t *ret_left, uint64_t *ret_given_up)
{
    *ret_left = *ret_given_up = 0;
    struct segment *segment = chain_at(upkeep->chain, 0);
    while (segment) {
        *ret_left += segment->erase && !is_given_up(segment);
        *ret_given_up += is_given_up(segment);
        segment = chain_after(upkeep->chain, segment);
    }
    atomic_store(&upkeep->chain->given_up, *ret_given_up);
}

/* Ends a pass. Events deleted during the pass are left for the next one. state.db keeps all
 * erasures until a pass has rewritten every file, including those that were given up. */
static int end_pass(struct chain_upkeep *upkeep)
{
    uint64_t left, given_up;
    count_left(upkeep, &left, &given_up);
    if (left || !(upkeep->erasing || upkeep->noted))
        return 0;
    bool all = !upkeep->erasures_count && !given_up;
    int result = all ? state_erased(upkeep->chain->state) : 0;
    upkeep->noted = !all;
    upkeep->erasing = result != 0;
    return result;
}

/* ---- rolling and sealing -------------------------------------------------------------------- */

static bool is_active(struct chain *chain, const struct segment *segment)
{
    pthread_mutex_lock(&chain->append_lock);
    bool active = chain->active == segment;
    pthread_mutex_unlock(&chain->append_lock);
    return active;
}

static bool active_is_to_be_erased(struct chain *chain)
{
    pthread_mutex_lock(&chain->append_lock);
    bool erase = chain->active && chain->active->erase;
    pthread_mutex_unlock(&chain->append_lock);
    return erase;
}

/* Whether no event of an unsealed file is retained. */
static bool is_dead(struct chain *chain, struct segment *segment)
{
    uint32_t highest = index_numbers(segment->index);
    for (uint64_t n = 0; n <= highest; n++) {
        uint64_t trimmed = trimmed_ids_get(&chain->trimmed_ids, (uint32_t)n), id;
        if (index_ids(segment->index, (uint32_t)n, trimmed, EVENT_ID_MAX, false, &id, 1))
            return false;
    }
    return true;
}

/* If the disk has no room for a next file, keep this one, unless all its events are trimmed: then
 * rolling it makes room. */
static int roll_if_due(struct chain_upkeep *upkeep)
{
    struct chain *chain = upkeep->chain;
    if (!chain_is_due(chain) && !active_is_to_be_erased(chain))
        return 0;
    int result = segment_make_spare(chain->folder);
    if (result == -ENOSPC && active_is_to_be_erased(chain) && reserve_give(&chain->reserve))
        result = segment_make_spare(chain->folder);
    chain_step(chain, "spare");
    if (!result || is_dead(chain, chain->active))
        chain_roll(chain);
    return result;
}

/* ---- unlinking and rewriting ---------------------------------------------------------------- */

/* Notes the newest id in state.db before the file that has it goes, or is rewritten without it. */
static int keep_newest(struct chain *chain, struct segment *segment)
{
    if (atomic_load(&segment->newest) < atomic_load(&chain->newest))
        return 0;
    return state_set_newest(chain->state, atomic_load(&segment->newest),
                            atomic_load(&segment->newest_time_us));
}

/* Notes the removal in state.db first, or an opening would report the file as missing. On a full
 * disk the note may use the reserve, since the removal makes room. */
static int note_removal(struct chain *chain, const struct segment *segment)
{
    int result = holes_note_removal(chain, segment);
    if (result == -ENOSPC && reserve_give(&chain->reserve))
        result = holes_note_removal(chain, segment);
    return result;
}

static int unlink_segment(struct chain_upkeep *upkeep, struct segment *segment)
{
    struct chain *chain = upkeep->chain;
    int result = keep_newest(chain, segment);
    result = result ? result : note_removal(chain, segment);
    result = result ? result : summing_leave(chain, segment);
    if (result)
        return result;
    chain_step(chain, "dead");
    chain_remove(chain, segment);
    pthread_rwlock_wrlock(&segment->gate);
    segment->gone = true;
    readers_drop(chain->readers, segment);
    result = segment_unlink(segment);
    pthread_rwlock_unlock(&segment->gate);
    forgotten_changed(&upkeep->forgotten);
    upkeep->forgotten.stuck = upkeep->forgotten.stuck || result;
    segment->erase = false;
    chain_step(chain, "unlinked");
    say(SAY_INFO, "file_unlinked", "path=%s bytes=%llu", segment->path,
        (unsigned long long)atomic_load(&segment->bytes));
    return result ? result : db_sync_folder(chain->folder);
}

/* Notes that a file could not be sealed, counted or rewritten. Returns the error, or 0 once the
 * file was given up after several tries: a damaged file must not hold up the others for ever. */
static int note_failure(struct chain_upkeep *upkeep, struct segment *segment, int error)
{
    segment->retry_after_ns = now_ns(upkeep) + RETRY_NS;
    if (!is_damage(error))
        return error;
    bool was_given_up = is_given_up(segment);
    segment->failures += !was_given_up;
    if (!is_given_up(segment))
        return error;
    segment->retry_after_ns = now_ns(upkeep) + GIVEN_UP_NS;
    segment->trimmed = true;
    if (!was_given_up)
        say(SAY_ERROR, "file_given_up",
            "path=%s error=%d deleted_events_left=%s detail=\"it is served as it is, and stays "
            "though all in it may be trimmed: stop the server and run freshet repair\"",
            segment->path, -error, segment->erase ? "true" : "false");
    return 0;
}

static int rewrite(struct chain_upkeep *upkeep, struct segment *segment)
{
    struct chain *chain = upkeep->chain;
    segment->trimmed = true;
    if (now_ns(upkeep) < segment->retry_after_ns)
        return 0;
    int result = keep_newest(chain, segment);
    result = result ? result : summing_settle(chain);
    if (result)
        return result;
    result = seal_rewrite(chain, segment);
    if (result == -ENOSPC && reserve_give(&chain->reserve))
        result = seal_rewrite(chain, segment);
    if (result == 1)
        return unlink_segment(upkeep, segment);
    if (result)
        return note_failure(upkeep, segment, result);
    segment->erase = segment->trimmed = false;
    segment->failures = 0;
    summing_replaced(chain, segment);
    forgotten_changed(&upkeep->forgotten);
    return 0;
}

static int seal(struct chain_upkeep *upkeep, struct segment *segment)
{
    if (now_ns(upkeep) < segment->retry_after_ns)
        return 0;
    int result = seal_segment(upkeep->chain, segment);
    if (result == -ENOSPC && segment->erase && reserve_give(&upkeep->chain->reserve))
        result = seal_segment(upkeep->chain, segment); /* deleted events leave the disk only then */
    if (result)
        return result == -EBUSY ? 0 : note_failure(upkeep, segment, result);
    segment->failures = 0;
    forgotten_changed(&upkeep->forgotten);
    return 0;
}

struct census {
    uint64_t live;
    uint64_t dead;
};

/* How many events of a channel in a file are trimmed. If the trim lies within the file's range,
 * estimated in proportion. */
static uint64_t dead_of(uint64_t first, uint64_t last, uint64_t count, uint64_t trimmed)
{
    if (trimmed < first)
        return 0;
    if (trimmed >= last)
        return count;
    uint64_t dead = (uint64_t)((double)count * (double)(trimmed - first) / (double)(last - first));
    return dead < count ? dead : count - 1;
}

static int count_rows(struct chain *chain, struct reader *reader, struct census *census)
{
    sqlite3_stmt *statement;
    int result = reader_statement(reader, READER_CHANNELS, &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        uint64_t trimmed =
            trimmed_ids_get(&chain->trimmed_ids, (uint32_t)db_id(statement, CHANNEL_ROW_number));
        uint64_t count = db_id(statement, CHANNEL_ROW_count);
        uint64_t dead = dead_of(db_id(statement, CHANNEL_ROW_first),
                                db_id(statement, CHANNEL_ROW_last), count, trimmed);
        census->dead += dead;
        census->live += count - dead;
    }
    return result;
}

static int take_census(struct chain_upkeep *upkeep, struct segment *segment, struct census *census)
{
    struct chain *chain = upkeep->chain;
    struct reader *reader;
    int64_t start = now_ns(upkeep);
    *census = (struct census){0};
    if (!segment_enter(segment))
        return 0;
    int result = reader_take(chain->readers, segment, &reader);
    if (!result) {
        result = count_rows(chain, reader, census);
        reader_give(chain->readers, reader, result < 0);
    }
    segment_leave(segment);
    int64_t end = now_ns(upkeep);
    segment->count_after_ns = end + (end - start) * COUNT_PAUSE;
    segment->trimmed = result != 0;
    return result;
}

/* The oldest file is not rewritten: retention by age will soon remove all of it, and otherwise the
 * waste is a single file. */
static bool is_oldest(struct chain *chain, const struct segment *segment)
{
    struct segment *oldest = chain_at(chain, 0);
    segment_unref(oldest);
    return oldest == segment;
}

static int upkeep_sealed(struct chain_upkeep *upkeep, struct segment *segment, bool may_rewrite)
{
    struct chain *chain = upkeep->chain;
    struct census census;
    if (segment->erase)
        return may_rewrite ? rewrite(upkeep, segment) : 0;
    if (!segment->trimmed || now_ns(upkeep) < segment->count_after_ns ||
        now_ns(upkeep) < segment->retry_after_ns)
        return 0;
    int result = take_census(upkeep, segment, &census);
    if (result)
        return note_failure(upkeep, segment, result);
    if (!census.live)
        return unlink_segment(upkeep, segment);
    if (census.dead <= census.live || is_oldest(chain, segment))
        return 0;
    segment->trimmed = true;
    return may_rewrite ? rewrite(upkeep, segment) : 0;
}

/* ---- a turn --------------------------------------------------------------------------------- */

static int upkeep_segment(struct chain_upkeep *upkeep, struct segment *segment, bool may_rewrite)
{
    struct chain *chain = upkeep->chain;
    if (is_active(chain, segment))
        return 0;
    if (!segment->sealed && is_dead(chain, segment))
        return unlink_segment(upkeep, segment);
    int result = segment->sealed ? 0 : seal(upkeep, segment);
    return result || !segment->sealed ? result : upkeep_sealed(upkeep, segment, may_rewrite);
}

static int upkeep_segments(struct chain_upkeep *upkeep)
{
    int first_error = 0;
    int64_t until = now_ns(upkeep) + REWRITE_NS;
    struct segment *segment = chain_at(upkeep->chain, 0);
    while (segment) {
        int result = upkeep_segment(upkeep, segment, now_ns(upkeep) <= until);
        first_error = first_error ? first_error : result;
        segment = chain_after(upkeep->chain, segment);
    }
    return first_error;
}

int chain_upkeep_turn(struct chain_upkeep *upkeep)
{
    struct chain *chain = upkeep->chain;
    int noted = holes_note_tail(chain);
    int kept = keep_trims(upkeep);
    int begun = kept ? kept : begin_pass_if_due(upkeep);
    int rolled = roll_if_due(upkeep);
    /* Keep the trims once more: a file that was rolled just now may have got some since, and is
     * sealed below. */
    kept = kept ? kept : keep_trims(upkeep);
    int kept_up = kept ? kept : upkeep_segments(upkeep);
    int ended = kept_up ? kept_up : end_pass(upkeep);
    int swept = forgotten_sweep(&upkeep->forgotten, chain);
    int settled = summing_settle(chain);
    summing_add(chain);
    recount_some(chain);
    int found = find_oldest(chain, UINT64_MAX);
    chain_measure(chain);
    int stated = state_checkpoint(chain->state);
    reserve_make(&chain->reserve);
    /* A step that fails does not stop the others: a later step may be the one that makes room. */
    const int results[] = {noted, begun, rolled, kept_up, ended, swept, settled, found, stated};
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++)
        if (results[i])
            return results[i];
    return 0;
}
