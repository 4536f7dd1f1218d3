/* Each file says in its links which file was before it when it was begun: the id that names it, the
 * id of its newest event, how many events it had, and, once both are sealed, the digest of its
 * rows. All files of a log have the same random number. An opening goes through the files and asks
 * of each:
 *
 *     is its log's number that of state.db?    if not, the file is foreign
 *     is the file there that it names?         if not, there is a hole from the file below it up to
 *                                              the newest event that the missing file had
 *     does that file fit to what it says?      with another digest it is foreign, as if it were
 *                                              missing; with fewer events it is an older copy or
 * has lost its end: it is used, and there is a hole above
 *
 * The newest file is named by no other. So state.db keeps its name (`tail`), which upkeep writes
 * when a file is begun, and an event that it has had (`newest`). A copy of the file without its
 * write-ahead log looks whole, and ends where SQLite has last moved that log into the file. So
 * upkeep notes another event once there is one behind that place, at most once for each such move.
 * If the file is missing, or ends before that event, nobody knows how far it went: the hole ends at
 * the present time, since ids are given by the clock, and new ids are above it.
 *
 * Upkeep unlinks files of which nothing is retained, wherever they are in the chain. Before it
 * does, it keeps the file's own link in state.db (`removal`), so that a start goes on from there
 * with the file before that. What is below the oldest file is expected by nobody, and such removals
 * are dropped with a later one.
 *
 * A hole is kept in state.db, since the file whose link has shown it will be gone some day, while
 * consumers come back with cursors from before it. It is dropped when a file begins or ends within
 * its range: somebody has put the file back. A copy that `freshet repair` has made does not count.
 *
 * Foreign files are neither read, changed nor unlinked. Files without links, of older versions, are
 * taken as they are. Links of sealed files come from sums.db like all else that a start needs to
 * know of them, so that no file is opened for this. */
#include "log/store/sqlite/holes.h"

#include "base/bisect.h"
#include "base/mem.h"
#include "base/say.h"
#include "log/store/sqlite/chain.h"
#include "log/store/sqlite/summing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct removal {
    uint64_t first;
    struct link before;
};

/* A check under way; one thread. */
struct check {
    struct chain *chain;
    struct state_chain kept;
    uint64_t lost;            /* noted by a repair */
    struct removal *removals; /* by rising `first` */
    size_t removals_count;
    size_t removals_cap;
    bool dropped_summed; /* a file that the sums count was taken out */
    struct hole filled[HOLES_MAX];
    size_t filled_count;
};

/* ---- kept in state.db ----------------------------------------------------------------------- */

static int add_removal(void *context, uint64_t first, const struct link *before)
{
    struct check *check = context;
    if (check->removals_count == check->removals_cap) {
        size_t cap = check->removals_cap ? check->removals_cap * 2 : 64;
        struct removal *room = mem_try_realloc(check->removals, cap * sizeof(*room));
        if (!room)
            return -ENOMEM;
        check->removals = room;
        check->removals_cap = cap;
    }
    check->removals[check->removals_count++] = (struct removal){first, *before};
    return 0;
}

static const struct removal *find_removal(const struct check *check, uint64_t first)
{
    size_t low = 0, high = check->removals_count;
    BISECT(low, high, middle, check->removals[middle].first < first);
    bool found = low < check->removals_count && check->removals[low].first == first;
    return found ? &check->removals[low] : NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Compares the file with what the file after it expects. A rewrite may have left out trimmed rows,
 * so a sealed file is compared by what it says of itself. */
static struct link found_in(const struct segment *segment)
{
    struct link found = segment_link(segment);
    if (segment->sealed && !segment->links.own.last)
        return (struct link){.first = segment->first};
    if (!found.last)
        found.last = 1; /* all events of the file were lost */
    return found;
}

static size_t find_at(const struct chain *chain, uint64_t first)
{
    size_t low = 0, high = chain->count;
    BISECT(low, high, middle, chain->list[middle]->first < first);
    return low;
}

static struct segment *find_file(const struct chain *chain, uint64_t first)
{
    size_t at = find_at(chain, first);
    struct segment *found = at < chain->count ? chain->list[at] : NULL;
    return found && found->first == first ? found : NULL;
}

/* The newest event below this id, where the file of that id names a missing file as the one before
 * it. */
static uint64_t newest_below(const struct chain *chain, uint64_t first)
{
    uint64_t newest = 0;
    for (size_t at = find_at(chain, first); at-- > 0 && !newest;)
        newest = atomic_load(&chain->list[at]->newest);
    return newest;
}

static void take_out(struct check *check, struct segment *segment, const char *reason)
{
    struct chain *chain = check->chain;
    say(SAY_ERROR, "file_foreign", "path=%s reason=%s served=false", segment->path, reason);
    check->dropped_summed = check->dropped_summed || segment->summed;
    chain->holes.foreign++;
    chain_remove(chain, segment);
}

/* The random number of the log: from state.db, else from the newest file, else a new one. */
static void find_log(struct check *check)
{
    struct chain *chain = check->chain;
    chain->log = check->kept.log;
    for (size_t i = chain->count; i-- > 0 && !chain->log;)
        chain->log = chain->list[i]->links.log;
    if (!chain->log)
        chain->log = links_make_log();
}

/* A file whose newest event is below the id in its name was made under another name. */
static bool is_misnamed(const struct segment *segment)
{
    return segment->links.own.last && segment->links.own.last < segment->first;
}

static void take_out_other_logs(struct check *check)
{
    struct chain *chain = check->chain;
    for (size_t i = chain->count; i-- > 0;) {
        struct segment *segment = chain->list[i];
        if (segment->links.log && segment->links.log != chain->log)
            take_out(check, segment, "another_log");
        else if (is_misnamed(segment))
            take_out(check, segment, "another_name");
    }
}

/* Removes foreign files below the current one, then looks at the current one again. */
static void take_out_other_contents(struct check *check)
{
    struct chain *chain = check->chain;
    for (size_t i = chain->count; i-- > 0;) {
        const struct link expected = chain->list[i]->links.before;
        struct segment *before = expected.first ? find_file(chain, expected.first) : NULL;
        if (!before)
            continue;
        struct link found = found_in(before);
        if (link_fit(&expected, &found) == LINK_IS_OTHER)
            take_out(check, before, "another_content");
    }
}

/* ---- holes ----------------------------------------------------------------------------------- */

static void merge_oldest(struct holes *holes)
{
    if (holes->at[1].after < holes->at[0].after)
        holes->at[0].after = holes->at[1].after;
    holes->at[0].upto = holes->at[1].upto;
    holes->count--;
    memmove(&holes->at[1], &holes->at[2], (holes->count - 1) * sizeof(*holes->at));
}

/* Adds a hole, or extends one with the same end. False if nothing changed. */
static bool enter(struct holes *holes, struct hole hole)
{
    size_t at = 0;
    while (at < holes->count && holes->at[at].upto < hole.upto)
        at++;
    if (at < holes->count && holes->at[at].upto == hole.upto) {
        bool is_greater = hole.after < holes->at[at].after;
        if (is_greater)
            holes->at[at].after = hole.after;
        return is_greater;
    }
    memmove(&holes->at[at + 1], &holes->at[at], (holes->count - at) * sizeof(*holes->at));
    holes->at[at] = hole;
    if (++holes->count > HOLES_MAX)
        merge_oldest(holes);
    return true;
}

/* `keeps`: note the hole in state.db, because the file that shows it will be gone some day. */
static int note(struct check *check, const char *path, const char *what, struct hole hole,
                bool keeps)
{
    struct chain *chain = check->chain;
    say(SAY_ERROR, what, "path=%s lost_after=%" PRIu64 " lost_upto=%" PRIu64, path, hole.after,
        hole.upto);
    bool is_new = enter(&chain->holes, hole);
    return is_new && keeps ? state_put_hole(chain->state, hole.after, hole.upto) : 0;
}

static int note_missing(struct check *check, uint64_t first, uint64_t upto)
{
    char path[4096];
    struct hole hole = {newest_below(check->chain, first), upto};
    snprintf(path, sizeof(path), "%s/%016" PRIu64 ".db", check->chain->folder, first);
    return note(check, path, "file_missing", hole, true);
}

/* Notes a file that lost events: its newest ones, or some among the others. A hole of the second
 * kind is not kept in state.db: with the file in place it would count as filled. */
static int note_short(struct check *check, const struct segment *segment, uint64_t upto)
{
    uint64_t newest = segment_link(segment).last;
    bool lacks_end = !newest || newest < upto;
    struct hole hole = {newest && lacks_end ? newest : segment->first - 1, upto};
    return note(check, segment->path, "file_incomplete", hole, lacks_end);
}

/* The file that is expected before another, skipping those that upkeep has removed; false if none
 * is expected. */
static bool find_expected(const struct check *check, struct link *expected)
{
    const struct removal *removal;
    while (expected->first && !find_file(check->chain, expected->first) &&
           (removal = find_removal(check, expected->first))) {
        if (removal->before.first >= expected->first)
            return false;
        *expected = removal->before;
    }
    return expected->first;
}

static int check_before(struct check *check, const struct segment *segment)
{
    struct link expected = segment->links.before;
    if (!find_expected(check, &expected))
        return 0;
    struct segment *before = find_file(check->chain, expected.first);
    if (!before)
        return note_missing(check, expected.first,
                            expected.last ? expected.last : segment->first - 1);
    struct link found = found_in(before);
    if (link_fit(&expected, &found) != LINK_FALLS_SHORT)
        return 0;
    return note_short(check, before, expected.last);
}

static bool is_in(struct hole hole, uint64_t id)
{
    return id > hole.after && id <= hole.upto;
}

static bool is_within(const struct holes *holes, uint64_t id)
{
    for (size_t i = 0; i < holes->count; i++)
        if (is_in(holes->at[i], id))
            return true;
    return false;
}

/* Whether the newest file lacks an event that was once in it, because its write-ahead log is lost.
 * Losses that a repair has reported do not count. */
static int check_end(struct check *check, const struct segment *last, uint64_t had, uint64_t upto)
{
    uint64_t newest = segment_link(last).last;
    if (newest >= had || had <= check->lost)
        return 0;
    struct hole hole = {newest ? newest : last->first - 1, upto};
    return note(check, last->path, "file_incomplete", hole, true);
}

/* The highest id that may have been given. Ids are microseconds of the clock, or the one before
 * plus 1 where events come faster. */
static uint64_t greatest_id(const struct check *check, uint64_t had)
{
    uint64_t now = (uint64_t)clock_wall_us(check->chain->config.clock);
    return now > had && now < EVENT_ID_MAX ? now : had;
}

/* The newest file, or if upkeep removed that, the newest below it. */
static int check_tail(struct check *check)
{
    struct chain *chain = check->chain;
    uint64_t tail = check->kept.tail, had = tail > check->kept.newest ? tail : check->kept.newest;
    const struct segment *last = chain->count ? chain->list[chain->count - 1] : NULL;
    uint64_t newest = last ? last->first : 0, greatest = greatest_id(check, had);
    struct link expected = {.first = tail, .last = greatest};
    if (newest > tail || !tail || is_within(&chain->holes, had))
        return 0;
    if (newest == tail)
        return check_end(check, last, had, greatest);
    if (!find_expected(check, &expected) || find_file(chain, expected.first))
        return 0;
    return note_missing(check, expected.first, expected.last ? expected.last : expected.first);
}

static int check_files(struct check *check)
{
    int result = 0;
    for (size_t i = check->chain->count; !result && i-- > 0;)
        result = check_before(check, check->chain->list[i]);
    return result ? result : check_tail(check);
}

/* ---- holes that were found before ------------------------------------------------------------ */

/* Whether a file begins or ends within the hole. The file before the hole may reach into it. */
static bool is_filled(const struct chain *chain, struct hole hole)
{
    size_t at = find_at(chain, hole.after + 1);
    for (size_t i = at ? at - 1 : 0; i < chain->count; i++) {
        const struct segment *segment = chain->list[i];
        if (segment->first > hole.upto)
            break;
        if (!segment->links.rescued &&
            (is_in(hole, atomic_load(&segment->oldest)) || is_in(hole, segment_link(segment).last)))
            return true;
    }
    return false;
}

/* Checks each stored hole: two holes become one only if no file lies between. */
static int add_kept(void *context, uint64_t after, uint64_t upto)
{
    struct check *check = context;
    struct hole hole = {after, upto};
    if (check->filled_count < HOLES_MAX && is_filled(check->chain, hole))
        check->filled[check->filled_count++] = hole;
    else
        enter(&check->chain->holes, hole);
    return 0;
}

/* Removes the holes that have been filled since. */
static int take_kept(struct check *check)
{
    struct chain *chain = check->chain;
    int result = state_holes(chain->state, add_kept, check);
    for (size_t i = 0; !result && i < check->filled_count; i++) {
        struct hole hole = check->filled[i];
        say(SAY_WARN, "hole_filled", "after=%" PRIu64 " upto=%" PRIu64, hole.after, hole.upto);
        result = state_drop_hole(chain->state, hole.upto);
    }
    return result;
}

/* ---- an opening ------------------------------------------------------------------------------ */

static void tell(const struct chain *chain)
{
    uint64_t upto = holes_upto(chain);
    if (upto && chain->config.lost)
        chain->config.lost(chain->config.context, upto);
}

/* The sums include events of a foreign file, which must not be served: drop the sums. */
static int drop_sums(const struct check *check)
{
    if (!check->dropped_summed)
        return 0;
    summing_drop(check->chain, "foreign_file", 0);
    return check->chain->sums.stuck ? -EIO : chain_load_sealed(check->chain);
}

static int run(struct check *check)
{
    struct chain *chain = check->chain;
    int result = state_chain(chain->state, &check->kept);
    result = result ? result : state_lost(chain->state, &check->lost);
    result = result ? result : state_removals(chain->state, add_removal, check);
    if (result)
        return result;
    chain->noted = check->kept;
    find_log(check);
    take_out_other_logs(check);
    take_out_other_contents(check);
    result = drop_sums(check);
    result = result ? result : take_kept(check);
    return result ? result : check_files(check);
}

/* The lost event is within a known hole or a repair's report, so it shows no new loss. */
static void forget_explained(const struct check *check)
{
    struct chain *chain = check->chain;
    uint64_t newest = chain->noted.newest;
    if (newest <= check->lost || is_within(&chain->holes, newest))
        chain->noted.newest = 0;
}

int holes_check(struct chain *chain)
{
    struct check check = {.chain = chain};
    int result = run(&check);
    forget_explained(&check);
    free(check.removals);
    if (!result)
        tell(chain);
    return result;
}

uint64_t holes_upto(const struct chain *chain)
{
    return chain->holes.count ? chain->holes.at[chain->holes.count - 1].upto : 0;
}

/* ---- upkeep ---------------------------------------------------------------------------------- */

/* The active file, with its newest event and the newest event in the file itself, outside the
 * write-ahead log. */
struct tail {
    uint64_t first;
    uint64_t newest;
    uint64_t moved;
};

/* A file without events was never noted as the newest: an opening may drop it. */
static struct tail tail_of(struct chain *chain)
{
    struct tail tail = {0};
    pthread_mutex_lock(&chain->append_lock);
    const struct segment *active = chain->active;
    uint64_t newest = active ? atomic_load(&active->newest) : 0;
    if (newest)
        tail = (struct tail){active->first, newest, writer_moved(chain->writer)};
    pthread_mutex_unlock(&chain->append_lock);
    return tail;
}

/* Notes an event that is in the write-ahead log alone, if state.db has none: if the event is
 * missing later, the write-ahead log was lost. A new one is noted after each checkpoint. */
static bool is_due(const struct state_chain *noted, const struct tail *tail)
{
    bool shows_loss = noted->newest > tail->moved;
    return tail->first > noted->tail ||
           (tail->first == noted->tail && !shows_loss && tail->newest > tail->moved);
}

int holes_note_tail(struct chain *chain)
{
    struct tail tail = tail_of(chain);
    struct state_chain noted = {chain->log, tail.first, tail.newest};
    if (!is_due(&chain->noted, &tail))
        return 0;
    int result = state_set_chain(chain->state, &noted);
    if (!result)
        chain->noted = noted;
    return result;
}

/* The lowest id of a file that another may expect, present or not. */
static uint64_t least_expected(struct chain *chain)
{
    struct segment *oldest = chain_at(chain, 0);
    pthread_mutex_lock(&chain->append_lock);
    uint64_t least = chain->before.first;
    pthread_mutex_unlock(&chain->append_lock);
    if (oldest)
        least = oldest->links.before.first ? oldest->links.before.first : oldest->first;
    segment_unref(oldest);
    return least;
}

int holes_note_removal(struct chain *chain, const struct segment *segment)
{
    int result = state_put_removal(chain->state, segment->first, &segment->links.before,
                                   least_expected(chain));
    chain_step(chain, "removal");
    return result;
}

struct store_losses holes_losses(struct chain *chain)
{
    const struct holes *holes = &chain->holes;
    uint64_t oldest = atomic_load_explicit(&chain->oldest_id, memory_order_relaxed);
    struct store_losses losses = {
        .foreign = holes->foreign,
        .damaged = atomic_load_explicit(&chain->damage.places, memory_order_relaxed),
        .given_up = atomic_load_explicit(&chain->given_up, memory_order_relaxed)};
    for (size_t i = 0; i < holes->count; i++) {
        if (oldest && holes->at[i].upto < oldest)
            continue;
        losses.holes++;
        losses.after = holes->at[i].after;
        losses.upto = holes->at[i].upto;
    }
    return losses;
}
