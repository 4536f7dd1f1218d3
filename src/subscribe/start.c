#include "subscribe/start.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { LAST_BYTES = 4 << 20 };

/* ---- known at once --------------------------------------------------------------------------- */

/* `told`: the id up to which the consumer says that it knows of gaps. */
static struct start at_earliest(struct log *log, const struct selection *selection, uint64_t told)
{
    uint64_t removed = log_trimmed_from(log, selection, 0);
    return (struct start){.told = told > removed && told <= log_newest(log) ? told : removed};
}

/* A start above the newest id is moved to it: such a consumer gets new events only. */
static struct start at_unknown(struct log *log, const struct selection *selection, uint64_t claimed)
{
    return (struct start){.cursor = log_newest(log),
                          .told = log_trimmed(log, selection),
                          .gap = GAP_UNKNOWN,
                          .claimed = claimed};
}

/* Sets up to where gaps are known. A consumer may know of gaps beyond its cursor, which are not
 * told again; or of fewer than its cursor says, because a page passed a gap that is still to be
 * told. */
static struct start at_cursor(struct log *log, const struct selection *selection,
                              const struct position *position)
{
    struct start start = {.cursor = position->id};
    if (!position->told || position->told > log_newest(log))
        return start;
    start.told = position->told;
    if (position->told >= position->id)
        return start;
    start.told = log_trimmed(log, selection);
    if (start.told > position->told) {
        start.gap = log_gap_reason(log, start.told);
        start.claimed = position->told;
    }
    return start;
}

/* The log lacks events that the reader has had. All events behind them are there. */
static struct start at_lacking(struct log *log, const struct selection *selection,
                               const struct position *position, uint64_t upto)
{
    uint64_t trimmed = log_trimmed(log, selection);
    if (position->told >= upto)
        return at_cursor(log, selection, position);
    return (struct start){.cursor = position->id,
                          .told = trimmed > upto ? trimmed : upto,
                          .gap = GAP_LOST,
                          .claimed = position->id};
}

static struct start at_claim(struct log *log, const struct selection *selection,
                             const struct position *position)
{
    if (!position->id)
        return at_earliest(log, selection, position->told);
    if (gap_is_beyond(log, position->id))
        return at_unknown(log, selection, position->id);
    uint64_t upto = log_lacks_upto(log, position->id);
    if (upto)
        return at_lacking(log, selection, position, upto);
    return at_cursor(log, selection, position);
}

bool start_is_known(struct hub *hub, const struct selection *selection,
                    const struct position *position, struct start *ret_start)
{
    struct log *log = hub->log;
    switch (position->kind) {
    case POSITION_CURSOR:
        *ret_start = at_claim(log, selection, position);
        return true;
    case POSITION_UNREADABLE:
        *ret_start = at_unknown(log, selection, 0);
        ret_start->cursor =
            0; /* wherever the consumer was, every retained event may be new to it */
        return true;
    case POSITION_EARLIEST:
        *ret_start = at_earliest(log, selection, position->told);
        return true;
    case POSITION_NOW:
        *ret_start = (struct start){.cursor = log_newest(log)};
        return true;
    case POSITION_LAST:
    case POSITION_TIME:
        break;
    }
    return false;
}

/* ---- searched for ---------------------------------------------------------------------------- */

struct start_search {
    struct question question;
    struct selection *selection;
    struct position position;
    uint64_t cursor;
    /* POSITION_LAST: everything above it was looked at; 0: to the beginning of the log */
    uint64_t upto;
    uint32_t left; /* POSITION_LAST: the number of events still to be found */
    int error;
    struct start_owner owner;
    struct start_search **place; /* NULL: the search was dropped */
};

/* A slice of the search backwards from the newest event. True once enough events were found. */
static bool search_last(struct start_search *search, struct log *log)
{
    struct store_query query = {.upto = search->upto,
                                .backwards = true,
                                .limit = search->left,
                                .bytes = LAST_BYTES,
                                .rows = LOG_SLICE_ROWS};
    struct batch *batch;
    uint64_t through;
    search->error = log_read(log, &query, search->selection, &batch, &through);
    if (search->error == -EAGAIN) {
        search->error = 0;
        return false;
    }
    if (search->error)
        return true;
    for (uint32_t i = batch->count; i-- > 0 && search->left;) {
        if (batch->events[i].state != EVENT_APPENDED)
            continue;
        search->cursor = batch->events[i].id - 1;
        search->left--;
    }
    batch_unref(batch);
    search->upto = through && through <= search->upto ? through - 1 : 0;
    return !search->left || !search->upto;
}

static bool search_slice(struct question *question, struct log *log)
{
    struct start_search *search = container_of(question, struct start_search, question);
    if (search->position.kind == POSITION_LAST)
        return search_last(search, log);
    search->error = log_find_time(log, search->position.time_us, &search->cursor);
    return true;
}

/* A start that the consumer did not name claims nothing, so trimmed events before it are no gap. */
static struct start_found result_of(const struct start_search *search)
{
    const struct question *question = &search->question;
    return (struct start_found){
        .start = {.cursor = search->cursor,
                  .told =
                      log_trimmed_from(question->asker->log, search->selection, search->cursor)},
        .given_up = question->job.spent ? search->upto + 1 : 0,
        .error = search->error};
}

static void search_answered(struct question *question)
{
    struct start_search *search = container_of(question, struct start_search, question);
    if (search->place) {
        struct start_found found = result_of(search);
        *search->place = NULL;
        search->owner.found(search->owner.owner, &found);
    }
    selection_unref(search->selection);
    question_end(question);
    free(search);
}

static const struct question_ops search_ops = {.slice = search_slice,
                                               .answered = search_answered,
                                               .slices_max = LOG_REQUEST_SLICES,
                                               .is_small = true};

void start_search(struct start_search **place, struct hub *hub, struct selection *selection,
                  const struct position *position, const struct start_owner *owner)
{
    struct start_search *search = mem_try_alloc(sizeof(*search));
    /* Not the log's newest event, whose mail may still be on its way to this thread: a page that
     * begins right before it would find nothing. */
    uint64_t newest = hub_posted(hub);
    if (!search) {
        owner->found(owner->owner, &(struct start_found){.error = -ENOMEM});
        return;
    }
    *search = (struct start_search){.selection = selection_ref(selection),
                                    .position = *position,
                                    .cursor = newest,
                                    .upto = newest,
                                    .left = position->last,
                                    .owner = *owner,
                                    .place = place};
    *place = search;
    question_init(&search->question, hub->asker, &search_ops);
    if (owner->ask)
        owner->ask(owner->owner, &search->question);
    else
        question_ask(&search->question);
}

void start_find(struct start_search **place, struct hub *hub, struct selection *selection,
                const struct position *position, const struct start_owner *owner)
{
    struct start_found found = {.error = 0};
    if (start_is_known(hub, selection, position, &found.start))
        owner->found(owner->owner, &found);
    else
        start_search(place, hub, selection, position, owner);
}

void start_drop(struct start_search **place)
{
    struct start_search *search = *place;
    if (!search)
        return;
    *place = NULL;
    search->place = NULL;
    question_drop(&search->question);
}

/* ---- gaps ------------------------------------------------------------------------------------ */

struct gap start_gap(const struct start *start)
{
    return (struct gap){.cursor = start->cursor,
                        .after = start->claimed,
                        .earliest = start->told,
                        .reason = start->gap};
}

bool start_has_gap(struct log *log, const struct selection *selection, const struct start *start,
                   struct gap *ret_gap)
{
    uint64_t trimmed = log_trimmed(log, selection);
    if (start->gap)
        *ret_gap = start_gap(start);
    else if (trimmed > start->cursor && trimmed > start->told)
        *ret_gap = gap_behind(log, start->cursor, trimmed);
    else
        return false;
    if (trimmed > ret_gap->earliest)
        ret_gap->earliest = trimmed;
    return true;
}
