#include "log/candidates.h"

#include <stdlib.h>

/* A pattern is answered exactly if the table has at most SMALL_TABLE channels, or if at most FEW of
 * them are under the pattern's beginning. */
enum { SMALL_TABLE = 4096, FEW = 1024 };

/* The charge for a look at the table, in steps of matching. The last look of a stage is free if it
 * finds nothing, so that every slice makes progress. */
enum { LOOK_STEPS = 64 };

struct str pattern_beginning(struct str pattern)
{
    const char *star = memchr(pattern.at, '*', pattern.len);
    return (struct str){pattern.at, star ? (size_t)(star - pattern.at) : pattern.len};
}

void candidates_by_terms(struct candidates *candidates, const struct channels *channels,
                         const struct selection *selection)
{
    candidates->channels = channels;
    candidates->selection = selection;
    candidates->trimmed_above = NO_TRIM;
    candidates->looked = candidates->count = 0;
    candidates->by_number = false;
    candidates->name = candidates->pattern = 0;
    candidates->number = 0;
    candidates->after_len = 0;
}

/* Begins a search by number, from this number on. */
static void begin_by_number(struct candidates *candidates, const struct channels *channels,
                            uint64_t number)
{
    candidates->channels = channels;
    candidates->selection = NULL;
    candidates->trimmed_above = NO_TRIM;
    candidates->looked = candidates->count = 0;
    candidates->name = candidates->pattern = candidates->after_len = 0;
    candidates->by_number = true;
    candidates->number = number;
}

static bool is_full(const struct candidates *candidates)
{
    return candidates->count == CANDIDATES_SLICE;
}

static void look_at(struct candidates *candidates, const struct channel *channel)
{
    candidates->looked++;
    if (candidates->trimmed_above != NO_TRIM && channel->trimmed <= candidates->trimmed_above)
        return;
    struct candidate *candidate = &candidates->at[candidates->count++];
    candidate->number = channel_number(channel);
    candidate->name_len = channel->name_len;
    memcpy(candidate->name, channel->name, channel->name_len);
    candidate->trimmed = channel->trimmed;
}

static bool next_numbers(struct candidates *candidates)
{
    const struct channels *channels = candidates->channels;
    for (unsigned i = 0; i < CANDIDATES_LOOK && candidates->number <= channels->number_last; i++) {
        const struct channel *channel = channels_by_number(channels, (uint32_t)candidates->number);
        if (channel && is_full(candidates))
            return true;
        if (channel)
            look_at(candidates, channel);
        candidates->number++;
    }
    return candidates->number <= channels->number_last;
}

/* Whether the beginning of another pattern covers this one's. */
static bool is_within_another(const struct selection *selection, uint32_t pattern)
{
    struct str own = pattern_beginning(selection->patterns[pattern]);
    for (uint32_t i = 0; i < selection->patterns_count; i++) {
        struct str other = pattern_beginning(selection->patterns[i]);
        if (i != pattern && str_starts(own, other) && (other.len < own.len || i < pattern))
            return true;
    }
    return false;
}

/* Continues under the beginning of the current pattern; `left` is the number of channels that may
 * be looked at. */
static void next_pattern(struct candidates *candidates, unsigned *left)
{
    struct str beginning = pattern_beginning(candidates->selection->patterns[candidates->pattern]);
    const struct channel *channel =
        channels_first(&candidates->walk, candidates->channels, beginning,
                       (struct str){candidates->after, candidates->after_len});
    for (; channel && *left && !is_full(candidates); --*left) {
        look_at(candidates, channel);
        candidates->after_len = channel->name_len;
        memcpy(candidates->after, channel->name, channel->name_len);
        channel = channels_next(&candidates->walk);
    }
    if (channel)
        return;
    candidates->pattern++;
    candidates->after_len = 0;
}

bool candidates_next(struct candidates *candidates)
{
    const struct selection *selection = candidates->selection;
    unsigned left = CANDIDATES_LOOK;
    candidates->count = 0;
    if (candidates->by_number)
        return next_numbers(candidates);
    for (; candidates->name < selection->names_count && !is_full(candidates); candidates->name++) {
        const struct channel *channel =
            channels_find(candidates->channels, selection->names[candidates->name]);
        if (channel)
            look_at(candidates, channel);
    }
    while (candidates->pattern < selection->patterns_count && left && !is_full(candidates)) {
        if (candidates->after_len || !is_within_another(selection, candidates->pattern))
            next_pattern(candidates, &left);
        else
            candidates->pattern++;
    }
    return candidates->name < selection->names_count ||
           candidates->pattern < selection->patterns_count;
}

/* A slice of the channels whose numbers were reused since `*serial`, which counts like
 * channels.reused; raises `*serial`. Returns false if there are no more. Under the log's lock. */
static bool next_reused(struct candidates *candidates, const struct channels *channels,
                        uint64_t *serial)
{
    candidates->channels = channels;
    candidates->trimmed_above = NO_TRIM;
    candidates->count = 0;
    for (; *serial < channels->reused && !is_full(candidates); ++*serial) {
        const struct channel *channel =
            channels_by_number(channels, channels->reused_at[*serial % REUSED_KEPT]);
        if (channel)
            look_at(candidates, channel);
    }
    return *serial < channels->reused;
}

/* ---- resolving ------------------------------------------------------------------------------- */

/* Whether every pattern has a literal beginning. A pattern that begins with a wildcard may match
 * any name. */
static bool spells_beginnings(const struct selection *selection)
{
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        if (!pattern_beginning(selection->patterns[i]).len)
            return false;
    return true;
}

static void go_by_number(struct channels_resolve *resolve)
{
    resolve->stage = RESOLVE_NUMBERS;
    begin_by_number(&resolve->candidates, resolve->channels, resolve->selection->resolved->bits);
}

/* The position at which an interrupted search by terms continues. A search by number continues at
 * resolved.bits. */
struct resolve_place {
    uint64_t begun_above;
    uint32_t name;
    uint32_t pattern;
    uint8_t after_len;
    char after[NAME_MAX_BYTES];
};

static void forget_place(struct resolved *resolved)
{
    free(resolved->place);
    resolved->place = NULL;
}

static void go_by_terms(struct channels_resolve *resolve)
{
    const struct resolve_place *place = resolve->selection->resolved->place;
    struct candidates *candidates = &resolve->candidates;
    resolve->stage = RESOLVE_TERMS;
    candidates_by_terms(candidates, resolve->channels, resolve->selection);
    if (!place)
        return;
    resolve->begun_above = place->begun_above;
    candidates->name = place->name;
    candidates->pattern = place->pattern;
    candidates->after_len = place->after_len;
    memcpy(candidates->after, place->after, place->after_len);
}

/* Begins a search, from scratch if more numbers were reused since the last one than the table
 * remembers. */
static void begin_stage(struct channels_resolve *resolve)
{
    const struct channels *channels = resolve->channels;
    struct resolved *resolved = resolve->selection->resolved;
    resolve->begun_above = channels->number_last;
    resolve->more = true;
    if (channels->reused - resolved->reused > REUSED_KEPT)
        resolved_forget(resolved);
    if (!resolved->bits && !resolved->place)
        resolved->reused = channels->reused;
    if (resolved->bits || !spells_beginnings(resolve->selection))
        go_by_number(resolve);
    else
        go_by_terms(resolve);
}

void channels_resolve_begin(struct channels_resolve *resolve, const struct channels *channels,
                            struct selection *selection)
{
    resolve->channels = channels;
    resolve->selection = selection;
    resolve->steps = 0;
    begin_stage(resolve);
}

/* Moves on to the next stage when a stage has no more candidates. */
static void next_stage(struct channels_resolve *resolve)
{
    struct resolved *resolved = resolve->selection->resolved;
    resolve->more = true;
    switch (resolve->stage) {
    case RESOLVE_TERMS:
        resolved->bits = resolve->begun_above + 1;
        go_by_number(resolve);
        break;
    case RESOLVE_NUMBERS:
        resolved->bits = resolve->candidates.number;
        resolve->stage = RESOLVE_REUSED;
        break;
    case RESOLVE_REUSED:
    case RESOLVE_DONE:
        resolve->stage = RESOLVE_DONE;
        resolved->is_whole = true;
        forget_place(resolved);
    }
}

bool channels_resolve_look(struct channels_resolve *resolve)
{
    struct resolved *resolved = resolve->selection->resolved;
    if (!resolve->more)
        next_stage(resolve);
    if (resolve->stage == RESOLVE_DONE)
        return false;
    if (resolve->channels->reused - resolved->reused > REUSED_KEPT)
        begin_stage(resolve);
    resolve->more = resolve->stage == RESOLVE_REUSED
                        ? next_reused(&resolve->candidates, resolve->channels, &resolved->reused)
                        : candidates_next(&resolve->candidates);
    if (resolve->more || resolve->candidates.count)
        resolve->steps += LOOK_STEPS;
    return true;
}

bool channels_resolve_judge(struct channels_resolve *resolve)
{
    struct resolved *resolved = resolve->selection->resolved;
    const struct candidates *candidates = &resolve->candidates;
    for (size_t i = 0; i < candidates->count; i++) {
        bool is_in = selection_has_channel_counted(
            resolve->selection, candidate_name(&candidates->at[i]), &resolve->steps);
        if (!number_set_put(&resolved->set, candidates->at[i].number, is_in)) {
            resolved_forget(resolved); /* the set lacks what was looked at, and not judged */
            return false;
        }
    }
    return true;
}

bool channels_resolve_stop(struct channels_resolve *resolve)
{
    struct resolved *resolved = resolve->selection->resolved;
    const struct candidates *candidates = &resolve->candidates;
    if (!resolve->more)
        next_stage(resolve);
    if (resolve->stage == RESOLVE_DONE)
        return true;
    if (!resolved->place)
        resolved->place = mem_try_alloc(sizeof(*resolved->place));
    if (!resolved->place)
        return false;
    resolved->is_whole = false;
    *resolved->place = (struct resolve_place){.begun_above = resolve->begun_above,
                                              .name = candidates->name,
                                              .pattern = candidates->pattern,
                                              .after_len = candidates->after_len};
    memcpy(resolved->place->after, candidates->after, candidates->after_len);
    if (resolve->stage == RESOLVE_NUMBERS)
        resolved->bits = candidates->number;
    return true;
}

/* ---- the trimmed id of a selection ----------------------------------------------------------- */

void channels_trimmed_prepare(struct channels_trimmed *trimmed, const struct channels *channels,
                              const struct selection *selection)
{
    channels_namespaces_of(&trimmed->namespaces, channels, selection);
}

void channels_trimmed_begin(struct channels_trimmed *trimmed, const struct channels *channels,
                            const struct selection *selection)
{
    trimmed->selection = selection;
    channels_trimmed_bounds(channels, selection, &trimmed->namespaces, &trimmed->highest,
                            &trimmed->most);
    trimmed->look_max = channels->by_name.count <= SMALL_TABLE ? SIZE_MAX : FEW;
    trimmed->steps = 0;
    trimmed->more = true;
    candidates_by_terms(&trimmed->candidates, channels, selection);
    trimmed->candidates.name = selection->names_count; /* names are in the bounds already */
}

bool channels_trimmed_look(struct channels_trimmed *trimmed)
{
    struct candidates *candidates = &trimmed->candidates;
    if (trimmed->highest >= trimmed->most)
        return false;
    bool enough = candidates->looked >= trimmed->look_max && trimmed->more;
    if (enough || trimmed->steps >= TRIMMED_STEPS) {
        trimmed->highest = trimmed->most;
        return false;
    }
    if (!trimmed->more)
        return false;
    candidates->trimmed_above = trimmed->highest;
    trimmed->more = candidates_next(candidates);
    return true;
}

void channels_trimmed_judge(struct channels_trimmed *trimmed)
{
    for (size_t i = 0; i < trimmed->candidates.count && trimmed->steps < TRIMMED_STEPS; i++) {
        const struct candidate *candidate = &trimmed->candidates.at[i];
        if (candidate->trimmed > trimmed->highest &&
            selection_has_channel_counted(trimmed->selection, candidate_name(candidate),
                                          &trimmed->steps))
            trimmed->highest = candidate->trimmed;
    }
}
