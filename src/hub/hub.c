/* Fan-out by view.
 *
 * The hub walks a batch once. It encodes each event once for each format, and puts it into the
 * *live chunk* of every view that the event matches: copied, or by reference if it is large. Every
 * live subscriber of these views is queued and woken. When the owner flushes, each subscriber takes
 * the records behind its own stamp, usually all of them as one run of bytes. Stamps number the
 * records of a view's live chunks. Positions in a live chunk are stamps and not ids, because
 * ephemeral events have no id. At the end of the flush the hub lets the live chunks go.
 *
 * Batches are queued, because one event may match a hundred thousand views, or have as many
 * subscribers in one view. A turn has a budget, and the fan-out may pause after each subscriber. A
 * pause between two events is harmless. During a pause within an event some views have the event
 * and some do not, and `applied` is still the previous event. Three rules then keep events in order
 * and complete:
 *
 * - A subscriber does not become live by its cursor while an event is fanned out. Its view may
 *   have that event in the live chunk already, and a live subscriber gets only later records. So
 *   the subscriber waits in `ahead`.
 * - The cursor of a subscriber never goes back, although a subscriber that has taken all of a live
 *   chunk may be one event ahead of `applied`.
 * - A subscriber that comes while batches are queued waits until they are fanned out, so that
 *   publishers find the events that they have published.
 *
 * While events come faster than a turn can fan out, each turn may end within an event. Those who
 * can go on only between two events would wait for as long as that lasts. So if anybody waits, at
 * most TURNS_WITHIN_MAX turns end so, and the next one ends with its event.
 *
 * A subscriber whose socket is full falls behind: the hub keeps its cursor and nothing else. Later
 * the subscriber takes a page: a chunk like the live one, encoded from the window or from the
 * store, and shared by subscribers with the same view and cursor. Each turn has a budget for pages
 * too. At the newest position the subscriber is live again. A view falls behind as a whole while
 * more than live_max is encoded, or while the account's limit is exceeded. A socket that was cut
 * within a large event keeps a reference to it.
 *
 * Failures: without memory for a live chunk, the view's subscribers fall behind and read a page
 * later. A read that fails is reported to the subscriber. Events that were trimmed are reported as
 * a gap. */
#include "hub/hub.h"

#include "base/bisect.h"
#include "base/say.h"
#include "hub/pages.h"
#include "log/fetch.h"

#include <errno.h>
#include <stdlib.h>

enum {
    /* Smaller events are copied: a copy costs less than a send of its own, which a piece needs. */
    LARGE_BYTES = 16 << 10,
    /* Large events that are cached, within cache_bytes. Also the number of uncached ones, held only
     * by chunks and connections, that a search looks at. */
    PIECES_MAX = 64,
    BATCHES_FIRST = 16,
    VIEWS_FIRST = 16,
    PAGES_MAX = 1024,       /* in the cache, even if they are small */
    SPARED_BYTES = 4 << 10, /* of a live chunk that may stay above live_max */
    SLICE_US = 1000,
    PUT_OFF_A_TURN = 64,
    TURNS_WITHIN_MAX = 8, /* a turn that ends early costs others a part of it */
    /* Charges of the budget, in bytes: for a branch of the trie, a view, a subscriber that is
     * queued. */
    BRANCH_COST = 64,
    VIEW_COST = 64,
    SUB_COST = 64,
    TERM_COST = 32, /* for each term that the view excludes */
    TIMED_TOGETHER = 64,
};
/* Rows of the window that a page looks at: ROWS_A_TAKE for a selection of up to TERMS_FEW terms,
 * proportionally fewer for more terms. Rows that are found by channel need no comparison: a page
 * looks at WINDOW_WALK_MAX of them. */
enum { ROWS_A_TAKE = 1024, TERMS_FEW = 8, EVENTS_A_READ = 1000 };

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
    struct pages *pages; /* in the cache; NULL if there are none */
    uint64_t stamp;      /* of the newest record */
    uint64_t serial;     /* the last event that was matched against this view */
    uint32_t subs;
    uint32_t place;  /* index in fan_out.views, until the view has been served */
    bool exact;      /* a matching term is enough: no types, no exclusions */
    uint32_t weight; /* see selection_weight() */
    uint64_t trims;  /* log_trims() when `trimmed` was computed */
    uint64_t trimmed;
};

/* A page that is read from the store, and the subscribers that wait for it. While there are any,
 * the hub finds the read by its view and cursor, and the view stays. */
struct view_read {
    struct map_node node;
    struct log_fetch fetch;
    struct list put_off; /* in hub->reads_put_off when the read is done, but this turn has no budget
                          * left for pages */
    struct view *view;
    struct hub *hub;
    struct list waiting;
    uint64_t trims; /* window.trims when the read began */
};

/* The key of a read in hub->wanted. */
struct read_key {
    const struct view *view;
    uint64_t after;
};

static struct str read_key(const struct read_key *key)
{
    return (struct str){(const char *)key, sizeof(*key)};
}

static bool read_is(const struct map_node *node, struct str key_)
{
    const struct view_read *read = container_of(node, const struct view_read, node);
    struct read_key key;
    memcpy(&key, key_.at, sizeof(key));
    return read->view == key.view && read->fetch.query.after == key.after;
}

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
    view->weight = selection_weight(selection);
    view->exact = !selection->types_count && !selection->except;
    list_init(&view->live_subs);
    list_init(&view->queued_subs);
    list_init(&view->behind_subs);
    if (topics_add_view(&hub->topics, view, selection)) {
        selection_unref(selection);
        free(view);
        return NULL;
    }
    map_add(&hub->views, &view->node, key);
    hub->views_count++;
    if (hub->on_view)
        hub->on_view(hub->port.mailbox->owner, selection);
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
    hub->pages_count--;
    list_remove(&page->in_cache);
    pages_remove(&page->view->pages, page);
    chunk_unref(page->chunk);
    free(page);
}

static void drop_live(struct view *view)
{
    view->hub->shared_count = 0; /* the shared bytes may lie in the live chunk */
    view->live = chunk_unref(view->live);
    list_remove(&view->dirty);
}

/* Drops a read for which no subscriber waits any more. Its answer still comes, and frees it. */
static void drop_read(struct view_read *read)
{
    map_remove(&read->hub->wanted, &read->node);
    question_drop(&read->fetch.question);
}

static void forget_in_fan_out(const struct view *view)
{
    struct fan_out *fan_out = &view->hub->fan_out;
    if (fan_out->under_way && view->place < fan_out->views_count &&
        fan_out->views[view->place] == view)
        fan_out->views[view->place] = NULL;
}

static void view_release(struct view *view)
{
    struct hub *hub = view->hub;
    if (--view->subs)
        return;
    for (struct page *page; (page = pages_any(view->pages));)
        page_free(page);
    drop_live(view);
    forget_in_fan_out(view);
    topics_remove_view(&hub->topics, view, view->selection);
    map_remove(&hub->views, &view->node);
    selection_unref(view->selection);
    hub->views_count--;
    free(view);
}

/* ---- the cache of pages --------------------------------------------------------------------- */

/* Drops the piece from the cache. While chunks or slow peers hold it, it can still be found, since
 * it would otherwise be encoded and held twice. */
static void piece_forget(struct hub *hub, struct piece *piece)
{
    hub->cached_pieces -= piece->bytes.len;
    hub->pieces_count--;
    list_remove(&piece->node);
    list_add_first(&hub->loose_pieces, &piece->node);
    piece_unref(piece);
}

/* Drops the oldest pages and pieces until each of both has at most `most` bytes. The size of a page
 * includes its pieces, even if others hold them too. */
static void cache_trim(struct hub *hub, size_t most)
{
    while ((hub->cached > most || hub->pages_count > PAGES_MAX) && !list_empty(&hub->cache))
        page_free(container_of(hub->cache.next, struct page, in_cache));
    while ((hub->cached_pieces > most || hub->pieces_count > PIECES_MAX) &&
           !list_empty(&hub->pieces))
        piece_forget(hub, container_of(hub->pieces.next, struct piece, node));
}

/* Makes room for a page or piece of `size` bytes, which is kept even if it is larger than the
 * cache: the subscribers that wait for it take it soon. */
static void cache_trim_for(struct hub *hub, size_t size)
{
    cache_trim(hub, hub->limits.cache_bytes > size ? hub->limits.cache_bytes : size);
}

/* Whether a page of this kind has all events of the chunk; the chunk is not needed then. */
static bool cache_has(struct hub *hub, const struct view *view, const struct chunk *chunk,
                      bool stored)
{
    struct page *page = pages_around(view->pages, chunk, stored);
    if (!page)
        return false;
    list_remove(&page->in_cache);
    list_add_last(&hub->cache, &page->in_cache);
    return true;
}

/* Adds a page. Takes over the reference to the chunk. */
static void cache_add(struct view *view, struct chunk *chunk, bool stored)
{
    struct hub *hub = view->hub;
    struct page *page = cache_has(hub, view, chunk, stored) ? NULL : mem_try_alloc(sizeof(*page));
    if (!page) {
        chunk_unref(chunk);
        return;
    }
    for (struct page *old; (old = pages_within(view->pages, chunk, stored));)
        page_free(old);
    *page = (struct page){.view = view, .chunk = chunk, .stored = stored};
    if (!pages_add(&view->pages, page)) {
        chunk_unref(chunk);
        free(page);
        return;
    }
    list_add_last(&hub->cache, &page->in_cache);
    hub->pages_count++;
    hub->cached += chunk_size(chunk);
    cache_trim_for(hub, chunk_size(chunk));
}

/* Finds a page for the cursor. A page from the store leaves out events that were trimmed, perhaps
 * before their TRIM entry has reached this thread. Where gaps are found by the window, only pages
 * from the window may be used: otherwise events would be missing without a gap. */
static struct chunk *cache_find(const struct view *view, uint64_t cursor)
{
    const struct page *page = pages_find(view->pages, cursor, false);
    if (!page && cursor < view->hub->window.held_above)
        page = pages_find(view->pages, cursor, true);
    return page ? page->chunk : NULL;
}

/* ---- encoding ------------------------------------------------------------------------------- */

/* Whether the piece is this event. A logged event is known by its id, an ephemeral one only by the
 * number that the hub gave it. */
static bool is_piece_of(const struct hub *hub, const struct piece *piece, const struct event *event)
{
    return event->state == EVENT_EPHEMERAL ? piece->serial == hub->event_serial
                                           : piece->id == event->id;
}

static struct piece *find_in(const struct hub *hub, const struct list *pieces, unsigned encoding,
                             const struct event *event)
{
    unsigned count = 0;
    list_each (pieces, node) {
        struct piece *piece = container_of(node, struct piece, node);
        if (piece->encoding == encoding && is_piece_of(hub, piece, event))
            return piece;
        if (++count == PIECES_MAX)
            return NULL;
    }
    return NULL;
}

static struct piece *find_piece(const struct hub *hub, unsigned encoding, const struct event *event)
{
    struct piece *piece = find_in(hub, &hub->pieces, encoding, event);
    return piece ? piece : find_in(hub, &hub->loose_pieces, encoding, event);
}

/* Returns a large event in a format with a reference, encoding it if that has not been done. */
static struct piece *take_piece(struct hub *hub, unsigned encoding, const struct event *event)
{
    struct piece *piece = find_piece(hub, encoding, event);
    if (piece)
        return piece_ref(piece);
    struct buf bytes = {0};
    hub->encode(hub->context, encoding, &bytes, event);
    piece = piece_new(&hub->room, encoding, &bytes);
    if (!piece)
        return NULL;
    if (event->state == EVENT_EPHEMERAL)
        piece->serial = hub->event_serial;
    else
        piece->id = event->id;
    list_add_last(&hub->pieces, &piece->node);
    hub->pieces_count++;
    hub->cached_pieces += piece->bytes.len;
    piece_ref(piece);
    cache_trim_for(hub, piece->bytes.len);
    return piece;
}

static bool add_large(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct piece *piece = take_piece(view->hub, view->encoding, event);
    /* An event that is encoded as nothing becomes a record without bytes. */
    bool good = piece &&
                (piece->bytes.len ? chunk_add_piece(chunk, event, piece) : chunk_add(chunk, event));
    piece_unref(piece);
    return good;
}

/* Adds the event to a chunk of the view. */
static bool encode_into(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct hub *hub = view->hub;
    if (event->data.len >= hub->limits.large_bytes)
        return add_large(view, chunk, event);
    hub->encode(hub->context, view->encoding, &chunk->bytes, event);
    return chunk_add(chunk, event);
}

/* The same for an event that goes to many views now: the first view of each format encodes it. */
static bool share_into(struct view *view, struct chunk *chunk, const struct event *event)
{
    struct hub *hub = view->hub;
    for (uint32_t i = 0; i < hub->shared_count; i++) {
        const struct hub_shared *shared = &hub->shared[i];
        if (shared->encoding != view->encoding)
            continue;
        buf_add(&chunk->bytes, shared->chunk->bytes.at + shared->start,
                shared->end - shared->start);
        return chunk_add(chunk, event);
    }
    uint32_t count = chunk->count;
    if (!encode_into(view, chunk, event))
        return false;
    if (hub->shared_count < HUB_SHARED && event->data.len < hub->limits.large_bytes)
        hub->shared[hub->shared_count++] = (struct hub_shared){
            chunk, view->encoding, chunk_start(chunk, count), chunk_start(chunk, count + 1)};
    return true;
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
    sub->fresh = false; /* from now on the cursor is the hub's own */
    set_state(sub, SUB_LIVE, &sub->view->live_subs);
}

/* Makes a subscriber live that has taken all of its view's live chunk. During the fan-out of an
 * event, its cursor may already be past `applied`. */
static void catch_up(struct hub *hub, struct sub *sub)
{
    if (sub->cursor < hub->applied)
        sub->cursor = hub->applied;
    go_live(sub);
}

/* Lets the subscriber wait until everything up to `until` was fanned out. */
static void wait_ahead(struct hub *hub, struct sub *sub, uint64_t until)
{
    sub->stamp = until;
    if (until < hub->ahead_least)
        hub->ahead_least = until;
    set_state(sub, SUB_WAITING, &hub->ahead);
}

/* Gives a subscriber the state that fits its cursor. At the newest position it is live at once:
 * ephemeral events pass by all subscribers that are not live, so it should not wait for a take.
 *
 * A subscriber waits if its cursor is from a thread that got the log's mail earlier, because events
 * up to the cursor must not come again. It also waits while an event is fanned out: the view may
 * have the event in its live chunk already, and a live subscriber gets only later records. */
static void settle(struct hub *hub, struct sub *sub)
{
    if (sub->cursor < hub->applied)
        fall_behind(sub);
    else if (sub->cursor == hub->applied && !hub->fan_out.under_way)
        go_live(sub);
    else
        wait_ahead(hub, sub, sub->cursor);
    if (sub->cursor == hub->applied && hub->fan_out.under_way)
        hub_await_pause(hub);
}

uint64_t hub_cursor(const struct hub *hub, const struct sub *sub)
{
    bool live = sub->state == SUB_LIVE && sub->cursor < hub->applied;
    return live ? hub->applied : sub->cursor;
}

bool hub_has_name(const struct hub *hub, struct str channel)
{
    const struct topic *topic = topics_find(&hub->topics, channel);
    return topic && topic->views.count;
}

struct selection *hub_selection(const struct sub *sub)
{
    return sub->view->selection;
}

/* ---- fan-out -------------------------------------------------------------------------------- */

static bool begin_live(struct view *view)
{
    view->live = chunk_new(&view->hub->room, view->hub->applied);
    if (!view->live)
        return false;
    view->live->first_stamp = view->stamp + 1;
    list_add_last(&view->hub->dirty, &view->dirty);
    return true;
}

/* Drops the live chunk: subscribers that were up to date read a page later. */
static void lose_live(struct view *view)
{
    uint64_t applied = view->hub->applied;
    drop_live(view);
    list_each (&view->queued_subs, node)
        fall_behind(container_of(node, struct sub, node));
    list_each (&view->live_subs, other) {
        struct sub *sub = container_of(other, struct sub, node);
        if (sub->cursor < applied)
            sub->cursor = applied;
        fall_behind(sub);
        sub->ops->wake(sub);
    }
}

/* Turns a live chunk that has grown too long, because its subscribers do not take it, into a page:
 * they find it by their cursors. */
static void retire_live(struct view *view)
{
    struct chunk *chunk = chunk_ref(view->live);
    lose_live(view);
    /* The chunk still has events that were trimmed while it grew. Subscribers that come later must
     * not get them, so it may not become a page. */
    bool plain = view->hub->window.trimmed <= chunk->from;
    for (uint32_t i = 0; i < chunk->count && plain; i++)
        plain = chunk->records[i].id != 0;
    if (plain && chunk->through > chunk->from)
        cache_add(view, chunk, false);
    else
        chunk_unref(chunk);
}

/* Drops the live chunk because too much is held for subscribers that do not take it; they read
 * pages later. Chunks that are being sent still count until they are freed. */
static void give_up_live(struct view *view)
{
    view->hub->fell_behind++;
    lose_live(view);
}

/* Whether the view's live chunk has to go because too much is held. Above live_max small ones are
 * spared, up to an eighth more: to drop them gains little, and an ephemeral event in them would be
 * lost because others hold much. */
static bool is_too_much(const struct view *view)
{
    const struct chunk_room *room = &view->hub->room;
    size_t most = view->hub->limits.live_max;
    if (room->account && account_excess(room->account))
        return true;
    if (!most || room->bytes <= most)
        return false;
    return chunk_len(view->live) > SPARED_BYTES || room->bytes - most > most / 8;
}

/* Charges a step of the fan-out. Returns whether there is budget for another. */
static bool spend(struct hub *hub, size_t bytes)
{
    return !hub->limits.slice_bytes || budget_spend(&hub->fan_out.budget, bytes);
}

static bool is_spent(const struct hub *hub)
{
    return hub->limits.slice_bytes && budget_is_spent(&hub->fan_out.budget);
}

/* Whether the view wants an event that matches one of its terms. */
static bool wants(const struct view *view, const struct event *event)
{
    return selection_has_type(view->selection, event->type) &&
           !selection_excepts(view->selection, event->channel);
}

static void put_event(struct view *view, const struct event *event)
{
    struct hub *hub = view->hub;
    size_t cost = VIEW_COST + (view->selection->except ? TERM_COST * (size_t)view->weight : 0);
    if (!view->exact && !wants(view, event)) {
        spend(hub, cost);
        return;
    }
    /* Without live subscribers there is no need to encode. */
    if (!view->live && list_empty(&view->live_subs))
        return;
    size_t len = view->live ? view->live->bytes.len : 0;
    if ((!view->live && !begin_live(view)) || !share_into(view, view->live, event)) {
        lose_live(view);
        return;
    }
    view->stamp++;
    if (event->state == EVENT_APPENDED)
        view->live->through = event->id;
    spend(hub, cost + view->live->bytes.len - len);
}

/* Queues the live subscribers of the view that lack a record. They are in the order of their
 * stamps, so the walk stops at the first that has everything. Returns whether there is budget for
 * more. */
static bool queue_subs(struct view *view)
{
    struct hub *hub = view->hub;
    struct list *node = view->live_subs.next;
    bool more = true;
    while (more && node != &view->live_subs) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->stamp == view->stamp)
            break;
        if (sub->cursor < hub->applied)
            sub->cursor = hub->applied;
        sub->state = SUB_QUEUED;
        node = node->next;
        sub->ops->wake(sub);
        more = spend(hub, SUB_COST);
    }
    list_take_until(&view->queued_subs, &view->live_subs, node);
    return more;
}

/* Whether the live chunk is too long because its subscribers do not take it. Pieces do not count if
 * live_max bounds them, since other chunks hold most of them too. */
static bool is_too_long(const struct chunk *chunk, const struct hub_limits *limits)
{
    size_t len = limits->live_max ? chunk->bytes.len : chunk_len(chunk);
    return len > limits->chunk_bytes;
}

/* Puts the event into the view and queues its subscribers. Returns whether that is done. */
static bool serve(struct view *view)
{
    struct hub *hub = view->hub;
    if (!hub->fan_out.put)
        put_event(view, hub->fan_out.event);
    hub->fan_out.put = true;
    if (!queue_subs(view))
        return false;
    if (view->live && is_too_long(view->live, &hub->limits))
        retire_live(view);
    else if (view->live && is_too_much(view))
        give_up_live(view);
    return true;
}

/* Releases the subscribers that this thread has caught up with. Called after every event; walks the
 * list only if a subscriber in it is due. */
static void release_ahead(struct hub *hub)
{
    if (hub->ahead_least > hub->applied)
        return;
    hub->ahead_least = UINT64_MAX;
    list_each (&hub->ahead, node) {
        struct sub *sub = container_of(node, struct sub, node);
        if (sub->stamp > hub->applied) {
            if (sub->stamp < hub->ahead_least)
                hub->ahead_least = sub->stamp;
            continue;
        }
        settle(hub, sub);
        sub->ops->wake(sub);
    }
}

static void end_event(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    fan_out->under_way = false;
    if (fan_out->event->state == EVENT_APPENDED)
        hub->applied = fan_out->event->id;
    /* Release them now: some wait for the end of this event, and the next may be ephemeral. */
    release_ahead(hub);
    if (fan_out->stops)
        budget_end(&fan_out->budget);
}

static void serve_views(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    while (fan_out->at < fan_out->views_count) {
        struct view *view = fan_out->views[fan_out->at];
        if (view && !serve(view))
            return;
        fan_out->put = false;
        fan_out->at++;
        if (is_spent(hub) && fan_out->at < fan_out->views_count)
            return;
    }
    end_event(hub);
}

static bool room_for_view(struct fan_out *fan_out)
{
    if (fan_out->views_count < fan_out->views_cap)
        return true;
    uint32_t cap = fan_out->views_cap ? fan_out->views_cap * 2 : VIEWS_FIRST;
    struct view **views = mem_try_realloc(fan_out->views, cap * sizeof(struct view *));
    if (!views)
        return false;
    fan_out->views = views;
    fan_out->views_cap = cap;
    return true;
}

/* Notes, once for each view, that the current event matches a term of the view. A view without live
 * subscribers is skipped: no subscriber becomes live while the event is fanned out. Without memory
 * for the note the view falls behind. */
static void gather_view(void *context, struct view *view)
{
    struct hub *hub = context;
    struct fan_out *fan_out = &hub->fan_out;
    bool known = view->serial == hub->event_serial;
    view->serial = hub->event_serial;
    if (known || (!view->live && list_empty(&view->live_subs))) {
        spend(hub, VIEW_COST);
        return;
    }
    if (!room_for_view(fan_out)) {
        lose_live(view);
        return;
    }
    view->place = fan_out->views_count;
    fan_out->views[fan_out->views_count++] = view;
}

static void begin_event(struct hub *hub, const struct event *event, const struct topic *topic)
{
    struct fan_out *fan_out = &hub->fan_out;
    hub->event_serial++;
    hub->shared_count = 0;
    fan_out->event = event;
    fan_out->under_way = true;
    fan_out->put = fan_out->paused = false;
    fan_out->views_count = fan_out->at = 0;
    struct view *view;
    for (uint32_t i = 0; topic && (view = view_set_next(&topic->views, &i));)
        gather_view(hub, view);
    uint64_t looked_at = topics_match_patterns(&hub->topics, event->channel, gather_view, hub);
    if (looked_at || !fan_out->views_count)
        spend(hub, BRANCH_COST * looked_at);
    serve_views(hub);
}

/* Ends an event that no view can want: most channels have no subscribers. */
static void pass_event(struct hub *hub, const struct event *event)
{
    if (event->state == EVENT_APPENDED)
        hub->applied = event->id;
    spend(hub, 0);
    release_ahead(hub);
}

static void fan_out_event(struct hub *hub, const struct event *event, const struct topic *topic)
{
    if ((topic && topic->views.count) || hub->topics.patterns)
        begin_event(hub, event, topic);
    else
        pass_event(hub, event);
}

static void next_event(struct hub *hub, const struct event *event)
{
    if (event->state == EVENT_APPENDED) {
        fan_out_event(hub, event, window_put(&hub->window, event));
    } else if (event->state == EVENT_EPHEMERAL) {
        fan_out_event(hub, event, topics_find_of(&hub->topics, event));
    } else if (event->state == EVENT_TRIM) {
        window_trim(&hub->window, event);
        cache_trim(hub, 0); /* deleted events must not reach subscribers that come later */
    }
}

static void end_batch(struct hub *hub, struct batch *batch)
{
    struct fan_out *fan_out = &hub->fan_out;
    window_close(&hub->window, batch);
    atomic_fetch_sub_explicit(&hub->port.backlog, batch_bytes(batch), memory_order_relaxed);
    batch_unref(batch);
    fan_out->open = false;
    fan_out->next = 0;
    if (++fan_out->first == fan_out->end)
        fan_out->first = fan_out->end = 0;
}

/* Does one step of the first batch. */
static void fan_out_step(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    struct batch *batch = fan_out->batches[fan_out->first];
    if (!fan_out->open) {
        window_open(&hub->window, batch);
        fan_out->open = true;
    } else if (fan_out->under_way) {
        serve_views(hub);
    } else if (fan_out->next < batch->count) {
        next_event(hub, &batch->events[fan_out->next++]);
    } else {
        end_batch(hub, batch);
    }
}

/* Fans out until the budget is spent. */
static void fan_out_go_on(struct hub *hub)
{
    struct fan_out *fan_out = &hub->fan_out;
    while (fan_out->first < fan_out->end && !is_spent(hub))
        fan_out_step(hub);
    if (fan_out->first < fan_out->end)
        hub->fan_outs_put_off++;
    fan_out->paused = true;
    hub->shared_count = 0; /* the shared bytes may lie in chunks that go away */
    if (!fan_out->under_way)
        release_ahead(hub);
}

static void fan_out_all(struct hub *hub)
{
    while (hub->fan_out.first < hub->fan_out.end)
        fan_out_step(hub);
    release_ahead(hub);
}

static bool room_for_batch(struct fan_out *fan_out)
{
    if (fan_out->end < fan_out->cap)
        return true;
    if (fan_out->first) {
        size_t count = fan_out->end - fan_out->first;
        memmove(fan_out->batches, fan_out->batches + fan_out->first,
                count * sizeof(struct batch *));
        fan_out->first = 0;
        fan_out->end = count;
        return true;
    }
    struct batch **batches =
        mem_try_realloc(fan_out->batches, fan_out->cap * 2 * sizeof(struct batch *));
    if (!batches)
        return false;
    fan_out->batches = batches;
    fan_out->cap *= 2;
    return true;
}

static uint64_t newest_in(const struct batch *batch)
{
    for (uint32_t i = batch->count; i-- > 0;)
        if (batch->events[i].state == EVENT_APPENDED)
            return batch->events[i].id;
    return 0;
}

/* Queued batches count as the hub's backlog, so that publishers wait if it is too large. Without
 * memory to queue a batch, everything is fanned out at once. */
void hub_on_batch(struct hub *hub, struct batch *batch)
{
    struct fan_out *fan_out = &hub->fan_out;
    uint64_t newest = newest_in(batch);
    if (!room_for_batch(fan_out))
        fan_out_all(hub);
    fan_out->batches[fan_out->end++] = batch_ref(batch);
    if (newest)
        fan_out->posted = newest;
    atomic_fetch_add_explicit(&hub->port.backlog, batch_bytes(batch), memory_order_relaxed);
    fan_out_go_on(hub);
}

void hub_pass(struct hub *hub, struct batch *batch)
{
    fan_out_all(hub);
    window_pass(&hub->window, batch);
    hub->applied = hub->fan_out.posted = hub->window.applied;
}

/* Wakes subscribers whose page was put off, as many as a turn may serve. */
static void wake_put_off(struct hub *hub)
{
    struct list *node;
    for (int i = 0; i < PUT_OFF_A_TURN && (node = list_take_first(&hub->put_off)); i++) {
        struct sub *sub = container_of(node, struct sub, node);
        fall_behind(sub);
        sub->ops->wake(sub);
    }
}

static void end_read(struct view_read *read);

static void end_reads_put_off(struct hub *hub)
{
    while (!list_empty(&hub->reads_put_off) && !budget_is_spent(&hub->paging))
        end_read(container_of(hub->reads_put_off.next, struct view_read, put_off));
}

/* The last flush came where the fan-out stands now. */
static void look_for_pause(struct fan_out *fan_out)
{
    if (!fan_out->under_way)
        fan_out->awaited = fan_out->stops = false;
    fan_out->turns_within = fan_out->awaited ? fan_out->turns_within + 1 : 0;
    fan_out->stops = fan_out->turns_within >= TURNS_WITHIN_MAX;
}

void hub_turn(struct hub *hub)
{
    int64_t bytes = (int64_t)hub->limits.slice_bytes;
    /* The time of these budgets begins with the work, because the owner may sleep before. */
    budget_begin_late(&hub->fan_out.budget, hub->clock, SLICE_US, bytes);
    budget_begin_late(&hub->paging, hub->clock, SLICE_US, bytes);
    look_for_pause(&hub->fan_out);
    end_reads_put_off(hub);
    wake_put_off(hub);
    if (hub->fan_out.first < hub->fan_out.end)
        fan_out_go_on(hub);
}

void hub_miss(struct hub *hub, uint64_t upto)
{
    fan_out_all(hub);
    window_miss(&hub->window, upto);
    cache_trim(hub, 0);
    for (struct map_node *node = map_next(&hub->views, NULL); node;
         node = map_next(&hub->views, node))
        lose_live(container_of(node, struct view, node));
    hub->applied = hub->fan_out.posted = hub->window.applied;
    release_ahead(hub);
}

void hub_turn_end(struct hub *hub)
{
    if (hub_is_busy(hub))
        return;
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
    if (!encode_into(paging->view, paging->chunk, event)) {
        paging->failed = true;
        return false;
    }
    return chunk_len(paging->chunk) < paging->most;
}

static void spend_on_page(struct hub *hub, const struct chunk *chunk)
{
    if (hub->limits.slice_bytes)
        budget_spend(&hub->paging, chunk_len(chunk));
}

static uint64_t rows_a_take(const struct view *view)
{
    if (window_follows(view->selection))
        return WINDOW_WALK_MAX;
    return ROWS_A_TAKE / (1 + view->weight / TERMS_FEW) + 1;
}

static struct chunk *page_from_window(struct view *view, uint64_t cursor)
{
    struct hub *hub = view->hub;
    struct chunk *chunk = chunk_new(&hub->room, cursor);
    if (!chunk)
        return NULL;
    struct paging paging = {view, chunk, hub->limits.chunk_bytes, false};
    chunk->through =
        window_read(&hub->window, view->selection, cursor, rows_a_take(view),
                    hub->limits.slice_bytes ? &hub->paging : NULL, page_event, &paging);
    if (paging.failed)
        chunk->through = chunk->count ? chunk->records[chunk->count - 1].id : cursor;
    if (chunk->through == cursor)
        return chunk_unref(chunk); /* no memory even for one event */
    spend_on_page(hub, chunk);
    cache_add(view, chunk_ref(chunk), false);
    return chunk;
}

/* ---- pages from the store ------------------------------------------------------------------- */

static struct chunk *page_from_batch(struct view *view, const struct view_read *read)
{
    uint64_t after = read->fetch.query.after;
    const struct batch *batch = read->fetch.batch;
    struct chunk *chunk = chunk_new(&view->hub->room, after);
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

/* Makes a page of the events that were read, for the subscribers that wait. */
static void take_read(struct view_read *read)
{
    int error = read->fetch.error;
    if (!error) {
        if (read->fetch.batch && read->trims != read->hub->window.trims)
            log_hide_trimmed(read->hub->log, read->fetch.batch);
        struct chunk *chunk = page_from_batch(read->view, read);
        if (chunk) {
            spend_on_page(read->hub, chunk);
            cache_add(read->view, chunk, true);
        } else {
            error = -ENOMEM;
        }
    }
    if (error)
        say(SAY_WARN, "read_failed", "error=%d", -error);
    wake_waiting(read, error);
}

static void end_read(struct view_read *read)
{
    if (!read->fetch.question.dropped) {
        map_remove(&read->hub->wanted, &read->node);
        take_read(read);
    }
    list_remove(&read->put_off);
    log_fetch_deinit(&read->fetch);
    question_end(&read->fetch.question);
    free(read);
}

/* Makes the page now if the turn has budget left for pages: many reads may end at once. */
static void read_done(struct log_fetch *fetch)
{
    struct view_read *read = container_of(fetch, struct view_read, fetch);
    struct hub *hub = read->hub;
    if (fetch->question.dropped || !hub->limits.slice_bytes || !budget_is_spent(&hub->paging)) {
        end_read(read);
        return;
    }
    hub->pages_put_off++;
    list_add_last(&hub->reads_put_off, &read->put_off);
}

/* Starts a read. A subscriber that takes few events reads no more than that. */
static struct view_read *read_start(struct view *view, const struct sub *sub)
{
    struct hub *hub = view->hub;
    bool few = sub->most && sub->most < EVENTS_A_READ;
    struct view_read *read = mem_try_alloc(sizeof(*read));
    if (!read)
        return NULL;
    struct store_query query = {.after = sub->cursor,
                                .upto = hub->applied,
                                .limit = few ? sub->most : EVENTS_A_READ,
                                .bytes = hub->limits.chunk_bytes,
                                .rows = LOG_READ_ROWS};
    *read = (struct view_read){.view = view, .hub = hub, .trims = hub->window.trims};
    log_fetch_init(&read->fetch, hub->asker, view->selection, &query, read_done);
    list_init(&read->waiting);
    map_add(&hub->wanted, &read->node, read_key(&(struct read_key){view, sub->cursor}));
    question_ask(&read->fetch.question);
    return read;
}

static enum take wait_for_read(struct sub *sub)
{
    struct view *view = sub->view;
    struct map_node *node =
        map_find(&view->hub->wanted, read_key(&(struct read_key){view, sub->cursor}));
    struct view_read *read =
        node ? container_of(node, struct view_read, node) : read_start(view, sub);
    if (!read)
        return TAKE_FAILED;
    set_state(sub, SUB_WAITING, &read->waiting);
    return TAKE_WAIT;
}

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
        fall_behind(sub);
        return TAKE_WAIT; /* hub_take() looks again */
    }
    uint32_t first = (uint32_t)(sub->stamp + 1 - chunk->first_stamp);
    if (take_records(sub, chunk, first, taken) == TAKE_BYTES)
        return TAKE_BYTES;
    catch_up(hub, sub);
    return TAKE_NOTHING;
}

/* log_trimmed() of the view's selection, remembered until the log trims again. With many patterns
 * it takes milliseconds, and a subscriber that catches up asks for each page. */
static uint64_t view_trimmed(struct view *view)
{
    uint64_t trims = log_trims(view->hub->log);
    if (view->trims != trims) {
        view->trimmed = log_trimmed(view->hub->log, view->selection);
        view->trims = trims;
    }
    return view->trimmed;
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

/* Moves the cursor to the newest position if there is nothing to read and no gap to report. A
 * subscriber that resumes on a quiet channel is then live at once, like one that begins now. */
static void skip_nothing(struct hub *hub, struct sub *sub)
{
    uint64_t known = sub->cursor > sub->told ? sub->cursor : sub->told;
    if (sub->cursor < hub->applied &&
        !window_may_have(&hub->window, sub->view->selection, sub->cursor) &&
        view_trimmed(sub->view) <= known)
        sub->cursor = hub->applied;
}

/* Lets the subscriber wait for a later turn: this one has spent its budget for pages. */
static enum take put_off(struct hub *hub, struct sub *sub)
{
    hub->pages_put_off++;
    set_state(sub, SUB_WAITING, &hub->put_off);
    return TAKE_WAIT;
}

static enum take take_page(struct hub *hub, struct sub *sub, struct taken *taken)
{
    struct view *view = sub->view;
    struct chunk *chunk = cache_find(view, sub->cursor);
    if (chunk)
        chunk_ref(chunk);
    else if (sub->cursor >= hub->window.held_above && budget_is_spent(&hub->paging))
        return put_off(hub, sub);
    else if (sub->cursor >= hub->window.held_above)
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
    while (sub->cursor < hub->applied) {
        if (has_gap(hub, sub, ret_taken))
            return TAKE_GAP;
        enum take take = take_page(hub, sub, ret_taken);
        if (take != TAKE_NOTHING)
            return take;
    }
    settle(hub, sub);
    return sub_is_live(sub) ? TAKE_NOTHING : TAKE_WAIT;
}

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
        fall_behind(sub);
    else if (sub->state == SUB_QUEUED && chunk == sub->view->live && next == chunk->count)
        catch_up(hub, sub);
    else if (!blocked && sub->state == SUB_BEHIND)
        settle(hub, sub);
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

/* ---- subscribing ---------------------------------------------------------------------------- */

/* Adds the subscriber to its view, at its cursor and not yet in a state. */
static int enter_view(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                      struct selection *selection, unsigned encoding, uint64_t cursor,
                      uint64_t told)
{
    struct view *view = view_get(hub, selection, encoding);
    if (!view)
        return topics_has_room(&hub->topics, selection) ? -ENOMEM : -ENOSPC;
    view->subs++;
    hub->subs++;
    *sub = (struct sub){
        .view = view, .ops = ops, .cursor = cursor, .told = told, .skip = sub->skip, .fresh = true};
    return 0;
}

int hub_subscribe(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
                  struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told)
{
    int result = enter_view(hub, sub, ops, selection, encoding, cursor, told);
    if (result)
        return result;
    skip_nothing(hub, sub);
    /* A client that publishes and then subscribes must find its event, even if it is not fanned out
     * yet. */
    if (hub->fan_out.posted > hub->applied)
        wait_ahead(hub, sub, sub->cursor > hub->fan_out.posted ? sub->cursor : hub->fan_out.posted);
    else
        settle(hub, sub);
    return 0;
}

int hub_go_on(struct hub *hub, struct sub *sub, const struct sub_ops *ops,
              struct selection *selection, unsigned encoding, uint64_t cursor, uint64_t told)
{
    int result = enter_view(hub, sub, ops, selection, encoding, cursor, told);
    if (result)
        return result;
    settle(hub, sub);
    return 0;
}

/* The read that only this subscriber waits for; NULL if there is none. A lone node has the list's
 * head on both sides. */
static struct view_read *read_of_last(const struct hub *hub, const struct sub *sub)
{
    struct list *head = sub->node.next;
    if (sub->state != SUB_WAITING || head != sub->node.prev || head == &hub->ahead ||
        head == &hub->put_off)
        return NULL;
    return container_of(head, struct view_read, waiting);
}

void hub_unsubscribe(struct hub *hub, struct sub *sub)
{
    if (sub->state == SUB_NONE)
        return;
    struct view_read *idle = read_of_last(hub, sub);
    set_state(sub, SUB_NONE, NULL);
    if (idle)
        drop_read(idle);
    sub->taken = chunk_unref(sub->taken);
    hub->subs--;
    view_release(sub->view);
    sub->view = NULL;
}

void hub_stats(const struct hub *hub, struct hub_stats *ret_stats)
{
    *ret_stats = (struct hub_stats){.deliveries = hub->deliveries,
                                    .views = hub->views_count,
                                    .window_bytes = window_bytes(&hub->window),
                                    .window_own_bytes = window_own_bytes(&hub->window),
                                    .fell_behind = hub->fell_behind,
                                    .fan_outs_put_off = hub->fan_outs_put_off,
                                    .pages_put_off = hub->pages_put_off};
}

int hub_init(struct hub *hub, struct asker *asker, struct clock *clock, struct mailbox *mailbox,
             const struct hub_limits *limits, hub_encode *encode, void *context,
             void (*on_batch)(void *owner, struct batch *batch))
{
    *hub = (struct hub){
        .log = asker->log, .asker = asker, .clock = clock, .encode = encode, .context = context};
    hub->port.mailbox = mailbox;
    hub->port.on_batch = on_batch;
    hub->port.backlog_max = limits->backlog_max;
    hub->port.on_missed = limits->on_missed;
    topics_init(&hub->topics, log_name_seed(hub->log));
    map_init(&hub->views, view_is);
    map_init(&hub->wanted, read_is);
    list_init(&hub->dirty);
    list_init(&hub->cache);
    list_init(&hub->pieces);
    list_init(&hub->loose_pieces);
    list_init(&hub->put_off);
    list_init(&hub->reads_put_off);
    hub->fan_out.cap = BATCHES_FIRST;
    hub->fan_out.batches = mem_alloc(BATCHES_FIRST * sizeof(struct batch *));
    list_init(&hub->ahead);
    hub->ahead_least = UINT64_MAX;
    window_init(&hub->window, &hub->topics, limits->window_bytes, log_newest(hub->log));
    hub_limit(hub, limits);
    hub->applied = hub->fan_out.posted = hub->window.applied;
    return log_attach(hub->log, &hub->port);
}

void hub_limit(struct hub *hub, const struct hub_limits *limits)
{
    hub->limits = *limits;
    if (!hub->limits.large_bytes)
        hub->limits.large_bytes = LARGE_BYTES;
    hub->topics.branches_max = limits->branches_max;
    hub->window.bytes_max = limits->window_bytes;
}

void hub_deinit(struct hub *hub)
{
    fan_out_all(hub);
    list_each (&hub->reads_put_off, node)
        end_read(container_of(node, struct view_read, put_off));
    free(hub->fan_out.batches);
    free(hub->fan_out.views);
    cache_trim(hub, 0);
    window_deinit(&hub->window);
    map_deinit(&hub->views);
    map_deinit(&hub->wanted);
    topics_deinit(&hub->topics);
    buf_free(&hub->key);
}
