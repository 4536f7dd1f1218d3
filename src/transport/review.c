#include "transport/review.h"

#include "base/budget.h"
#include "transport/audit_notes.h"
#include "transport/exchange.h"

/* A turn reviews so many connections, or for this time. The clock is read after each, because one
 * HTTP/2 connection may have hundreds of streams, and to end one takes more than ten microseconds.
 */
enum { SLICE = 256, SLICE_US = 500 };

void review_begin(struct worker *worker)
{
    worker->reviewed_ns = worker->loop.now_ns;
    list_take_all(&worker->unreviewed, &worker->connections);
    list_take_all(&worker->unreviewed, &worker->unvisited);
    worker->rounds_cut = true;
}

static void review(struct worker *worker, struct list *node)
{
    struct conn *conn = container_of(node, struct conn, node);
    list_add_last(worker->draining ? &worker->undrained : &worker->connections, node);
    if (!conn->dead && conn->ops->review)
        conn->ops->review(conn);
}

void review_some(struct worker *worker)
{
    struct budget budget;
    if (live_is_busy(worker) || !review_is_busy(worker))
        return;
    budget_begin(&budget, worker->config.clock, SLICE_US, (int64_t)SLICE * BUDGET_STRIDE);
    for (struct list *node; (node = list_take_first(&worker->unreviewed));) {
        review(worker, node);
        if (!budget_spend(&budget, BUDGET_STRIDE))
            return;
    }
}

bool review_is_busy(const struct worker *worker)
{
    return !list_empty(&worker->unreviewed);
}

void review_pull(struct pull *pull)
{
    struct worker *worker = pull->request->worker;
    struct caller *caller = live_caller(worker, pull);
    const struct access access = worker_access(worker, request_stream_conn(pull->request), caller);
    struct audit_entry entry = {
        .kind = AUDIT_DISCONNECTED, .caller = caller, .why = ending_words(ENDING_RULES)};
    if (!pull->ops->review || pull->ops->review(pull, &access))
        return;
    audit_note(worker, pull->request, &entry);
    (void)exchange_end_pull(pull, ENDING_RULES);
}
