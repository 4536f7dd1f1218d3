#include "hub/page_read.h"

#include "base/say.h"
#include "hub/encode.h"
#include "hub/page_cache.h"
#include "hub/sub_state.h"
#include "log/fetch.h"

#include <errno.h>
#include <stdlib.h>

enum { PUT_OFF_A_TURN = 64 };

/* Rows of the window that a page looks at: ROWS_A_TAKE for a selection of up to TERMS_FEW terms,
 * proportionally fewer for more terms. Rows that are found by channel need no comparison: a page
 * looks at WINDOW_WALK_MAX of them. */
enum { ROWS_A_TAKE = 1024, TERMS_FEW = 8, EVENTS_A_READ = 1000 };

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

struct chunk *page_read_window(struct view *view, uint64_t cursor)
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
        sub_fall_behind(sub);
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

enum take page_read_store(struct sub *sub)
{
    struct view *view = sub->view;
    struct map_node *node =
        map_find(&view->hub->wanted, read_key(&(struct read_key){view, sub->cursor}));
    struct view_read *read =
        node ? container_of(node, struct view_read, node) : read_start(view, sub);
    if (!read)
        return TAKE_FAILED;
    sub_set_state(sub, SUB_WAITING, &read->waiting);
    return TAKE_WAIT;
}

/* ---- putting off ---------------------------------------------------------------------------- */

enum take page_read_put_off(struct hub *hub, struct sub *sub)
{
    hub->pages_put_off++;
    sub_set_state(sub, SUB_WAITING, &hub->put_off);
    return TAKE_WAIT;
}

/* Wakes subscribers whose page was put off, as many as a turn may serve. */
static void wake_put_off(struct hub *hub)
{
    struct list *node;
    for (int i = 0; i < PUT_OFF_A_TURN && (node = list_take_first(&hub->put_off)); i++) {
        struct sub *sub = container_of(node, struct sub, node);
        sub_fall_behind(sub);
        sub->ops->wake(sub);
    }
}

static void end_reads_put_off(struct hub *hub)
{
    while (!list_empty(&hub->reads_put_off) && !budget_is_spent(&hub->paging))
        end_read(container_of(hub->reads_put_off.next, struct view_read, put_off));
}

void page_read_go_on(struct hub *hub)
{
    end_reads_put_off(hub);
    wake_put_off(hub);
}

/* ---- leaving -------------------------------------------------------------------------------- */

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

/* Drops a read for which no subscriber waits any more. Its answer still comes, and frees it. */
static void drop_read(struct view_read *read)
{
    map_remove(&read->hub->wanted, &read->node);
    question_drop(&read->fetch.question);
}

void page_read_leave(struct hub *hub, struct sub *sub)
{
    struct view_read *idle = read_of_last(hub, sub);
    sub_set_state(sub, SUB_NONE, NULL);
    if (idle)
        drop_read(idle);
}

/* ---- the hub's part ------------------------------------------------------------------------- */

void page_read_init(struct hub *hub)
{
    map_init(&hub->wanted, read_is);
    list_init(&hub->put_off);
    list_init(&hub->reads_put_off);
}

void page_read_deinit(struct hub *hub)
{
    list_each (&hub->reads_put_off, node)
        end_read(container_of(node, struct view_read, put_off));
    map_deinit(&hub->wanted);
}
