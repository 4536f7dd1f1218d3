#include "webhooks/delivery/logged.h"

#include "webhooks/delivery/packed.h"
#include "webhooks/endpoint/saving.h"

static int64_t took_us(const struct call *call)
{
    int64_t ns = call->ended_ns - call->started_ns;
    return ns > 0 ? ns / 1000 : 0;
}

void logged_count(struct courier *courier, const struct call *call, uint32_t events)
{
    bool accepted = call_is_accepted(call);
    _Atomic uint64_t *counter = accepted ? &courier->stats.deliveries : &courier->stats.failures;
    atomic_fetch_add_explicit(counter, accepted && events ? events : 1, memory_order_relaxed);
    hist_add(&courier->stats.attempts_ns, (uint64_t)took_us(call) * 1000, 1);
}

static struct str type_of(const struct outcome *outcome)
{
    const struct event *first = pending_first(outcome->events);
    if (outcome->gap)
        return STR("$gap");
    return first ? first->type : STR("");
}

struct str logged_channel(const struct lane *lane, const struct outcome *outcome)
{
    const struct event *first = pending_first(outcome->events);
    return first ? first->channel : str_from(lane->row.channel);
}

static void pack_events(struct buf *out, const struct outcome *outcome)
{
    list_each (outcome->events, node)
        packed_add(out, &container_of(node, struct pending, node)->event);
}

/* A resend keeps its delivery's number, even if it takes several requests. */
static bool has_own_extent(const struct lane *lane, const struct outcome *outcome)
{
    return !outcome->gap && lane->kind != LANE_RESEND;
}

void logged_add(struct lane *lane, const struct outcome *outcome, enum delivery_state state)
{
    struct courier *courier = lane->endpoint->courier;
    const struct call *call = outcome->call;
    struct str response = buf_str(&call->response);
    struct buf letter = {0};
    if (!lane->row.attempts++)
        lane->row.n = courier->next_n++;
    if (call_is_accepted(call) && response.len > DELIVERY_LOG_OK_RESPONSE_MAX)
        response.len = DELIVERY_LOG_OK_RESPONSE_MAX;
    if (state == DELIVERY_DEAD && lane->kind != LANE_RESEND)
        pack_events(&letter, outcome);
    save_attempt(courier, &(struct logged_attempt){
                              .n = lane->row.n,
                              .endpoint = lane->row.endpoint,
                              .first = outcome->first,
                              .last = outcome->last,
                              .count = has_own_extent(lane, outcome) ? outcome->count : 0,
                              .number = (uint32_t)lane->row.attempts,
                              .state = state,
                              .channel = logged_channel(lane, outcome),
                              .type = type_of(outcome),
                              .time_us = courier_wall_us(courier) - took_us(call),
                              .took_us = took_us(call),
                              .status = call->status,
                              .error = call->error,
                              .response = response,
                              .letter = buf_str(&letter),
                          });
    buf_free(&letter);
}
