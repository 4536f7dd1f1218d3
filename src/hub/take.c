/* A subscriber takes records behind its position, and reports how many bytes of them its socket
 * took.
 *
 * The records come from a chunk: the live chunk of the view if the subscriber is queued, otherwise
 * a page, which is in the cache or is made now from the window. A page from the store takes longer,
 * so the subscriber waits for it, and is woken. Each chunk is shared: a take copies nothing, and
 * holds a reference to the chunk until hub_sent(). Records that exclude the subscriber's connection
 * split a run of bytes in two.
 *
 * Events may be trimmed before a subscriber has read them. So the cursor is compared with the trims
 * before each page, and a gap is reported before the page behind it. */
#include "hub/take.h"

#include "base/bisect.h"
#include "hub/page_cache.h"
#include "hub/page_read.h"
#include "hub/sub_state.h"

enum { TIMED_TOGETHER = 64 };

/* ---- taking --------------------------------------------------------------------------------- */

/* Whether the publisher excluded the subscriber's connection from a record. */
static bool is_excluded(const struct sub *sub, const struct chunk *chunk, uint32_t record)
{
    return sub->skip && chunk->records[record].except == sub->skip;
}

/* Whether to leave out a record: it is not for this subscriber, or it was encoded as nothing. The
 * cursor moves past it all the same. */
static bool is_left_out(const struct sub *sub, const struct chunk *chunk, uint32_t record)
{
    if (chunk->has_except && is_excluded(sub, chunk, record))
        return true;
    return chunk->records[record].end == chunk_start(chunk, record) && !chunk_piece(chunk, record);
}

/* The end of the run of records from `first` on that this subscriber gets as one run of bytes: it
 * stops at the next record that is not for it. */
static uint32_t run_end(const struct sub *sub, const struct chunk *chunk, uint32_t first)
{
    uint32_t end = chunk_run_end(chunk, first);
    if (!chunk->has_except)
        return end;
    while (first < end && !is_excluded(sub, chunk, first))
        first++;
    return first;
}

static enum take take_records(struct sub *sub, struct chunk *chunk, uint32_t first,
                              struct taken *taken)
{
    while (first < chunk->count && is_left_out(sub, chunk, first))
        first++;
    if (first == chunk->count)
        return TAKE_NOTHING;
    uint32_t start = chunk_start(chunk, first), end = run_end(sub, chunk, first);
    const struct piece *piece = chunk_piece(chunk, first);
    taken->bytes = piece
                       ? buf_str(&piece->bytes)
                       : (struct str){chunk->bytes.at + start, chunk->records[end - 1].end - start};
    taken->chunk = chunk;
    taken->first = first;
    taken->end = end;
    sub->taken = chunk_ref(chunk);
    sub->first = first;
    return TAKE_BYTES;
}

static enum take take_live(struct hub *hub, struct sub *sub, struct taken *taken)
{
    struct chunk *chunk = sub->view->live;
    if (!chunk || sub->stamp + 1 < chunk->first_stamp) {
        sub_fall_behind(sub);
        return TAKE_WAIT; /* hub_take() looks again */
    }
    uint32_t first = (uint32_t)(sub->stamp + 1 - chunk->first_stamp);
    if (take_records(sub, chunk, first, taken) == TAKE_BYTES)
        return TAKE_BYTES;
    sub_catch_up(hub, sub);
    return TAKE_NOTHING;
}

/* Whether events between the cursor and the oldest retained event are gone; each gap is reported
 * once. The first time the cursor is a client's claim, and the log is asked. Later the log is asked
 * only after TRIM entries have come. */
static bool has_gap(struct hub *hub, struct sub *sub, struct taken *taken)
{
    uint64_t known = sub->cursor > sub->told ? sub->cursor : sub->told;
    bool fresh = sub->fresh, in_window = sub->cursor >= hub->window.held_above;
    sub->fresh = false;
    if (!fresh && in_window && hub->window.trimmed <= known)
        return false;
    uint64_t trimmed = view_trimmed(sub->view);
    if (trimmed <= known)
        return false;
    /* The log may have trimmed further, with the TRIM entry still in the mail or the events evicted
     * from memory. Such events are still in the window and are delivered. */
    if (!fresh && in_window && hub->window.trimmed < trimmed)
        trimmed = hub->window.trimmed;
    sub->told = trimmed;
    *taken = (struct taken){.trimmed = trimmed};
    return true;
}

static enum take take_page(struct hub *hub, struct sub *sub, struct taken *taken)
{
    struct view *view = sub->view;
    struct chunk *chunk = cache_find(view, sub->cursor);
    if (chunk)
        chunk_ref(chunk);
    else if (sub->cursor >= hub->window.held_above && budget_is_spent(&hub->paging))
        return page_read_put_off(hub, sub);
    else if (sub->cursor >= hub->window.held_above)
        chunk = page_read_window(view, sub->cursor);
    else
        return page_read_store(sub);
    if (!chunk)
        return TAKE_FAILED;
    enum take take = take_records(sub, chunk, chunk_after(chunk, sub->cursor), taken);
    if (take == TAKE_NOTHING)
        sub->cursor = chunk->through;
    chunk_unref(chunk);
    return take;
}

enum take hub_take(struct hub *hub, struct sub *sub, struct taken *ret_taken)
{
    if (sub->failed) {
        sub->failed = 0;
        return TAKE_FAILED;
    }
    if (sub->state == SUB_WAITING)
        return TAKE_WAIT;
    if (sub->state == SUB_LIVE)
        return TAKE_NOTHING;
    if (sub->state == SUB_QUEUED) {
        enum take take = take_live(hub, sub, ret_taken);
        if (take != TAKE_WAIT)
            return take;
    }
    while (sub->cursor < hub->applied) {
        if (has_gap(hub, sub, ret_taken))
            return TAKE_GAP;
        enum take take = take_page(hub, sub, ret_taken);
        if (take != TAKE_NOTHING)
            return take;
    }
    sub_settle(hub, sub);
    return sub_is_live(sub) ? TAKE_NOTHING : TAKE_WAIT;
}

/* ---- latency -------------------------------------------------------------------------------- */

void hub_note_timed(struct hub *hub)
{
    if (!hub->timed)
        return;
    int64_t ns = clock_now_ns(hub->clock) - hub->timed_ns;
    hist_add(hub->latency_ns, ns > 0 ? (uint64_t)ns : 0, hub->timed);
    hub->timed = 0;
}

void hub_timed(struct hub *hub, int64_t accepted_ns, uint32_t count)
{
    if (!hub->latency_ns)
        return;
    if (accepted_ns != hub->timed_ns || hub->timed >= TIMED_TOGETHER)
        hub_note_timed(hub);
    hub->timed_ns = accepted_ns;
    hub->timed += count;
}

/* Counts deliveries, and notes their latency only for subscribers that keep up: the delay of one
 * that fetches later is the client's, not the server's. */
static void count_sent(struct hub *hub, const struct sub *sub, const struct record *record,
                       uint32_t count)
{
    hub->deliveries += count;
    if (!record->accepted_ns || !sub->keeps_up || sub->ops->holds)
        return;
    if (record->accepted_ns == hub->timed_ns && hub->timed && hub->timed < TIMED_TOGETHER)
        hub->timed += count; /* the usual case */
    else
        hub_timed(hub, record->accepted_ns, count);
}

/* ---- sent ----------------------------------------------------------------------------------- */

/* The fate of a run of records from `first` on, of which `n` bytes were sent. */
struct sent {
    uint32_t next;       /* the first record of which no byte was sent */
    struct str rest;     /* the unsent end of the record before, if it was cut */
    struct piece *piece; /* the piece that `rest` lies in; NULL if it lies in the chunk */
};

/* The first record of a run that ends behind the run's first `n` bytes. Usually all of the run was
 * sent, so that is tried first. */
static uint32_t record_at(const struct chunk *chunk, uint32_t first, size_t n)
{
    uint32_t low = first, high = chunk_run_end(chunk, first);
    size_t end = chunk_start(chunk, first) + n;
    if (chunk->records[high - 1].end == end)
        return high;
    BISECT(low, high, middle, chunk->records[middle].end <= end);
    return low;
}

static struct sent sent_of_run(const struct chunk *chunk, uint32_t first, size_t n)
{
    struct sent sent = {.next = record_at(chunk, first, n)};
    size_t end = chunk_start(chunk, first) + n;
    if (n && sent.next < chunk->count && end > chunk_start(chunk, sent.next)) {
        sent.rest = (struct str){chunk->bytes.at + end, chunk->records[sent.next].end - end};
        sent.next++;
    }
    return sent;
}

static struct sent sent_of(const struct chunk *chunk, uint32_t first, size_t n)
{
    struct piece *piece = chunk_piece(chunk, first);
    if (!piece)
        return sent_of_run(chunk, first, n);
    return (struct sent){.next = n ? first + 1 : first,
                         .rest = n ? str_skip(buf_str(&piece->bytes), n) : STR_NONE,
                         .piece = piece};
}

/* Moves the cursor: the subscriber has everything through record `last` of the chunk. */
static void advance(struct sub *sub, const struct chunk *chunk, uint32_t last)
{
    /* Ephemeral events have no id, so the cursor is the last logged event before. */
    uint32_t logged = last;
    while (logged > sub->first && !chunk->records[logged].id)
        logged--;
    if (chunk->records[logged].id > sub->cursor)
        sub->cursor = chunk->records[logged].id;
    if (sub->state == SUB_QUEUED && chunk == sub->view->live)
        sub->stamp = chunk->first_stamp + last;
    else if (last + 1 == chunk->count && chunk->through > sub->cursor && sub->state == SUB_BEHIND)
        sub->cursor = chunk->through;
}

/* Gives the subscriber the state that fits, now that it has everything before record `next`. */
static void settle_sent(struct hub *hub, struct sub *sub, const struct chunk *chunk, uint32_t next,
                        bool blocked)
{
    if (blocked)
        sub->keeps_up = false;
    if (blocked && sub->state == SUB_QUEUED)
        sub_fall_behind(sub);
    else if (sub->state == SUB_QUEUED && chunk == sub->view->live && next == chunk->count)
        sub_catch_up(hub, sub);
    else if (!blocked && sub->state == SUB_BEHIND)
        sub_settle(hub, sub);
}

void hub_sent(struct hub *hub, struct sub *sub, size_t n, bool blocked)
{
    struct chunk *chunk = sub->taken;
    struct sent sent = sent_of(chunk, sub->first, n);
    sub->taken = NULL;
    if (sent.next > sub->first) {
        count_sent(hub, sub, &chunk->records[sub->first], sent.next - sub->first);
        advance(sub, chunk, sent.next - 1);
    }
    settle_sent(hub, sub, chunk, sent.next, blocked);
    if (sent.rest.len)
        sub->ops->keep_rest(sub, sent.rest, sent.piece);
    chunk_unref(chunk); /* perhaps the last reference, if the page has left the cache */
}
