/* Fan-out by view.
 *
 * A batch is walked once. Each event is encoded once into the *live chunk* of every view that it
 * matches; every live subscriber of these views is queued and woken. When the owner flushes, each
 * takes the records behind its own stamp, usually all of them in one piece. Stamps number the
 * records of a view's live chunks; they, not ids, tell who has what, since ephemeral events have no
 * id. When the flush is over the live chunks are let go.
 *
 * Who could not send everything falls behind: it keeps its cursor and nothing else. Later it takes
 * a page, a chunk like the live one, encoded from the window or from the store; equal requests
 * share it. At the newest position it is live again.
 *
 * What can go wrong: without memory for a live chunk its subscribers fall behind and read the page
 * later; a read that fails is told to the subscriber; events that are gone are told as a gap. */
#include "hub/hub.h"

#include "base/say.h"
#include "log/fetch.h"

#include <errno.h>
#include <stdlib.h>

enum { ROWS_A_TAKE = 20000, EVENTS_A_READ = 1000 };

struct view {
    struct map_node node;
    struct list dirty; /* in hub->dirty while there is a live chunk */
    struct hub *hub;
    struct selection *selection;
    unsigned encoding;
    struct chunk *live;
    struct list live_subs;
    struct list queued_subs;
    struct list behind_subs;
    struct list reads;
    struct list pages; /* of the cache */
    uint64_t stamp;    /* of the newest record */
    uint64_t queued;   /* the stamp up to which its live subscribers were queued */
    uint64_t serial;   /* of the last event that was put in, or refused */
    uint32_t subs;
    bool exact; /* that a term matches is all there is to ask */
};

/* A page in the cache. */
struct page {
    struct list in_cache;
    struct list in_view;
    struct view *view;
    struct chunk *chunk;
    bool stored; /* read from the store */
};

/* A page being read from the store, and who waits for it. */
struct view_read {
    struct log_fetch fetch;
    struct list in_view;
    struct view *view; /* NULL once the view is gone */
    struct hub *hub;
    struct list waiting;
    uint64_t marks; /* of TRIM that had been seen when it began */
    bool cancelled; /* nobody waited for it any more */
};

/* ---- views ---------------------------------------------------------------------------------- */

static void write_view_key(struct buf *buf, struct str canonical, unsigned encoding)
{
    buf_add(buf, &encoding, sizeof(encoding));
    buf_add_str(buf, canonical);
}

static bool view_is(const struct map_node *node, struct str key)
{
    const struct view *view = container_of(node, const struct view, node);
    unsigned encoding;
    memcpy(&encoding, key.at, sizeof(encoding));
    return encoding == view->encoding &&
           str_eq(str_skip(key, sizeof(encoding)), view->selection->canonical);
}

static struct view *view_new(struct hub *hub, struct selection *selection, unsigned encoding,
                             struct str key)
{
    struct view *view = mem_try_alloc(sizeof(*view));
    if (!view)
        return NULL;
    *view = (struct view){.hub = hub, .selection = selection_ref(selection), .encoding = encoding};
    view->exact = !selection->types_count && !selection->except;
    list_init(&view->live_subs);
    list_init(&view->queued_subs);
    list_init(&view->behind_subs);
    list_init(&view->reads);
    list_init(&view->pages);
    if (topics_add_view(&hub->topics, view, selection)) {
        selection_unref(selection);
        free(view);
        return NULL;
    }
    map_add(&hub->views, &view->node, key);
    hub->views_count++;
    return view;
}

static struct view *view_get(struct hub *hub, struct selection *selection, unsigned encoding)
{
    buf_clear(&hub->key);
    write_view_key(&hub->key, selection->canonical, encoding);
    if (buf_failed(&hub->key))
        return NULL;
    struct map_node *node = map_find(&hub->views, buf_str(&hub->key));
    return node ? container_of(node, struct view, node)
                : view_new(hub, selection, encoding, buf_str(&hub->key));
}

static void page_free(struct page *page)
{
    struct hub *hub = page->view->hub;
    hub->cached -= chunk_size(page->chunk);
    list_remove(&page->in_cache);
    list_remove(&page->in_view);
    chunk_unref(page->chunk);
    free(page);
}

static void drop_live(struct view *view)
{
    view->live = chunk_unref(view->live);
    list_remove(&view->dirty);
}

/* Its mail comes all the same. */
static void cancel_read(struct view_read *read)
{
    read->cancelled = true;
    log_job_cancel(read->hub->log, &read->fetch.job);
}

static void view_release(struct view *view)
{
    struct hub *hub = view->hub;
    if (--view->subs)
        return;
    list_each (&view->pages, node)
        page_free(container_of(node, struct page, in_view));
    list_each (&view->reads, read_node) {
        struct view_read *read = container_of(read_node, struct view_read, in_view);
        list_remove(&read->in_view);
        read->view = NULL;
        cancel_read(read);
    }
    drop_live(view);
    topics_remove_view(&hub->topics, view, view->selection);
    map_remove(&hub->views, &view->node);
    selection_unref(view->selection);
    hub->views_count--;
    free(view);
}

/* ---- the cache of pages --------------------------------------------------------------------- */

static void cache_trim(struct hub *hub, size_t most)
{
    while (hub->cached > most && !list_empty(&hub->cache))
        page_free(container_of(hub->cache.next, struct page, in_cache));
}

/* Takes over the reference. */
static void cache_add(struct view *view, struct chunk *chunk, bool stored)
{
    struct hub *hub = view->hub;
    struct page *page = mem_try_alloc(sizeof(*page));
    if (!page) {
        chunk_unref(chunk);
        return;
    }
    *page = (struct page){.view = view, .chunk = chunk, .stored = stored};
    list_add_last(&hub->cache, &page->in_cache);
    list_add_first(&view->pages, &page->in_view);
    hub->cached += chunk_size(chunk);
    cache_trim(hub, hub->limits.cache_bytes > chunk_size(chunk) ? hub->limits.cache_bytes
                                                                : chunk_size(chunk));
}

/* The store leaves out what was trimmed before the mark of it is here. Where the window is asked
 * about gaps, the window alone may answer, or events would be gone and nobody told. */
static struct chunk *cache_find(const struct view *view, uint64_t cursor)
{
    bool in_window = cursor >= view->hub->window.floor;
    list_each (&view->pages, node) {
        const struct page *page = container_of(node, const struct page, in_view);
        struct chunk *chunk = page->chunk;
        if (page->stored && in_window)
            continue;
        if (chunk->from <= cursor && cursor < chunk->through)
            return chunk;
    }
    return NULL;
}

/* ---- states of a subscriber ----------------------------------------------------------------- */

static void set_state(struct sub *sub, enum sub_state state, struct list *list)
{
    list_remove(&sub->node);
    sub->state = (uint8_t)state;
    if (list)
        list_add_last(list, &sub->node);
}

static void fall_behind(struct sub *sub)
{
    set_state(sub, SUB_BEHIND, &sub->view->behind_subs);
}

static void go_live(struct sub *sub)
{
    sub->stamp = sub->view->stamp;
    sub->keeps_up = true;
    sub->fresh = false; /* from here on its cursor is ours */
    set_state(sub, SUB_LIVE, &sub->view->live_subs);
}

/* It has taken all of its view's live chunk. */
static void catch_up(struct hub *hub, struct sub *sub)
{
    sub->cursor = hub->window.applied;
    go_live(sub);
}

/* Puts it where its cursor is. An ephemeral event passes by everybody who is not live, so who is at
 * the newest position does not wait for a take. */
static void settle(struct hub *hub, struct sub *sub)
{
    if (sub->cursor < hub->window.applied)
        fall_behind(sub);
    else if (sub->cursor == hub->window.applied)
        go_live(sub);
    else
        /* Its cursor is from a thread that the log's mail reached earlier: what that has seen must
         * not come again, so it waits until this thread is there too. */
        set_state(sub, SUB_WAITING, &hub->ahead);
}

uint64_t hub_cursor(const struct hub *hub, const struct sub *sub)
{
    bool live = sub->state == SUB_LIVE && sub->cursor < hub->window.applied;
    return live ? hub->window.applied : sub->cursor;
}

const struct selection *hub_selection(const struct sub *sub)
{
    return sub->view->selection;
}

/* ---- fan-out -------------------------------------------------------------------------------- */

struct fan_out {
    struct hub *hub;
    uint64_t before; /* what was applied before this batch */
    const struct event *event;
};

static bool begin_live(struct view *view, uint64_t before)
{
    view->live = chunk_new(before);
    if (!view->live)
        return false;
    view->live->first_stamp = view->stamp + 1;
    list_add_last(&view->hub->dirty, &view->dirty);
    return true;
}

/* Everybody who was up to date until `before` is not any more, and reads a page later. */
static void lose_live(struct view *view, uint64_t before)
{
    drop_live(view);
    list_each (&view->queued_subs, node)
        fall_behind(container_of(node, struct sub, node));
    list_each (&view->live_subs, other) {
        struct sub *sub = container_of(other, struct sub, node);
        if (sub->cursor < before)
            sub->cursor = before;
        fall_behind(sub);
        sub->ops->wake(sub);
    }
}

/* A live chunk that has grown too long, because those who are to send it do not get round to it, is
 * kept as a page: they find it by their cursors. */
static void retire_live(struct view *view)
{
    struct chunk *chunk = chunk_ref(view->live);
    lose_live(view, view->hub->window.applied);
    /* What was trimmed while it grew is still in it, and not for those who come later. */
    bool plain = view->hub->window.trimmed <= chunk->from;
    for (uint32_t i = 0; i < chunk->count && plain; i++)
        plain = chunk->records[i].id != 0;
    if (plain && chunk->through > chunk->from)
        cache_add(view, chunk, false);
    else
        chunk_unref(chunk);
}

static void put_event(void *context, struct view *view)
{
    const struct fan_out *fan_out = context;
    struct hub *hub = fan_out->hub;
    const struct event *event = fan_out->event;
    if (view->serial == hub->event_serial)
        return;
    view->serial = hub->event_serial;
    if (!view->exact && !selection_has(view->selection, event))
        return;
    /* With nobody live there is nobody to encode for. */
    if (!view->live && list_empty(&view->live_subs))
        return;
    if (!view->live && !begin_live(view, fan_out->before)) {
        lose_live(view, fan_out->before);
        return;
    }
    hub->encode(hub->context, view->encoding, &view->live->bytes, event);
    if (chunk_add(view->live, event))
        view->stamp++;
    else
        lose_live(view, fan_out->before);
}

static void on_event(void *context, const struct event *event, struct topic *topic)
{
    struct fan_out *fan_out = context;
    fan_out->event = event;
    fan_out->hub->event_serial++;
    struct view *view;
    for (uint32_t i = 0; topic && (view = view_set_next(&topic->views, &i));)
        put_event(context, view);
    topics_match_patterns(&fan_out->hub->topics, event->channel, put_event, context);
}

/* Moves the live subscribers of a view that has something new into its queue. */
static void queue_subs(struct view *view, uint64_t before)
{
    view->live->through = view->hub->window.applied;
    if (view->queued == view->stamp)
        return; /* nothing of this batch was for it */
    view->queued = view->stamp;
    list_each (&view->live_subs, node) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->stamp == view->stamp)
            continue; /* it came after this record */
        if (sub->cursor < before)
            sub->cursor = before;
        set_state(sub, SUB_QUEUED, &view->queued_subs);
        sub->ops->wake(sub);
    }
}

/* Those whose cursor this thread has reached meanwhile. */
static void settle_ahead(struct hub *hub)
{
    list_each (&hub->ahead, node) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->cursor > hub->window.applied)
            continue;
        settle(hub, sub);
        sub->ops->wake(sub);
    }
}

void hub_on_batch(struct hub *hub, struct batch *batch)
{
    struct fan_out fan_out = {.hub = hub, .before = hub->window.applied};
    uint64_t marks = hub->window.marks;
    window_add(&hub->window, batch, on_event, &fan_out);
    if (marks != hub->window.marks)
        cache_trim(hub, 0); /* what was deleted is shown to nobody who comes later */
    list_each (&hub->dirty, node) {
        struct view *view = container_of(node, struct view, dirty);
        queue_subs(view, fan_out.before);
        if (view->live->bytes.len > hub->limits.chunk_bytes)
            retire_live(view);
    }
    settle_ahead(hub);
}

void hub_pass(struct hub *hub, struct batch *batch)
{
    window_pass(&hub->window, batch);
}

void hub_miss(struct hub *hub, uint64_t upto)
{
    uint64_t before = hub->window.applied;
    window_miss(&hub->window, upto);
    cache_trim(hub, 0);
    for (struct map_node *node = map_next(&hub->views, NULL); node;
         node = map_next(&hub->views, node))
        lose_live(container_of(node, struct view, node), before);
    settle_ahead(hub);
}

void hub_turn_end(struct hub *hub)
{
    list_each (&hub->dirty, node) {
        struct view *view = container_of(node, struct view, dirty);
        list_each (&view->queued_subs, sub_node)
            fall_behind(container_of(sub_node, struct sub, node));
        drop_live(view);
    }
    cache_trim(hub, 0);
}

/* ---- pages from the window ------------------------------------------------------------------ */

struct paging {
    struct view *view;
    struct chunk *chunk;
    size_t most;
    bool failed;
};

static bool page_event(void *context, const struct event *event)
{
    struct paging *paging = context;
    struct hub *hub = paging->view->hub;
    hub->encode(hub->context, paging->view->encoding, &paging->chunk->bytes, event);
    if (!chunk_add(paging->chunk, event)) {
        paging->failed = true;
        return false;
    }
    return paging->chunk->bytes.len < paging->most;
}

static struct chunk *page_from_window(struct view *view, uint64_t cursor)
{
    struct hub *hub = view->hub;
    struct chunk *chunk = chunk_new(cursor);
    if (!chunk)
        return NULL;
    struct paging paging = {view, chunk, hub->limits.chunk_bytes, false};
    chunk->through =
        window_read(&hub->window, view->selection, cursor, ROWS_A_TAKE, page_event, &paging);
    if (paging.failed)
        chunk->through = chunk->count ? chunk->records[chunk->count - 1].id : cursor;
    if (chunk->through == cursor)
        return chunk_unref(chunk); /* not one event fitted into memory */
    cache_add(view, chunk_ref(chunk), false);
    return chunk;
}

/* ---- pages from the store ------------------------------------------------------------------- */

static struct chunk *page_from_batch(struct view *view, const struct view_read *read)
{
    uint64_t after = read->fetch.query.after;
    const struct batch *batch = read->fetch.batch;
    struct chunk *chunk = chunk_new(after);
    if (!chunk)
        return NULL;
    struct paging paging = {view, chunk, SIZE_MAX, false};
    for (uint32_t i = 0; batch && i < batch->count && !paging.failed; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            page_event(&paging, &batch->events[i]);
    chunk->through = read->fetch.through;
    if (paging.failed)
        chunk->through = chunk->count ? chunk->records[chunk->count - 1].id : after;
    return chunk->through > after ? chunk : chunk_unref(chunk);
}

static void wake_waiting(struct view_read *read, int error)
{
    for (struct list *node; (node = list_take_first(&read->waiting));) {
        struct sub *sub = container_of(node, struct sub, node);
        sub->failed = (int8_t)(error ? (error < -127 ? EIO : -error) : 0);
        fall_behind(sub);
        sub->ops->wake(sub);
    }
}

static void take_read(struct view_read *read)
{
    int error = read->fetch.error;
    if (!error) {
        if (read->fetch.batch && read->marks != read->hub->window.marks)
            log_hide_trimmed(read->hub->log, read->fetch.batch);
        struct chunk *chunk = page_from_batch(read->view, read);
        if (chunk)
            cache_add(read->view, chunk, true);
        else
            error = -ENOMEM;
    }
    if (error)
        say(SAY_WARN, "read_failed", "error=%d", -error);
    wake_waiting(read, error);
}

static void read_done(struct mail *mail, void *owner)
{
    (void)owner;
    struct view_read *read = container_of(mail, struct view_read, fetch.job.mail);
    read->hub->reads--;
    if (!read->cancelled)
        take_read(read);
    list_remove(&read->in_view);
    log_fetch_deinit(&read->fetch);
    free(read);
}

/* Whoever takes few events has no more of them read. */
static struct view_read *read_start(struct view *view, const struct sub *sub)
{
    struct hub *hub = view->hub;
    bool few = sub->most && sub->most < EVENTS_A_READ;
    struct view_read *read = mem_try_alloc(sizeof(*read));
    if (!read)
        return NULL;
    struct store_query query = {.after = sub->cursor,
                                .upto = hub->window.applied,
                                .limit = few ? sub->most : EVENTS_A_READ,
                                .bytes = hub->limits.chunk_bytes,
                                .rows = LOG_READ_ROWS};
    *read = (struct view_read){.view = view, .hub = hub, .marks = hub->window.marks};
    log_fetch_init(&read->fetch, view->selection, &query, hub->mailbox, read_done);
    list_init(&read->waiting);
    list_add_last(&view->reads, &read->in_view);
    hub->reads++;
    log_submit(hub->log, &read->fetch.job);
    return read;
}

static enum take wait_for_read(struct sub *sub)
{
    struct view *view = sub->view;
    struct view_read *found = NULL;
    list_each (&view->reads, node) {
        struct view_read *read = container_of(node, struct view_read, in_view);
        if (read->fetch.query.after == sub->cursor && !read->cancelled)
            found = read;
    }
    if (!found)
        found = read_start(view, sub);
    if (!found)
        return TAKE_FAILED;
    set_state(sub, SUB_WAITING, &found->waiting);
    return TAKE_WAIT;
}

/* ---- taking --------------------------------------------------------------------------------- */

/* What came by the subscriber's own connection, and what was encoded as nothing. It moves the
 * cursor all the same. */
static bool is_left_out(const struct sub *sub, const struct chunk *chunk, uint32_t record)
{
    return chunk->records[record].end == chunk_start(chunk, record) ||
           (sub->skip && chunk->records[record].origin == sub->skip);
}

/* Cuts the run of records in front of the next that is the subscriber's own. */
static void cut_own(const struct sub *sub, struct taken *taken)
{
    uint32_t end = taken->first;
    while (end < taken->end && taken->chunk->records[end].origin != sub->skip)
        end++;
    taken->end = end;
}

static enum take take_records(struct sub *sub, struct chunk *chunk, uint32_t first,
                              struct taken *taken)
{
    *taken = (struct taken){.chunk = chunk, .first = first, .end = chunk->count};
    while (taken->first < taken->end && is_left_out(sub, chunk, taken->first))
        taken->first++;
    if (taken->first == taken->end)
        return TAKE_NOTHING;
    if (sub->skip)
        cut_own(sub, taken);
    uint32_t start = chunk_start(chunk, taken->first);
    taken->bytes = (struct str){chunk->bytes.at + start, chunk_start(chunk, taken->end) - start};
    sub->taken = chunk_ref(chunk);
    sub->first = taken->first;
    return TAKE_BYTES;
}

static enum take take_live(struct hub *hub, struct sub *sub, struct taken *taken)
{
    struct chunk *chunk = sub->view->live;
    if (!chunk || sub->stamp + 1 < chunk->first_stamp) {
        fall_behind(sub);
        return TAKE_WAIT; /* no more than "look again" to hub_take */
    }
    uint32_t first = (uint32_t)(sub->stamp + 1 - chunk->first_stamp);
    if (take_records(sub, chunk, first, taken) == TAKE_BYTES)
        return TAKE_BYTES;
    catch_up(hub, sub);
    return TAKE_NOTHING;
}

/* Whether something is gone between the cursor and what is retained; told once. What a client
 * claims is held against the log itself; after that the marks that have passed by tell when to look
 * again. */
static bool has_gap(struct hub *hub, struct sub *sub, struct taken *taken)
{
    uint64_t known = sub->cursor > sub->told ? sub->cursor : sub->told;
    bool fresh = sub->fresh, in_window = sub->cursor >= hub->window.floor;
    sub->fresh = false;
    if (!fresh && in_window && hub->window.trimmed <= known)
        return false;
    uint64_t trimmed = log_trimmed(hub->log, sub->view->selection);
    if (trimmed <= known)
        return false;
    /* What the log has trimmed further, its mark still in the mail or evicted from memory, is in
     * the window yet and comes. */
    if (!fresh && in_window && hub->window.trimmed < trimmed)
        trimmed = hub->window.trimmed;
    sub->told = trimmed;
    *taken = (struct taken){.trimmed = trimmed};
    return true;
}

/* What has nothing to read and no gap to be told of is at the newest position already: who resumes
 * on a quiet channel is live at once, like who begins now. */
static void skip_nothing(struct hub *hub, struct sub *sub)
{
    uint64_t known = sub->cursor > sub->told ? sub->cursor : sub->told;
    if (sub->cursor < hub->window.applied &&
        !window_may_have(&hub->window, sub->view->selection, sub->cursor) &&
        log_trimmed(hub->log, sub->view->selection) <= known)
        sub->cursor = hub->window.applied;
}

static enum take take_page(struct hub *hub, struct sub *sub, struct taken *taken)
{
    struct view *view = sub->view;
    struct chunk *chunk = cache_find(view, sub->cursor);
    if (chunk)
        chunk_ref(chunk);
    else if (sub->cursor >= hub->window.floor)
        chunk = page_from_window(view, sub->cursor);
    else
        return wait_for_read(sub);
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
    while (sub->cursor < hub->window.applied) {
        if (has_gap(hub, sub, ret_taken))
            return TAKE_GAP;
        enum take take = take_page(hub, sub, ret_taken);
        if (take != TAKE_NOTHING)
            return take;
    }
    settle(hub, sub);
    return sub_is_live(sub) ? TAKE_NOTHING : TAKE_WAIT;
}

void hub_timed(struct hub *hub, int64_t accepted_ns, uint32_t count)
{
    if (!hub->latency_ns)
        return;
    int64_t ns = clock_now_ns(hub->clock) - accepted_ns;
    hist_add(hub->latency_ns, ns > 0 ? (uint64_t)ns : 0, count);
}

/* Latency is that of subscribers that keep up: what one fetches later says nothing of the server.
 */
static void count_sent(struct hub *hub, const struct sub *sub, const struct record *record,
                       uint32_t count)
{
    hub->deliveries += count;
    if (record->accepted_ns && sub->keeps_up && !sub->ops->holds)
        hub_timed(hub, record->accepted_ns, count);
}

/* The first record that ends behind the first `n` bytes from record `first` on. */
static uint32_t record_at(const struct chunk *chunk, uint32_t first, size_t n)
{
    uint32_t low = first, high = chunk->count;
    size_t end = chunk_start(chunk, first) + n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->records[middle].end <= end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The subscriber has everything up to and with record `last` of the chunk. */
static void advance(struct sub *sub, const struct chunk *chunk, uint32_t last)
{
    /* Ephemeral events have no id: the one before them in the log tells. */
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

/* Puts the subscriber where it belongs now that it has everything up to record `next`. */
static void settle_sent(struct hub *hub, struct sub *sub, const struct chunk *chunk, uint32_t next,
                        bool blocked)
{
    if (blocked)
        sub->keeps_up = false;
    if (blocked && sub->state == SUB_QUEUED)
        fall_behind(sub);
    else if (sub->state == SUB_QUEUED && chunk == sub->view->live && next == chunk->count)
        catch_up(hub, sub);
    else if (!blocked && sub->state == SUB_BEHIND)
        settle(hub, sub);
}

void hub_sent(struct hub *hub, struct sub *sub, size_t n, bool blocked)
{
    struct chunk *chunk = sub->taken;
    sub->taken = NULL;
    struct str rest = STR_NONE;
    uint32_t next = record_at(chunk, sub->first, n);
    size_t end = chunk_start(chunk, sub->first) + n;
    if (n && next < chunk->count && end > chunk_start(chunk, next)) {
        rest = (struct str){chunk->bytes.at + end, chunk->records[next].end - end};
        next++;
    }
    if (next > sub->first) {
        count_sent(hub, sub, &chunk->records[sub->first], next - sub->first);
        advance(sub, chunk, next - 1);
    }
    settle_sent(hub, sub, chunk, next, blocked);
    if (rest.len)
        sub->ops->keep_rest(sub, rest);
    chunk_unref(chunk); /* which may be the last reference: the page has left the cache */
}

/* ---- subscribing ---------------------------------------------------------------------------- */

int hub_subscribe(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                  struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told)
{
    struct view *view = view_get(hub, selection, encoding);
    if (!view)
        return topics_has_room(&hub->topics, selection) ? -ENOMEM : -ENOSPC;
    view->subs++;
    hub->subs++;
    *sub = (struct sub){
        .view = view, .ops = ops, .cursor = cursor, .told = told, .skip = sub->skip, .fresh = true};
    skip_nothing(hub, sub);
    settle(hub, sub);
    return 0;
}

/* Whoever waited for a read may have been the last. */
static void cancel_idle_reads(const struct view *view)
{
    list_each (&view->reads, node) {
        struct view_read *read = container_of(node, struct view_read, in_view);
        if (list_empty(&read->waiting) && !read->cancelled)
            cancel_read(read);
    }
}

void hub_unsubscribe(struct hub *hub, struct sub *sub)
{
    if (sub->state == SUB_NONE)
        return;
    bool waited = sub->state == SUB_WAITING;
    set_state(sub, SUB_NONE, NULL);
    if (waited)
        cancel_idle_reads(sub->view);
    sub->taken = chunk_unref(sub->taken);
    hub->subs--;
    view_release(sub->view);
    sub->view = NULL;
}

int hub_init(struct hub *hub, struct log *log, struct clock *clock, struct mailbox *mailbox,
             const struct hub_limits *limits, hub_encode *encode, void *context,
             void (*on_batch)(void *owner, struct batch *batch))
{
    *hub = (struct hub){.log = log,
                        .clock = clock,
                        .mailbox = mailbox,
                        .limits = *limits,
                        .encode = encode,
                        .context = context};
    hub->port.mailbox = mailbox;
    hub->port.on_batch = on_batch;
    hub->port.backlog_max = limits->backlog_max;
    hub->port.on_missed = limits->on_missed;
    topics_init(&hub->topics);
    hub->topics.branches_max = limits->branches_max;
    map_init(&hub->views, view_is);
    list_init(&hub->dirty);
    list_init(&hub->cache);
    list_init(&hub->ahead);
    window_init(&hub->window, &hub->topics, limits->window_bytes, log_newest(log));
    return log_attach(log, &hub->port);
}

void hub_deinit(struct hub *hub)
{
    cache_trim(hub, 0);
    window_deinit(&hub->window);
    map_deinit(&hub->views);
    topics_deinit(&hub->topics);
    buf_free(&hub->key);
}
