/* The channels that a selection may have, found in slices: those under the literal beginnings of
 * its patterns, and those that it names.
 *
 * The log's lock is held for one slice at a time, which copies names and numbers. Whether a
 * selection has a channel is the caller's question, for when the lock is free again: a hundred
 * patterns held against thousands of names take longer than anybody may wait.
 *
 *     candidates_by_terms(&candidates, channels, selection);
 *     do {
 *         log_lock(log);
 *         more = candidates_next(&candidates);
 *         log_unlock(log);
 *         … each of candidates.at[0 … count) …
 *     } while (more);
 */
#pragma once

#include "log/channels.h"

/* What one slice copies at most, and looks at at most: about 0.1 ms. */
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
    size_t looked;          /* channels looked at so far */
    /* Where the search goes on. */
    bool by_number;
    uint32_t name;    /* of the selection's names */
    uint32_t pattern; /* of its patterns */
    uint64_t number;
    char after[NAME_MAX_BYTES]; /* the last name that was seen under the pattern's beginning */
    uint8_t after_len;
    /* The answer. */
    size_t count;
    struct candidate at[CANDIDATES_SLICE];
    struct channels_walk walk;
};

#define NO_TRIM UINT64_MAX

/* Begins with the terms of the selection. */
void candidates_by_terms(struct candidates *candidates, const struct channels *channels,
                         const struct selection *selection);

/* Begins with all channels of this number and above, by number. */
void candidates_by_number(struct candidates *candidates, const struct channels *channels,
                          uint64_t number);

/* One slice of the channels whose numbers were given again since `*serial`, which counts as
 * channels.reused does; raises it. False when there are no more. Under the log's lock. */
bool candidates_reused(struct candidates *candidates, const struct channels *channels,
                       uint64_t *serial);

/* Fills in the next candidates, which may be none; false when there are no more behind them. Each
 * channel comes once at most, except one that comes or goes meanwhile. Under the log's lock. */
bool candidates_next(struct candidates *candidates);

static inline struct str candidate_name(const struct candidate *candidate)
{
    return (struct str){candidate->name, candidate->name_len};
}

/* What a pattern spells before its first wildcard, the '/' included: names that it matches begin
 * with that. */
struct str pattern_beginning(struct str pattern);

/* ---- what is asked of candidates --------------------------------------------------------------
 */

/* Which of its numbers a selection has: brings selection->resolved up to the table.
 *
 *     channels_resolve_begin(&resolve, channels, selection)      under the log's lock
 *     while (channels_resolve_look(&resolve))                    under the log's lock
 *         channels_resolve_judge(&resolve)                       without it
 *
 * The caller holds the lock of selection_resolved() all the time. It may stop before the end, when
 * `resolve.steps` are more than it has time for: channels_resolve_stop() notes in the selection how
 * far it came, and the next that begins goes on there, whoever that is. */
struct channels_resolve {
    const struct channels *channels;
    struct selection *selection;
    enum { RESOLVE_TERMS, RESOLVE_NUMBERS, RESOLVE_REUSED, RESOLVE_DONE } stage;
    uint64_t begun_above; /* numbers above this were given after the terms were begun with */
    bool more;
    uint64_t steps; /* of selection_has_channel_counted() so far, and the channels looked at */
    struct candidates candidates;
};

void channels_resolve_begin(struct channels_resolve *resolve, const struct channels *channels,
                            struct selection *selection);
bool channels_resolve_look(struct channels_resolve *resolve);
/* False when there is no memory: what is resolved is not complete then. */
bool channels_resolve_judge(struct channels_resolve *resolve);
/* False when there is no memory: then what was done since it began is done again. */
bool channels_resolve_stop(struct channels_resolve *resolve);

/* The highest `trimmed` among the channels that the selection has, asked for in the same manner.
 * Exact for names. Exact for patterns if the table is small, or if there are few channels under
 * what they spell before their first wildcard, and if the patterns take no more than TRIMMED_STEPS
 * to be held against them; otherwise it is that of the namespaces, which may err towards a gap. It
 * is asked for on workers' threads, so that it may take a few milliseconds at most. */
enum { TRIMMED_STEPS = 65536 };

struct channels_trimmed {
    const struct selection *selection;
    uint64_t highest; /* the answer in the end */
    uint64_t most;    /* it cannot be above this */
    size_t look_max;
    uint64_t steps; /* of selection_has_channel_counted() so far */
    bool more;
    struct channels_spaces spaces;
    struct candidates candidates;
};

/* Without the lock, before the others. */
void channels_trimmed_prepare(struct channels_trimmed *trimmed, const struct channels *channels,
                              const struct selection *selection);
void channels_trimmed_begin(struct channels_trimmed *trimmed, const struct channels *channels,
                            const struct selection *selection);
bool channels_trimmed_look(struct channels_trimmed *trimmed);
void channels_trimmed_judge(struct channels_trimmed *trimmed);
