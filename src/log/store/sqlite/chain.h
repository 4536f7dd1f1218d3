/* The chain of files that the log is kept in: which there are, and the end that is appended to.
 *
 *     1795459080123456.db   1795462680000001.db   1795466280000042.db
 *          sealed                rolled                active
 *
 * Reads walk it from file to file, each held by a reference, so that a file may be replaced or
 * unlinked at any time: whoever reads it finishes with what he has. The writer's thread appends,
 * upkeep's does everything else that changes a file; they meet in `append_lock`. */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/damage.h"
#include "log/store/sqlite/trimmed_ids.h"
#include "log/store/sqlite/holes.h"
#include "log/store/sqlite/reader.h"
#include "log/store/sqlite/reserve.h"
#include "log/store/sqlite/state.h"
#include "log/store/sqlite/sums.h"
#include "log/store/sqlite/writer.h"

/* For tests: called at each step after which a crash would leave something new on the disk. */
struct chain_hook {
    void (*step)(void *context, const char *name);
    void *context;
};

/* The sums of channels over all sealed files, see summing.h. Touched by the thread of upkeep, and
 * before it by the thread that opens. */
struct chain_sums {
    struct sums *db; /* NULL when they are not kept at the moment */
    char *path;
    bool stuck;      /* the sums could not be dropped, and may be wrong */
    uint32_t *noted; /* channels whose rows are out of date */
    size_t noted_count;
    size_t noted_cap;
    uint64_t channels; /* about how many rows there are */
    uint32_t highest;  /* number */
    uint32_t lowered;  /* rows whose trimmed id was above that of their channel */
    int64_t retry_after_ns;
    int64_t check_after_ns;
    uint64_t check_low; /* the number to check next */
};

struct chain {
    struct store_config config;
    struct chain_hook hook;
    char *folder;
    struct state *state; /* upkeep's, once open */
    struct readers *readers;
    struct trimmed_ids trimmed_ids;
    struct reserve reserve;
    struct chain_sums sums;
    struct damage damage;
    struct holes holes;
    uint64_t log;              /* see links.h; does not change once the chain is open */
    struct state_chain noted;  /* state.db's note of the newest file; touched by upkeep */
    _Atomic uint64_t given_up; /* files that upkeep gave up rewriting, as of its last turn */

    pthread_mutex_t list_lock;
    struct segment **list; /* ascending */
    size_t count;
    size_t cap;

    pthread_mutex_t append_lock;
    struct segment *active;  /* NULL: the next append begins a file */
    int64_t active_since_us; /* when the file was begun, by the monotonic clock: a jump of the wall
                                clock must not age it */
    struct writer *writer;   /* of `active` */
    struct link before;      /* the file before the next one that is begun */
    /* deletions appended and not in state.db yet; the chain owns their names */
    struct store_trim *trims;
    size_t trims_count;
    size_t trims_cap;

    _Atomic uint64_t newest;
    _Atomic int64_t newest_time_us;

    /* Figures for threads that may not wait for a lock or the disk. */
    _Atomic uint64_t oldest_id; /* the oldest event retained, 0 for none: as of the last upkeep */
    _Atomic uint64_t bytes; /* on the disk: as of the last upkeep, and what was appended since */
    _Atomic uint64_t index_bytes; /* of memory, for files that are not sealed: as of the last upkeep
                                   */

    _Atomic uint64_t oldest; /* all events with ids below it are trimmed; never falls */
    uint32_t oldest_number;  /* the channel of that event, 0 if the event may be trimmed; touched by
                                upkeep */
};

/* An empty chain on the folder, which is there. */
void chain_init(struct chain *chain, const struct store_config *config, const char *folder,
                const struct chain_hook *hook);
/* Closes the files cleanly; the chain may be half open. */
void chain_deinit(struct chain *chain);

static inline void chain_step(struct chain *chain, const char *name)
{
    if (chain->hook.step)
        chain->hook.step(chain->hook.context, name);
}

/* Finds the files. */
int chain_list(struct chain *chain);

/* Loads the sealed files that were skipped because the sums stood for them. Called when the sums
 * have turned out to be unusable. */
int chain_load_sealed(struct chain *chain);

/* Reports to config->progress how many of the files have been read. */
void chain_tell_progress(const struct chain *chain, size_t done);

/* The segment whose range of ids includes the id, else the first of the chain; NULL if the chain is
 * empty. The caller gets a reference, also from the functions below. Any thread. */
struct segment *chain_at(struct chain *chain, uint64_t id);

/* The segment after, or before, the given one, whose reference they take over. NULL at the end. Any
 * thread. */
struct segment *chain_after(struct chain *chain, struct segment *segment);
struct segment *chain_before(struct chain *chain, struct segment *segment);

/* Measures the files and their indexes again. Upkeep. */
void chain_measure(struct chain *chain);

/* Removes the segment from the chain. Upkeep. */
void chain_remove(struct chain *chain, struct segment *segment);

/* Makes the batches durable, see store_ops.append. Writer. */
int chain_append(struct chain *chain, struct batch *const *batches, size_t count);

/* Ends the active file, so that the next append begins a new one. Must not be called while an
 * append to it may or may not be on the disk: that append would then come back below newer events.
 * Upkeep. */
void chain_roll(struct chain *chain);

/* Whether the active file has reached its size or age. Upkeep. */
bool chain_is_due(struct chain *chain);

/* Hands over the deletions appended since the last call: the caller frees each name and the array.
 */
struct store_trim *chain_take_trims(struct chain *chain, size_t *ret_count);
/* Adds deletions before those that came since: either taken ones that could not be stored, or those
 * of a file that is being opened. */
int chain_add_trims(struct chain *chain, const struct store_trim *trims, size_t count);
