#include "transport/worker_state.h"

#include "base/hash.h"

/* The most events that a turn gathers before they go to the log: an append holds the log's lock for
 * all of its events, about a microsecond for each new channel. The events of a request stay
 * together. */
enum { BATCH_BYTES = 1 << 20, BATCH_EVENTS = 256 };

#define LIMIT_TEXT(name, text, help) [LIMIT_##name] = (text),
#define LIMIT_HELP(name, text, help) [LIMIT_##name] = (help),
const char *const limit_names[LIMIT_COUNT] = {LIMITS(LIMIT_TEXT)};
const char *const limit_helps[LIMIT_COUNT] = {LIMITS(LIMIT_HELP)};

#define BUDGET_TEXT(name, text, help) [BUDGET_##name] = (text),
#define BUDGET_HELP(name, text, help) [BUDGET_##name] = (help),
const char *const budget_names[BUDGET_COUNT] = {BUDGETS(BUDGET_TEXT)};
const char *const budget_helps[BUDGET_COUNT] = {BUDGETS(BUDGET_HELP)};

void worker_review(struct worker *worker, struct conn *conn)
{
    list_remove(&conn->node);
    list_add_last(&worker->unreviewed, &conn->node);
    worker->rounds_cut = true; /* or the walk would pass it by */
}

bool worker_pressed(const struct worker *worker)
{
    uint64_t most = worker->config.limits.pending_max;
    return log_pending_bytes(worker->config.log) + worker->turn_bytes > most ||
           log_backlog_bytes(worker->config.log) > most;
}

void worker_begin_step(struct worker *worker)
{
    const struct worker_budgets *budgets = &worker->config.budgets;
    budget_begin_late(&worker->step_budget, worker->config.clock, budgets->step_us,
                      budgets->step_bytes);
}

bool worker_flush(struct worker *worker)
{
    account_set(&worker->account, ACCOUNT_BATCH, &worker->turn_bytes, 0);
    return submitter_flush(&worker->submitter);
}

/* Charge for publishes as they are parsed, so that publishers are slowed down within the turn. A
 * large batch goes to the log before the turn ends. */
bool worker_spend(struct worker *worker, size_t bytes)
{
    const struct submitter *submitter = &worker->submitter;
    if (submitter_has_any(submitter))
        account_set(&worker->account, ACCOUNT_BATCH, &worker->turn_bytes,
                    submitter_bytes(submitter));
    if (worker->turn_bytes > BATCH_BYTES || submitter_events(submitter) >= BATCH_EVENTS)
        (void)worker_flush(worker);
    (void)budget_spend(&worker->turn_budget, bytes);
    return budget_spend(&worker->step_budget, bytes);
}

uint64_t worker_hits(const struct worker *worker, enum limit limit)
{
    static const enum publish_verdict verdicts[LIMIT_COUNT] = {
        [LIMIT_CHANNELS] = PUBLISH_E_CHANNELS,
        [LIMIT_SHARES] = PUBLISH_E_SHARE,
        [LIMIT_KEYS] = PUBLISH_E_KEYS,
    };
    const _Atomic uint64_t *hits = verdicts[limit] ? &worker->submitter.refused[verdicts[limit]]
                                                   : &worker->stats.limits[limit];
    uint64_t more = 0;
    if (limit == LIMIT_RATES)
        hits = &worker->submitter.too_fast;
    if (limit == LIMIT_EVENTS)
        hits = &worker->submitter.too_large;
    if (limit == LIMIT_MEMORY)
        more = atomic_load_explicit(&worker->submitter.too_full, memory_order_relaxed);
    return atomic_load_explicit(hits, memory_order_relaxed) + more;
}

bool worker_is_full(struct worker *worker)
{
    bool full = memory_mark_is_full(worker->config.memory);
    if (full)
        worker_hit(worker, LIMIT_MEMORY);
    return full;
}

void worker_check_paused(struct worker *worker)
{
    if (!list_linked(&worker->pressure.node))
        timer_set(&worker->loop, &worker->pressure, 1);
}

void worker_resume_accepting(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listeners_count; i++)
        listener_resume(&worker->listeners[i].listener);
}

uint32_t worker_drain_after_ms(const struct worker *worker)
{
    int64_t ms = (worker->stop_at_ns - worker->loop.now_ns) / 1000000 - DRAIN_LAST_MS;
    return ms > 0 ? worker_random((uint32_t)ms) : 0;
}

uint32_t worker_random(uint32_t below)
{
    uint32_t n;
    hash_random(&n, sizeof(n));
    return below ? n % below : 0;
}
