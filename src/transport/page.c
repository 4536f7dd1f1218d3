#include "transport/page.h"

#include "log/fetch.h"
#include "transport/attendance.h"
#include "transport/page_answer.h"
#include "transport/page_before.h"
#include "transport/rounds.h"

#include <stdlib.h>

/* The size of a held page: less than a full page, since many pages may be held at a time. */
enum { HELD_BYTES = 16 * 1024 };

/* The store is read in pieces of LOG_READ_ROWS; a request may use this many. */
enum {
    READS_MAX = LOG_REQUEST_SLICES * LOG_SLICE_ROWS / LOG_READ_ROWS,
    READS_LEAVING = LOG_LEAVING_SLICES * LOG_SLICE_ROWS / LOG_READ_ROWS,
};

/* Room for events that come one by one at a usual pace. */
enum { AGES_MAX = 8 };

/* The acceptance times of a page's events behind the first time. */
struct page_ages {
    uint32_t count;
    uint32_t events[AGES_MAX - 1]; /* number of events of each time */
    int64_t since_ns[AGES_MAX - 1];
};

/* A page being filled: a subscriber that ends when it has an event. */
struct page_wait {
    struct waiting waiting;
    struct sub sub;
    struct exchange *exchange; /* as long as this exists, the array is open */
    struct reading *reading;
    struct start_search *search;
    struct buf events; /* JSON, each followed by a comma; counted in the exchange's holding */
    uint32_t count;
    uint32_t reads;        /* questions to the store that it has waited for */
    uint64_t read_after;   /* the cursor of the last of these questions */
    uint64_t known;        /* the id up to which the client says that it knows of gaps; else 0 */
    uint64_t looked_until; /* the search for last=N was given up above this id; 0: it was not */
    uint32_t timed;        /* events whose time is noted */
    bool expired;
    bool owes;   /* a gap above `known` is not reported yet; the client's next request reports it */
    bool idle;   /* waits for a new event, not for a read of the store */
    bool waited; /* the page was empty at first */
    uint32_t first_events;   /* events that came at first_ns */
    int64_t first_ns;        /* when the first event of the page was accepted */
    struct page_ages *later; /* NULL: all events have the same time, as in most polls */
    struct paced paced;      /* while the page has an event and waits for its pace */
};

/* ---- gathering ------------------------------------------------------------------------------- */

static struct page_ages *later_ages(struct page_wait *wait)
{
    if (wait->later)
        return wait->later;
    wait->later = mem_try_alloc(sizeof(*wait->later));
    if (wait->later)
        *wait->later = (struct page_ages){.count = 0};
    return wait->later;
}

/* Notes when events were accepted, for the latency: a page that is held makes its events late. If
 * all places are in use, later events count as accepted with the one before: too old, never too
 * young. */
static void time_events(struct page_wait *wait, int64_t since_ns, uint32_t count)
{
    if (!count)
        return;
    wait->timed += count;
    if (!wait->first_events) {
        wait->first_ns = since_ns;
        wait->first_events = count;
        return;
    }
    struct page_ages *later = later_ages(wait);
    if (!later) { /* without memory: latency is not worth refusing a page */
        wait->first_events += count;
        return;
    }
    if (later->count < AGES_MAX - 1)
        later->since_ns[later->count++] = since_ns;
    later->events[later->count - 1] += count;
}

/* Do not record latency for a page of old events: the delay is the client's, not the server's. Only
 * the time for which the page is held counts. */
static void time_taken(struct page_wait *wait, const struct record *first, uint32_t count)
{
    if (wait->sub.keeps_up && first->accepted_ns)
        time_events(wait, first->accepted_ns, count);
}

static void tell_times(const struct page_wait *wait)
{
    struct hub *hub = &wait->exchange->worker->hub;
    const struct page_ages *later = wait->later;
    if (wait->first_events)
        hub_timed(hub, wait->first_ns, wait->first_events);
    for (unsigned i = 0; later && i < later->count; i++)
        hub_timed(hub, later->since_ns[i], later->events[i]);
}

/* Whether the page is full before `bytes` more are added. */
static bool is_full_for(const struct page_wait *wait, size_t size)
{
    return wait->count >= wait->reading->limit ||
           (wait->count && wait->events.len + size > PAGE_BYTES);
}

/* Adds the taken records to the page; true if the page is full. */
static bool put(struct page_wait *wait, const struct taken *taken)
{
    const struct chunk *chunk = taken->chunk;
    uint32_t record = taken->first;
    size_t moved = 0;
    bool full = false;
    while (record < taken->end && !full) {
        struct str bytes = chunk_record(chunk, record);
        full = is_full_for(wait, bytes.len);
        if (full)
            break;
        buf_add_str(&wait->events, bytes);
        moved += bytes.len;
        wait->count++;
        record++;
    }
    holding_set(&wait->exchange->worker->holdings, &wait->exchange->holding, ACCOUNT_ANSWERS,
                wait->events.cap);
    time_taken(wait, &chunk->records[taken->first], record - taken->first);
    hub_sent(&wait->exchange->worker->hub, &wait->sub, moved, false);
    return full;
}

static void release(struct page_wait *wait, struct worker *worker)
{
    start_drop(&wait->search);
    desk_leave(&worker->desk, wait);
    pace_end(&wait->paced);
    stat_add(&worker->stats.subscribers[FORMAT_PAGE], UINT64_MAX);
    hub_unsubscribe(&worker->hub, &wait->sub);
    reading_free(wait->reading);
    buf_free(&wait->events);
    free(wait->later);
    free(wait);
}

/* ---- the pace -------------------------------------------------------------------------------- */

/* A connection has 16 bits for this. So a poll 65 s after the last one may be taken for one that
 * follows at once, and be held like it. */
static uint16_t now_ms(const struct page_wait *wait)
{
    return (uint16_t)(wait->exchange->worker->loop.now_ns / 1000000);
}

static void note_answer(struct page_wait *wait)
{
    if (!wait->reading->wait_s || !wait->count)
        return;
    *wait->exchange->request->ops->pace(wait->exchange->request) =
        (struct poll_pace){.ms = now_ms(wait), .is_set = true};
}

static int64_t pace_left_ms(const struct page_wait *wait)
{
    const struct poll_pace *pace = wait->exchange->request->ops->pace(wait->exchange->request);
    if (!wait->reading->wait_s || !pace->is_set || wait->expired)
        return 0;
    uint16_t since = (uint16_t)(now_ms(wait) - pace->ms);
    const struct worker *worker = wait->exchange->worker;
    return pace_ms(worker->config.limits.poll_pace_ms, worker->loop.load) - since;
}

static struct page_wait *of_paced(struct paced *paced)
{
    return container_of(paced, struct page_wait, paced);
}

static bool is_trimmed(const struct paced *paced, uint64_t trimmed)
{
    return trimmed > container_of(paced, const struct page_wait, paced)->reading->start.cursor;
}

static void end_hold(struct paced *paced)
{
    struct page_wait *wait = of_paced(paced);
    wait->expired = true; /* treats its wait as over */
    request_stream_dirty(wait->exchange->request);
}

static const struct pace_ops pace_ops = {.is_trimmed = is_trimmed, .end = end_hold};

/* Whether to hold the page back and wait for more events. */
static bool hold(struct page_wait *wait)
{
    struct worker *worker = wait->exchange->worker;
    int64_t ms = pace_left_ms(wait);
    if (ms <= 0 || wait->count >= wait->reading->limit || wait->events.len >= HELD_BYTES)
        return false;
    if (pace_holds(&wait->paced))
        return true;
    time_events(wait, worker->loop.now_ns, wait->count - wait->timed);
    pace_hold(&worker->pace, &wait->paced, worker->loop.now_ns + ms * 1000000, &pace_ops);
    return true;
}

/* ---- answering ------------------------------------------------------------------------------- */

/* The id up to which the client will know of gaps after this page, if that is not its cursor. */
static uint64_t told_at(const struct page_wait *wait, uint64_t cursor)
{
    if (wait->owes)
        return wait->known;
    return wait->sub.told > cursor ? wait->sub.told : 0;
}

static void finish(struct page_wait *wait, bool more)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    uint64_t cursor = more ? wait->sub.cursor : hub_cursor(&worker->hub, &wait->sub);
    struct page_content content = {.events = buf_str(&wait->events),
                                   .cursor = cursor,
                                   .told = told_at(wait, cursor),
                                   .first = wait->looked_until,
                                   .more = more,
                                   .waited = wait->waited};
    note_answer(wait);
    exchange_end_wait(exchange);
    if (buf_failed(&wait->events)) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
    } else {
        tell_times(wait);
        page_answer(exchange, wait->reading, &content);
    }
    release(wait, worker);
}

static void finish_gap(struct page_wait *wait, const struct gap *gap)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    exchange_end_wait(exchange);
    page_answer_gap(exchange, wait->reading, gap);
    release(wait, worker);
}

static void refuse(struct page_wait *wait, enum problem problem, struct str detail)
{
    struct exchange *exchange = wait->exchange;
    struct worker *worker = exchange->worker;
    exchange_end_wait(exchange);
    exchange_problem(exchange, problem, detail, STR_NONE);
    release(wait, worker);
}

static void fail(struct page_wait *wait)
{
    refuse(wait, PROBLEM_UNAVAILABLE, STR("the store cannot be read: try again"));
}

static void wait_for_first(struct page_wait *wait)
{
    wait->idle = true;
    wait->waited = true;
}

/* A client that has shut its side waits for its answer or is gone; only a write tells which. So end
 * its wait. */
static bool is_over(const struct page_wait *wait)
{
    return !wait->reading->wait_s || wait->expired ||
           request_stream_conn(wait->exchange->request)->hup;
}

/* Reports a gap that was found before the first event, or after which there are no events. */
static void tell_gap(struct page_wait *wait, uint64_t trimmed)
{
    struct gap gap = gap_behind(wait->exchange->worker->config.log, wait->sub.cursor, trimmed);
    if (wait->owes)
        gap.after = wait->known;
    finish_gap(wait, &gap);
}

/* A client that reads from the beginning gets the page, and its next request reports the lost
 * events. To refuse the page would refuse it for as long as the hole is in the log. `known` becomes
 * 1: all ids are above it. */
static void owe_loss(struct page_wait *wait)
{
    if (wait->owes || log_lost(wait->exchange->worker->config.log) <= wait->sub.cursor)
        return;
    wait->owes = true;
    wait->known = PAGE_KNOWS_NO_GAP;
}

/* Whether the page continues in spite of a gap. A client that was just told of a gap gets the
 * events behind it first, and the next gap with its next request. Otherwise retention that trims
 * more often than the client asks would answer 410 for ever. */
static bool passes_over(struct page_wait *wait)
{
    if (wait->count)
        return false;
    if (position_claims_nothing(&wait->reading->from)) {
        owe_loss(wait);
        return true;
    }
    wait->owes = wait->owes || wait->known;
    return wait->owes;
}

/* Whether the request has read its share of the store: a million rows, or fewer if its client may
 * be gone. The page then ends, even if it is empty, and its cursor says how far the log was
 * read. */
static bool read_enough(struct page_wait *wait)
{
    const struct request_stream *request = wait->exchange->request;
    if (!hub_sub_reads_store(&request->worker->hub, &wait->sub) ||
        (wait->reads && wait->read_after == wait->sub.cursor))
        return false;
    wait->read_after = wait->sub.cursor;
    return wait->reads++ >= (request_stream_conn(request)->hup ? READS_LEAVING : READS_MAX);
}

static void look(struct page_wait *wait)
{
    struct hub *hub = &wait->exchange->worker->hub;
    struct taken taken;
    wait->idle = false;
    for (;;) {
        uint64_t told = wait->sub.told;
        /* Read one more than fits, to see whether there are more. */
        wait->sub.most = wait->reading->limit - wait->count + 1;
        switch (hub_take(hub, &wait->sub, &taken)) {
        case TAKE_BYTES:
            if (!put(wait, &taken))
                continue;
            finish(wait, true);
            return;
        case TAKE_GAP:
            if (passes_over(wait))
                continue;
            if (!wait->count) {
                tell_gap(wait, taken.trimmed);
                return;
            }
            wait->sub.told = told; /* the next page reports the gap */
            finish(wait, true);
            return;
        case TAKE_FAILED:
            fail(wait);
            return;
        case TAKE_WAIT:
            if (read_enough(wait)) {
                worker_put_off(wait->exchange->worker, BUDGET_SEARCH);
                finish(wait, true);
            }
            return;
        case TAKE_NOTHING:
            if (wait->owes && !wait->count && !position_claims_nothing(&wait->reading->from))
                tell_gap(wait, wait->sub.told);
            else if (wait->count ? !hold(wait) : is_over(wait))
                finish(wait, false);
            else if (!wait->count)
                wait_for_first(wait);
            return;
        }
    }
}

static void wake(struct sub *sub)
{
    request_stream_woken(container_of(sub, struct page_wait, sub)->exchange->request, sub);
}

static const struct sub_ops sub_ops = {.wake = wake, .holds = true};

/* ---- waiting --------------------------------------------------------------------------------- */

static struct page_wait *of_waiting(struct waiting *waiting)
{
    return container_of(waiting, struct page_wait, waiting);
}

static void look_again(struct waiting *waiting)
{
    struct page_wait *wait = of_waiting(waiting);
    if (wait->sub.state != SUB_NONE)
        look(wait);
}

static void ring(struct waiting *waiting)
{
    struct page_wait *wait = of_waiting(waiting);
    wait->expired = true;
    if (sub_is_live(&wait->sub))
        finish(wait, false);
}

/* A client whose read is under way gets its result, although it may be gone. */
static void leave(struct waiting *waiting)
{
    if (of_waiting(waiting)->idle)
        ring(waiting);
}

static void drop(struct waiting *waiting)
{
    struct page_wait *wait = of_waiting(waiting);
    struct exchange *exchange = wait->exchange;
    release(wait, exchange->worker);
    exchange_free(exchange);
}

static void tell(const struct waiting *waiting, struct subscription_facts *facts)
{
    const struct page_wait *wait = container_of(waiting, struct page_wait, waiting);
    const struct exchange *exchange = wait->exchange;
    facts->format = FORMAT_PAGE;
    facts->caller = exchange->caller;
    facts->since_s = (uint32_t)(exchange->since_ns / 1000000000);
    if (wait->sub.view)
        facts_add(facts, &exchange->worker->hub, &wait->sub);
    else
        facts_add_terms(facts, wait->reading->selection);
}

static const struct waiting_ops waiting_ops = {
    .look = look_again, .ring = ring, .leave = leave, .drop = drop, .tell = tell};

/* ---- beginning ------------------------------------------------------------------------------- */

static void begin(struct page_wait *wait)
{
    struct worker *worker = wait->exchange->worker;
    struct reading *reading = wait->reading;
    struct refusal refusal;
    if (reading->start.gap) {
        struct gap gap = start_gap(&reading->start);
        finish_gap(wait, &gap);
        return;
    }
    wait->known = reading->from.told ? reading->start.told : 0;
    unsigned encoding = encoding_of(FORMAT_PAGE, reading->data, false, 0);
    if (!reading_subscribe(worker, &wait->sub, &sub_ops, reading->selection, encoding,
                           &reading->start, &refusal)) {
        refuse(wait, refusal.problem, str_from(refusal.detail));
        return;
    }
    if (reading->wait_s) {
        attend_poll(worker, wait, wait->exchange->request, reading->selection,
                    wait->exchange->caller, reading->as);
        request_stream_ring_in(wait->exchange->request, (int64_t)reading->wait_s * 1000);
    }
    look(wait);
}

static void found(void *owner, const struct start_found *found)
{
    struct page_wait *wait = owner;
    wait->exchange->question = NULL;
    wait->reading->start = found->start;
    wait->looked_until = found->given_up;
    if (found->given_up)
        worker_put_off(wait->exchange->worker, BUDGET_SEARCH);
    if (found->error)
        fail(wait);
    else
        begin(wait);
}

static void ask(void *owner, struct question *question)
{
    struct page_wait *wait = owner;
    exchange_ask(wait->exchange, question);
}

void page_begin(struct exchange *exchange, struct reading *reading)
{
    struct worker *worker = exchange->worker;
    if (reading->has_before) {
        page_before_begin(exchange, reading);
        return;
    }
    struct page_wait *wait = mem_try_alloc(sizeof(*wait));
    if (!wait) {
        exchange_problem(exchange, PROBLEM_UNAVAILABLE, STR("no memory: try again"), STR_NONE);
        reading_free(reading);
        return;
    }
    *wait = (struct page_wait){
        .waiting = {.ops = &waiting_ops}, .exchange = exchange, .reading = reading};
    stat_add(&worker->stats.subscribers[FORMAT_PAGE], 1);
    if (!exchange_wait(exchange, &wait->waiting)) {
        release(wait, worker);
        return;
    }
    start_find(&wait->search, &worker->hub, reading->selection, &reading->from,
               &(struct start_owner){.owner = wait, .found = found, .ask = ask});
}
