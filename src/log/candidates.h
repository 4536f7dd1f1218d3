/* The channels that a selection may have, found in slices: those under the literal beginnings of
 * its patterns, and those that it names.
 *
 * The log's lock is held for a slice at a time, which copies names and numbers. The caller matches
 * the copies against the selection without the lock, because to match a hundred patterns against
 * thousands of names takes too long to hold it.
 *
 *     candidates_by_terms(&candidates, channels, selection);
 *     do {
 *         log_lock(log);
 *         more = candidates_next(&candidates);
 *         log_unlock(log);
 *         … each of candidates.at[0 … count) …
 *     } while (more); */
#pragma once

#include "log/channels.h"

/* The most channels that a slice copies, and looks at: about 0.1 ms. */
enum { CANDIDATES_SLICE = 128, CANDIDATES_LOOK = 512 };

struct candidate {
    uint32_t number;
    uint8_t name_len;
    char name[NAME_MAX_BYTES];
    uint64_t trimmed;
};

struct candidates {
    const struct channels *channels;
    const struct selection *selection;
    uint64_t trimmed_above; /* only channels that were trimmed above this; NO_TRIM for all */
    size_t looked;          /* channels that were looked at so far */
    /* The position of the search. */
    bool by_number;
    uint32_t name;    /* index of a name of the selection */
    uint32_t pattern; /* index of a pattern of the selection */
    uint64_t number;
    char after[NAME_MAX_BYTES]; /* the last name that was seen under that pattern's beginning */
    uint8_t after_len;
    /* The candidates of this slice. */
    size_t count;
    struct candidate at[CANDIDATES_SLICE];
    struct channels_walk walk;
};

#define NO_TRIM UINT64_MAX

/* Begins a search by the selection's terms. */
void candidates_by_terms(struct candidates *candidates, const struct channels *channels,
                         const struct selection *selection);

/* Fills in the next candidates, perhaps none; returns false if there are no more behind them. Each
 * channel comes once at most, except if it comes or goes meanwhile. Under the log's lock. */
bool candidates_next(struct candidates *candidates);

static inline struct str candidate_name(const struct candidate *candidate)
{
    return (struct str){candidate->name, candidate->name_len};
}

/* The part of a pattern before its first wildcard, with the '/': all names that it matches begin
 * with this. */
struct str pattern_beginning(struct str pattern);

/* ---- searches -------------------------------------------------------------------------------- */

/* Finds the numbers of a selection's channels: brings selection->resolved up to date.
 *
 *     channels_resolve_begin(&resolve, channels, selection)      under the log's lock
 *     while (channels_resolve_look(&resolve))                    under the log's lock
 *         channels_resolve_judge(&resolve)                       without it
 *
 * The caller holds the lock of selection_resolved() throughout. It may stop early, when
 * `resolve.steps` exceed its time: channels_resolve_stop() notes the position in the selection, and
 * the next search of any caller continues there. */
struct channels_resolve {
    const struct channels *channels;
    struct selection *selection;
    enum { RESOLVE_TERMS, RESOLVE_NUMBERS, RESOLVE_REUSED, RESOLVE_DONE } stage;
    uint64_t begun_above; /* numbers above this one are newer than the search by terms */
    bool more;
    uint64_t steps; /* steps of selection_has_channel_counted() so far, and channels looked at */
    struct candidates candidates;
};

/* Begins, or goes on where the last search of this selection has stopped. The selection is borrowed
 * until channels_resolve_stop(). */
void channels_resolve_begin(struct channels_resolve *resolve, const struct channels *channels,
                            struct selection *selection);
/* Looks at a slice. Returns false once the search is over. Under the log's lock. */
bool channels_resolve_look(struct channels_resolve *resolve);
/* Returns false if there is no memory: the result is then incomplete. */
bool channels_resolve_judge(struct channels_resolve *resolve);
/* Returns false if there is no memory: the next search then starts over. */
bool channels_resolve_stop(struct channels_resolve *resolve);

/* Finds the highest `trimmed` among the channels that the selection has, with the same kind of
 * calls. The answer is exact for names. For patterns it is exact if the table is small or few
 * channels are under the patterns' literal beginnings, and if matching takes at most TRIMMED_STEPS.
 * Otherwise it is that of the namespaces, which may report a gap that is none. Worker threads ask
 * for it, so it may take a few milliseconds at most. */
enum { TRIMMED_STEPS = 65536 };

struct channels_trimmed {
    const struct selection *selection;
    uint64_t highest; /* the final answer */
    uint64_t most;    /* an upper bound of the answer */
    size_t look_max;
    uint64_t steps; /* steps of selection_has_channel_counted() so far */
    bool more;
    struct channels_namespaces namespaces;
    struct candidates candidates;
};

/* Call it first, without the lock. */
void channels_trimmed_prepare(struct channels_trimmed *trimmed, const struct channels *channels,
                              const struct selection *selection);
void channels_trimmed_begin(struct channels_trimmed *trimmed, const struct channels *channels,
                            const struct selection *selection);
bool channels_trimmed_look(struct channels_trimmed *trimmed);
void channels_trimmed_judge(struct channels_trimmed *trimmed);
