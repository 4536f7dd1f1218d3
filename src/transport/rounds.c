#include "transport/rounds.h"

#include "base/budget.h"

/* A slice ends after so many connections and streams, or after this time. The clock is read once in
 * LOOK_EACH of them, and an HTTP/2 connection is visited whole. */
enum { SLICE = 1024, SLICE_US = 500, LOOK_EACH = 32, STEP_COST = BUDGET_STRIDE / LOOK_EACH };

void rounds_begin(struct worker *worker, struct rounds *rounds, const struct rounds_ops *ops)
{
    *rounds = (struct rounds){.ops = ops, .worker = worker};
    list_add_last(&worker->rounds, &rounds->node);
    if (worker->stopping)
        rounds_end(worker);
}

static struct rounds *first_of(const struct worker *worker)
{
    return container_of(worker->rounds.next, struct rounds, node);
}

static void finish(struct worker *worker, bool whole)
{
    struct rounds *rounds = first_of(worker);
    list_remove(&rounds->node);
    rounds->ops->done(rounds, whole);
}

void rounds_end(struct worker *worker)
{
    while (!list_empty(&worker->rounds))
        finish(worker, false);
}

/* Takes all connections, unless the walk has them. */
static void take_connections(struct worker *worker, struct rounds *rounds)
{
    if (rounds->begun && !worker->rounds_cut)
        return;
    if (rounds->begun)
        rounds->ops->restart(rounds);
    rounds->begun = true;
    worker->rounds_cut = false;
    list_take_all(&worker->unvisited, &worker->connections);
}

static void visit(struct worker *worker, struct rounds *rounds, struct list *node)
{
    struct conn *conn = container_of(node, struct conn, node);
    list_add_last(&worker->connections, node);
    if (!conn->dead && conn->ops->visit)
        conn->ops->visit(conn, rounds);
}

static void visit_some(struct worker *worker, struct rounds *rounds)
{
    struct budget budget;
    budget_begin(&budget, worker->config.clock, SLICE_US, (int64_t)SLICE * STEP_COST);
    for (struct list *node; (node = list_take_first(&worker->unvisited));) {
        rounds->shown = 0;
        visit(worker, rounds, node);
        if (!budget_spend(&budget, (size_t)(1 + rounds->shown) * STEP_COST))
            return;
    }
}

/* Waits while a review or a drain goes through the connections. These come first because they end
 * connections; the walk then visits the ones that are left. */
void rounds_some(struct worker *worker)
{
    if (list_empty(&worker->rounds) || !list_empty(&worker->unreviewed) ||
        !list_empty(&worker->undrained))
        return;
    take_connections(worker, first_of(worker));
    visit_some(worker, first_of(worker));
    if (list_empty(&worker->unvisited))
        finish(worker, true);
}

void rounds_show(void *visitor, struct request_stream *request, struct waiting *waiting)
{
    struct rounds *rounds = visitor;
    rounds->shown++;
    rounds->ops->visit(rounds, request, waiting);
}

/* ---- facts ----------------------------------------------------------------------------------- */

bool rounds_facts(const struct request_stream *request, const struct waiting *waiting,
                  struct subscription_facts *ret)
{
    const struct pull *pull = request->pull;
    ret->caller = NULL;
    ret->cursor = 0;
    ret->is_behind = false;
    ret->terms_count = 0;
    if (waiting && waiting->ops->tell) {
        waiting->ops->tell(waiting, ret);
        return true;
    }
    if (waiting || !pull || !pull->ops->tell || request->ops->state(request) != REQUEST_OPEN)
        return false;
    ret->caller = live_caller(request->worker, pull);
    pull->ops->tell(pull, ret);
    return true;
}

bool facts_have_channel(const struct subscription_facts *facts, struct str channel)
{
    for (size_t i = 0; i < facts->terms_count; i++)
        if (pattern_matches(facts->terms[i], channel))
            return true;
    return false;
}

bool rounds_end_shown(struct request_stream *request, struct waiting *waiting)
{
    if (!waiting)
        return exchange_end_pull(request->pull, ENDING_DISCONNECTED);
    waiting->ops->ring(waiting);
    return true;
}

void facts_add_term(struct subscription_facts *facts, struct str term)
{
    if (facts->terms_count < SELECTION_TERMS_MAX)
        facts->terms[facts->terms_count++] = term;
}

void facts_add_terms(struct subscription_facts *facts, const struct selection *selection)
{
    for (uint32_t i = 0; i < selection->names_count; i++)
        facts_add_term(facts, selection->names[i]);
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        facts_add_term(facts, selection->patterns[i]);
}

void facts_add_position(struct subscription_facts *facts, const struct hub *hub,
                        const struct sub *sub)
{
    uint64_t cursor = hub_cursor(hub, sub);
    facts->cursor = !facts->cursor || cursor < facts->cursor ? cursor : facts->cursor;
    facts->is_behind |= sub->state == SUB_BEHIND || sub->state == SUB_WAITING;
}

void facts_add(struct subscription_facts *facts, const struct hub *hub, const struct sub *sub)
{
    if (!sub->view)
        return;
    facts_add_terms(facts, hub_selection(sub));
    facts_add_position(facts, hub, sub);
}
